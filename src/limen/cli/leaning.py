"""The work behind `limen shift line`; imported only when there is some."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.cli import arrays
from limen.cli.pages import PageFolder
from limen.report import Facts, Measured, Page, Table
from limen.run.provenance import origin
from limen.shift.line import RobustnessLine
from limen.shift.published import place as placed

Pair = tuple[float, float]


def models(given: Sequence[str]) -> dict[str, Pair]:
    """NAME=HOME,SHIFT as accuracies; per cent and shares are both taken.

    Raises:
        UsageError: Another form, or numbers that are no accuracies.
    """
    found = {}
    for name, text in arrays.pairs(given, option="--model").items():
        parts = text.rstrip("%").split(",")
        try:
            pair = [float(part.strip().rstrip("%")) for part in parts]
        except ValueError:
            pair = []
        if len(pair) != 2:
            raise UsageError(f"--model {name}={text} must read NAME=HOME,SHIFT: --model mine=80,66")
        found[name] = _shares(np.array(pair), f"--model {name}")
    return {name: (float(pair[0]), float(pair[1])) for name, pair in found.items()}


def _shares(values: np.ndarray, option: str) -> np.ndarray:
    """Accuracies as shares; where one is above 1 all are in per cent.

    Raises:
        UsageError: They are neither.
    """
    found: np.ndarray = values / 100 if values.max() > 1 else values
    if not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        raise UsageError(f"{option} must be accuracies, as shares or in per cent")
    return found


@dataclass(frozen=True, eq=False)
class Accuracies:
    """Many models' accuracies, shares."""

    source: str
    names: list[str]
    common: np.ndarray
    counter: np.ndarray


def accuracies(path: Path, *, common: str, counter: str, names: str | None) -> Accuracies:
    """A table of models; rows without both accuracies are left out.

    Raises:
        UsageError: It cannot be read, or holds no accuracies.
    """
    held = arrays.table(path, option="--table")
    for option, column in (("--common", common), ("--counter", counter)):
        held.text(column, option=option, empty=True)
    called = held.text(names or next(iter(held.columns)), option="--names")
    kept = [i for i in range(len(called)) if held.columns[common][i] and held.columns[counter][i]]
    part = arrays.Columns(held.source, {n: [c[i] for i in kept] for n, c in held.columns.items()})
    both = [
        _shares(part.numbers(column, option=option), f"{option} {column!r}")
        for option, column in (("--common", common), ("--counter", counter))
    ]
    return Accuracies(str(path), [called[i] for i in kept], both[0], both[1])


def place(
    mine: Mapping[str, Pair], *, transform: str, into: PageFolder | None, as_json: bool
) -> None:
    """Models of yours beside the published ones of CounterAnimal.

    Raises:
        UsageError: No model was given.
    """
    if not mine:
        raise UsageError("--table or --model must be given: accuracies to fit a line to, or yours")
    found = {name: placed(*pair, name=name, transform=transform) for name, pair in mine.items()}
    tables = [one.table() for one in found.values()]
    if as_json:
        print(json.dumps({name: {"over ImageNet": one.over_imagenet, "over CLIP": one.over_clip}
                          for name, one in found.items()}, indent=2))  # fmt: skip
    else:
        print("\n\n".join(table.to_text() for table in tables))
    if into is not None:
        lines = next(iter(found.values())).lines
        said = "; ".join(
            f"{name} has {100 * one.over_imagenet:+.1f} points beyond the line of ImageNet "
            f"classifiers, {100 * one.over_clip:+.1f} beyond that of CLIPs"
            for name, one in found.items()
        )
        into.write(Page(
            "Effective robustness", f"{said}.",
            [*(lines[family].record(mine, title=f"Beside {family}") for family in lines), *tables,
             Facts({"transform": transform, **origin()}, title="How to do it again")],
        ))  # fmt: skip


def line(
    found: Accuracies,
    mine: Mapping[str, Pair],
    *,
    exclude: Sequence[str],
    transform: str,
    seed: int,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Fit a line to a table's models; tell each one's excess, and yours."""
    shares = zip(found.names, found.common, found.counter, strict=True)
    fitted = RobustnessLine(transform).fit(
        found.common, found.counter, names=found.names, exclude=exclude
    )
    rows: list[list[Any]] = [
        [name, 100 * a, 100 * b, excess, excess]
        for name, a, b in shares
        for excess in [100 * float(fitted.excess(a, b))]
    ]
    for name, (a, b) in mine.items():
        ends = fitted.interval(a, b, seed=seed)
        own = 100 * float(fitted.excess(a, b))
        told = Measured(own, 100 * ends.low, 100 * ends.high)
        rows.append([f"{name} (yours)", 100 * a, 100 * b, told, own])
    table = Table(
        ["model", "at home [%]", "under shift [%]", "excess [points]"],
        [row[:4] for row in sorted(rows, key=lambda row: -row[4])], title="Effective robustness",
        protocol=f"Least squares on a {transform} axis over {len(fitted.names)} models of "
        f"{found.source}: slope {fitted.slope:.4f}, intercept {fitted.intercept:.4f}, R2 "
        f"{fitted.r2:.4f}. A model that the line was fitted to has drawn it towards itself. "
        "Of yours: 95 % interval over draws of the models.",
    )  # fmt: skip
    if as_json:
        print(json.dumps({"slope": fitted.slope, "intercept": fitted.intercept, "r2": fitted.r2,
                          "table": table.to_dict()}, indent=2))  # fmt: skip
    else:
        print(table.to_text())
    if into is not None:
        into.write(Page(
            "Effective robustness",
            f"Over {len(fitted.names)} models accuracy at home explains {fitted.r2:.1%} of the "
            f"variance of accuracy under shift, on a {transform} axis.",
            [fitted.record(mine), table,
             Facts({"table": found.source, "transform": transform, **origin()},
                   title="How to do it again")],
        ))  # fmt: skip
