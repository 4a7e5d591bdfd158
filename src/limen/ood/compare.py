"""Two methods on the same rows: what one gained over the other, paired."""

from collections.abc import Sequence

import numpy as np

from limen._core.errors import UsageError
from limen.measure.delong import delong_paired, holm
from limen.measure.interval import student
from limen.measure.separation import auroc
from limen.ood.judged import Judged, measured
from limen.report.table import Cell, Table


def compare(a: Judged | Sequence[Judged], b: Judged | Sequence[Judged]) -> Table:
    """AUROC of method a minus that of b, for each score and set; above 0 = a is better.

    One judgement each: paired over rows, DeLong's test, Holm-corrected. Several, one for each
    seed in the same order: Student's interval of the differences over seeds, no p-value, because
    rows do not say how much another seed would change.

    Args:
        a: What `judge` found for one method, or for each of its seeds.
        b: The same of the other, over the same sets and scores.

    Returns:
        One row for each score and set.

    Raises:
        UsageError: Other sets, scores, rows or numbers of seeds.

    Example:
        >>> from limen.bank import FeatureBank, Outputs
        >>> from limen.ood.judge import judge
        >>> bank = FeatureBank.of({
        ...     "id": Outputs(logits=[[4.0, 0.0], [0.0, 3.0]], labels=[0, 1]),
        ...     "far": Outputs(logits=[[0.1, 0.0], [2.5, 0.0]])})
        >>> judged = judge(bank, outliers=["far"])
        >>> compare(judged, judged).rows[0][3]    # p of a method against itself
        1.0
    """
    left, right = ([one] if isinstance(one, Judged) else list(one) for one in (a, b))
    _refuse(left, right)
    keys = [(name, group) for name, sets in left[0].outliers.items() for group in sets]
    if len(left) == 1:
        return _over_rows(left[0], right[0], keys)
    rows: list[list[Cell]] = []
    for name, group in keys:
        gaps = [
            auroc(*x.pair(name, group)) - auroc(*y.pair(name, group))
            for x, y in zip(left, right, strict=True)
        ]
        interval = student(gaps, level=left[0].level)
        rows.append([name, group, measured(float(np.mean(gaps)), interval), len(gaps)])
    columns = ["score", "outliers", "difference of AUROC", "seeds"]
    return Table(columns, rows, title="Methods compared", protocol=_protocol(left[0], len(left)))


def _over_rows(a: Judged, b: Judged, keys: Sequence[tuple[str, str]]) -> Table:
    found = [delong_paired(a.pair(*key), b.pair(*key), level=a.level) for key in keys]
    corrected = holm([one.p_value for one in found])
    rows: list[list[Cell]] = [
        [*key, measured(one.difference, one.interval), one.p_value, float(p)]
        for key, one, p in zip(keys, found, corrected, strict=True)
    ]
    columns = ["score", "outliers", "difference of AUROC", "p", "p, Holm"]
    return Table(columns, rows, title="Methods compared", protocol=_protocol(a, 1))


def _refuse(left: Sequence[Judged], right: Sequence[Judged]) -> None:
    if len(left) != len(right) or not left:
        raise UsageError(f"a and b must have as many seeds, got {len(left)} and {len(right)}")
    first = _shape(left[0])
    for x, y in zip(left, right, strict=True):
        if _shape(x) != first or _shape(y) != first or (x.labels != y.labels).any():
            raise UsageError(
                "a and b must be judged on the same rows, with the same sets and scores"
            )


def _shape(judged: Judged) -> dict[str, dict[str, int]]:
    return {
        name: {"inliers": len(judged.inliers[name])} | {g: len(s) for g, s in sets.items()}
        for name, sets in judged.outliers.items()
    }


def _protocol(judged: Judged, seeds: int) -> str:
    over = "rows, DeLong" if seeds == 1 else f"{seeds} seeds, Student"
    return f"Paired over {over}. {judged.protocol}"
