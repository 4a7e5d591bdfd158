"""The work behind `limen shift hull` and `limen shift select`; imported only when there is some."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.cli import arrays
from limen.cli.named import looked_up
from limen.cli.pages import PageFolder
from limen.measure.hull import Hull
from limen.report import Facts, Page, Table
from limen.report.table import Cell
from limen.run.files import save
from limen.run.progress import say
from limen.run.provenance import hash_array, origin
from limen.run.store import write_text
from limen.shift.gap import gaps_table, mixture_gap
from limen.shift.gapped import Gap
from limen.shift.point_hull import membership
from limen.shift.select import select as selected
from limen.shift.selection import Selection

RULES = "limen.shift.rules"
Rows = Mapping[str, np.ndarray]


def domains(source: Sequence[str], target: Sequence[str]) -> tuple[Rows, Rows]:
    """Sources and targets by name.

    Raises:
        UsageError: A name on both sides, files that cannot be read, or rows of unequal width.
    """
    places = arrays.pairs(source, option="--source"), arrays.pairs(target, option="--target")
    both = next((name for name in places[1] if name in places[0]), None)
    if both is not None:
        raise UsageError(f"--target {both!r} must have another name, which that of a source is")
    sources = {n: arrays.rows(p, option=f"--source {n}") for n, p in places[0].items()}
    targets = {n: arrays.rows(p, option=f"--target {n}") for n, p in places[1].items()}
    width = next(iter(sources.values())).shape[1]
    for kind, some in (("--source", sources), ("--target", targets)):
        for name, values in some.items():
            if values.shape[1] != width:
                raise UsageError(
                    f"{kind} {name} must have {width} features, as the first source, got "
                    f"{values.shape[1]}"
                )
    return sources, targets


def hull(
    sources: Rows,
    targets: Rows,
    *,
    resamples: int,
    dimensions: int,
    seed: int,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Each target against the mixtures of the sources, and against the hull of their rows."""
    gaps = {
        name: mixture_gap(dict(sources), rows, resamples=resamples, seed=seed)
        for name, rows in targets.items()
    }
    told = [gaps_table(gaps), _points(sources, targets, dimensions=dimensions, seed=seed)]
    if as_json:
        state = {name: _plain(gap) for name, gap in gaps.items()}
        print(json.dumps({"gaps": state, "tables": [one.to_dict() for one in told]}, indent=2))
    else:
        print("\n\n".join(one.to_text() for one in told))
    if into is not None:
        facts = {f"{kind} {name}": f"{len(rows)} rows of {rows.shape[1]}, hash {hash_array(rows)}"
                 for kind, some in (("source", sources), ("target", targets))
                 for name, rows in some.items()}  # fmt: skip
        into.write(Page(
            "What the training data can promise", _answer(gaps),
            [*told, Facts({**facts, "seed": seed, **origin()}, title="How to do it again")],
            subtitle=f"{_counted(sources, 'source')}, {_counted(targets, 'target')}",
        ))  # fmt: skip


def _counted(some: Rows, what: str) -> str:
    return f"{len(some)} {what}" + "s" * (len(some) != 1)


def _answer(gaps: Mapping[str, Gap]) -> str:
    out = [name for name, gap in gaps.items() if gap.outside()]
    inside = [name for name in gaps if name not in out]
    said = []
    if out:
        said.append(f"{', '.join(out)}: no mixture of the sources, so no promise for it")
    if inside:
        said.append(f"{', '.join(inside)}: not told from a mixture of the sources")
    return "; ".join(said) + "."


def _plain(gap: Gap) -> dict[str, Any]:
    state = {name: value for name, value in vars(gap).items() if not isinstance(value, np.ndarray)}
    return {**state, "distance": gap.distance, "weights": dict(gap.weights)}


