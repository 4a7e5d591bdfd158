"""What repairs of a head gain in the worst group, and what they cost at home."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import finite, numbers
from limen.measure.tradeoff import Tradeoff
from limen.report.measured import Measured
from limen.report.table import Cell, Table
from limen.shift.repairs.grouped import Grouped
from limen.shift.repairs.linear import Logits

_RESAMPLES = 2000
_BLOCK = 1 << 22  # numbers drawn at a time


class _Figures(NamedTuple):
    """Of each blend, first the value, then of each resample: (1 + resamples, blends)."""

    worst: Float[np.ndarray, "draws blends"]
    home: Float[np.ndarray, "draws blends"]
    cell: str
    """Worst of the last blend."""


@dataclass(frozen=True, eq=False)
class _Bench:
    """All that repairs are judged with."""

    before: Logits
    rows: Grouped
    home: Grouped | None
    knobs: Float[np.ndarray, " blends"]
    level: float
    seed: int


def judge_repairs(
    repairs: Mapping[str, Logits],
    before: Logits,
    *,
    features: Any,
    labels: Any,
    groups: Any,
    home: tuple[Any, Any] | None = None,
    blends: int = 11,
    afford: float = 0.01,
    level: float = 0.95,
    seed: int = 0,
) -> Table:
    """Worst-group accuracy gained against accuracy lost at home; more gain at a price is better.

    Between the head before and each repaired head stand their blends, of logits
    `(1 - w) before + w after`, w from 0 to 1: the knob. With acc_g the accuracy in the cell g of
    class and group,

        gain(w) = min_g acc_g(w) - min_g acc_g(0),    price(w) = home(0) - home(w),

    home being the accuracy over all rows as they come, or over rows of their own. Intervals are
    percentiles of a bootstrap of the rows within each cell, the same rows for before and after:
    paired. The smallest of several noisy accuracies lies too low, before and after; which of the
    two more depends on the cells, so the worst group is told by name.

    Args:
        repairs: Fitted heads by name, such as `{"DFR": DFR().fit(...)}`; anything with `logits`.
        before: The head that they repair: `Linear(weight, bias)` of the network's last layer.
        features: (rows, width), neither trained on nor repaired with.
        labels: Class 0..C-1 of each row.
        groups: Group of each row.
        home: Features and labels of rows for the price; None takes the rows themselves.
        blends: Settings of the knob, 2 or more.
        afford: Price at which repairs are compared in the last column, 0 or more.
        level: Nominal coverage of the intervals.
        seed: Of the bootstrap.

    Returns:
        A line for the head before and one for each repair; `tradeoffs` holds the curves.

    Raises:
        UsageError: No repairs, logits that do not fit, bad rows, or an option out of range.

    Example:
        >>> from limen.shift.repairs import Linear
        >>> x = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]
        >>> wrong, right = Linear([[0.0, 1.0], [0.0, -1.0]]), Linear([[1.0, 0.0], [-1.0, 0.0]])
        >>> table = judge_repairs({"right": right}, wrong, features=x, labels=[0, 0, 1, 1],
        ...                       groups=[1, 0, 1, 0])
        >>> table.rows[1][3].value    # every cell was wrong or right as a whole
        1.0
    """
    _refuse(repairs, blends=blends, afford=afford, level=level)
    rows, at_home = _rows(before, features, labels, groups=groups), None
    if home is not None:
        at_home = _rows(before, *home, groups=np.zeros(len(home[0]), dtype=np.int64))
    bench = _Bench(before, rows, at_home, np.linspace(0, 1, blends), level, seed)
    lines = [_first(bench, _figures(bench, before))]
    tradeoffs = []
    for name, repair in repairs.items():
        found = _figures(bench, repair)
        curve = _tradeoff(bench, str(name), found)
        tradeoffs.append(curve)
        lines.append(_line(bench, found, curve, afford=afford))
    columns = ["head", "worst group", "worst-group accuracy", "gained", "accuracy at home"]
    columns += ["lost at home", f"gained for {afford:g} lost at most"]
    return Table(
        columns, lines, title="Repairs, and what they cost", protocol=_protocol(bench),
        tradeoffs=tradeoffs,
    )  # fmt: skip


def _figures(bench: _Bench, after: Logits) -> _Figures:
    shares = _shares(bench, after, bench.rows)
    asked = bench.rows if bench.home is None else bench.home
    parts = shares if bench.home is None else _shares(bench, after, bench.home)
    home = np.tensordot(asked.counts() / len(asked), parts, axes=(0, 0))
    label, group = bench.rows.names[int(shares[:, 0, -1].argmin())]
    return _Figures(shares.min(0), home, f"{label} with {group}")


def _shares(bench: _Bench, after: Logits, rows: Grouped) -> Float[np.ndarray, "cells draws blends"]:
    """Share of right answers in each cell, in truth first, then in every resample of its rows."""
    first, last = (_logits(head, rows) for head in (bench.before, after))
    blended = [((1 - w) * first + w * last).argmax(1) for w in bench.knobs]
    right = (np.stack(blended, 1) == rows.labels[:, None]).astype(np.float64)
    found = []
    for one, key in enumerate(rows.keys):
        mine = right[rows.cells == one]
        stream = numpy_stream(bench.seed, "judge repairs", key)
        size = max(1, _BLOCK // len(mine))
        blocks = [mine.mean(0)[None]]
        for start in range(0, _RESAMPLES, size):
            count = min(size, _RESAMPLES - start)
            drawn = stream.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=count)
            blocks.append(drawn @ mine / len(mine))
        found.append(np.concatenate(blocks))
    return np.stack(found)


def _tradeoff(bench: _Bench, name: str, found: _Figures) -> Tradeoff:
    gains = found.worst - found.worst[:, :1]
    return Tradeoff(
        price=found.home[0, 0] - found.home[0], gain=gains[0], knob=bench.knobs,
        gain_interval=np.quantile(gains[1:], _tails(bench.level), axis=0).T,
        name=name, price_name="accuracy lost at home", gain_name="worst-group accuracy gained",
        knob_name="blend",
    )  # fmt: skip


def _first(bench: _Bench, found: _Figures) -> list[Cell]:
    worst, home = (_measured(draws[:, 0], bench.level) for draws in found[:2])
    return ["before", found.cell, worst, None, home, None, None]


def _line(bench: _Bench, found: _Figures, curve: Tradeoff, *, afford: float) -> list[Cell]:
    point = curve.at(price=afford)
    low, high = point.gain_interval or (np.nan, np.nan)
    worst, home = found.worst, found.home
    asked = (worst[:, -1], worst[:, -1] - worst[:, 0], home[:, -1], home[:, 0] - home[:, -1])
    told = [_measured(draws, bench.level) for draws in asked]
    return [curve.name, found.cell, *told, Measured(point.gain, low, high)]


def _measured(draws: Float[np.ndarray, " draws"], level: float) -> Measured:
    low, high = np.quantile(draws[1:], _tails(level))
    return Measured(float(draws[0]), float(low), float(high))


def _rows(before: Logits, features: Any, labels: Any, *, groups: Any) -> Grouped:
    rows = finite("features", numbers("features", features))
    if rows.ndim != 2 or not rows.size:
        raise UsageError(f"features must be (rows, width), got shape {rows.shape}")
    classes = int(np.asarray(before.logits(rows[:1])).shape[-1])
    return Grouped.of(rows, labels, groups, classes=classes)


def _logits(head: Logits, rows: Grouped) -> Float[np.ndarray, "rows classes"]:
    found = finite("logits", numbers("logits", head.logits(rows.features)))
    if found.shape != (len(rows), rows.classes):
        raise UsageError(
            f"{type(head).__name__} must give logits of shape ({len(rows)}, {rows.classes}) as "
            f"the head before does, got {found.shape}; fit it on the same classes"
        )
    return found


def _tails(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]


def _protocol(bench: _Bench) -> str:
    counts = bench.rows.counts()
    where = "the same rows" if bench.home is None else f"{len(bench.home)} rows of their own"
    return (
        f"{len(bench.rows)} rows in {len(counts)} cells of class and group, the smallest of "
        f"{counts.min()}; home: {where}. Intervals {bench.level:.0%}, a bootstrap of rows within "
        f"cells, paired, {_RESAMPLES} resamples, seed {bench.seed}. Last column: the best of "
        f"{len(bench.knobs)} blends of logits, chosen on the rows that judge it."
    )


def _refuse(repairs: Mapping[str, Logits], *, blends: int, afford: float, level: float) -> None:
    if not repairs:
        raise UsageError("repairs must hold one fitted head or more by name, got none")
    if blends < 2:
        raise UsageError(f"blends={blends} must be 2 or more: before, after, and between")
    if not 0 <= afford <= 1 or not 0 < level < 1:
        raise UsageError(f"afford={afford} must be 0 to 1 and level={level} between 0 and 1")