def _points(sources: Rows, targets: Rows, *, dimensions: int, seed: int) -> Table:
    """Rows of each target against the hull of all source rows, in principal components."""
    pooled = np.concatenate(list(sources.values()))
    centre, width = pooled.mean(0), min(dimensions, *pooled.shape)
    axes = np.linalg.svd(pooled - centre, full_matrices=False)[2][:width]
    points = (pooled - centre) @ axes.T
    around, fresh = Hull(points), membership(points, seed=seed)
    lines: list[list[Cell]] = []
    for name, rows in targets.items():
        distance = np.asarray(around.distance((rows - centre) @ axes.T))
        lines.append([name, float((distance <= 0).mean()), float(fresh.rate),
                      float(distance.mean()), float(distance.max())])  # fmt: skip
    return Table(
        ["target", "rows inside", "fresh source-like rows inside", "mean distance", "largest"],
        lines, title="Rows against the hull of all source rows",
        protocol=f"In {width} principal components (effectively {fresh.dimension:.1f}) of the "
        f"pooled sources, of width {pooled.shape[1]}. In many dimensions hardly any row lies "
        "inside, whatever it is: the third column says how many fresh rows of the same spread do.",
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """How rows are to be chosen."""

    rule: Any
    budget: float
    quotas: int | str | None
    seed: int


def selecting(by: str, *, budget: float, quotas: str | None, seed: int) -> Asked:
    """The rule by name, and the budget, refused before a file is read.

    Raises:
        UsageError: An unknown rule, or a budget or quota that is none.
    """
    rule = looked_up(by, RULES, option="--by")
    if budget <= 0 or (budget >= 1 and budget != int(budget)):
        raise UsageError(f"--budget {budget:g} must be a number of rows, or a share below 1")
    limit: int | str | None = quotas
    if quotas is not None and quotas != "even":
        if not quotas.isdigit() or int(quotas) < 1:
            raise UsageError(f"--quotas {quotas!r} must be a number of rows, or even")
        limit = int(quotas)
    return Asked(rule, int(budget) if budget >= 1 else budget, limit, seed)


@dataclass(frozen=True, eq=False)
class Given:
    """A pool."""

    source: str
    rows: np.ndarray
    told: Mapping[str, np.ndarray | None]


def pool(text: str, *, labels: str | None, environments: str | None, losses: str | None) -> Given:
    """The pool's rows, and what is known of each."""
    rows = arrays.rows(text, option="--pool")
    asked = {"labels": labels, "environments": environments, "losses": losses}
    told = {
        name: None if where is None
        else arrays.column(where, option=f"--{name}", length=len(rows))
        for name, where in asked.items()
    }  # fmt: skip
    if told["losses"] is not None:
        try:
            told["losses"] = told["losses"].astype(np.float64)
        except ValueError:
            raise UsageError(f"--losses {losses} must hold numbers") from None
    return Given(text, rows, told)


def select(asked: Asked, given: Given, *, into: PageFolder | None, as_json: bool) -> None:
    """Choose, print the rows, write them and a page."""
    found = selected(
        given.rows, asked.budget, asked.rule, quotas=asked.quotas, seed=asked.seed, **given.told
    )
    table = found.table()
    if as_json:
        print(json.dumps({"rows": found.rows.tolist(), "weights": found.weights.tolist(),
                          "table": table.to_dict()}, indent=2))  # fmt: skip
    else:
        print(_csv(found), end="")
        say(table.to_text())
    if into is None:
        return
    about = f"{given.source}: {len(given.rows)} rows of {given.rows.shape[1]}"
    facts: dict[str, Any] = {
        "pool": f"{about}, hash {hash_array(given.rows)}", "rule": found.rule, "seed": asked.seed,
    }  # fmt: skip
    with into.held() as path:
        write_text(path / "rows.csv", _csv(found))
        save(found, path / "selection.safetensors")
        Page(
            "Rows chosen to train on", _covered(found),
            [table, Facts({**facts, **origin()}, title="How to do it again")],
            subtitle=f"{len(found)} of {found.pool} rows by {found.rule}",
        ).write(path / "report.html")  # fmt: skip
    say(f"the page: {into.path / 'report.html'}; the rows: {into.path / 'rows.csv'}")


def _covered(found: Selection) -> str:
    mine, chance = found.cover["mean_distance"], found.chance["mean_distance"]
    return (
        f"The rows left out lie {mine:.3g} from the hull of those chosen by {found.rule}, on "
        f"average; {chance:.3g} from that of as many random ones."
    )


def _csv(found: Selection) -> str:
    rows = zip(found.rows.tolist(), found.weights.tolist(), strict=True)
    return "row,weight\n" + "".join(f"{row},{weight!r}\n" for row, weight in rows)
