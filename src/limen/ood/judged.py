"""What `judge` found: the rows' scores, and the tables made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int64

from limen.measure._numbers import share_of
from limen.measure.delong import delong, delong_paired, holm
from limen.measure.interval import Interval
from limen.measure.oscr import oscr
from limen.measure.selective import aurc
from limen.measure.separation import aupr, auroc, fpr_at_tpr, roc
from limen.measure.stratified import aupr_interval, fpr_interval
from limen.report.measured import Measured
from limen.report.table import Cell, Table


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged(Table):
    """The table of `judge`, and the scores of every row that it was made of.

    Attributes:
        inliers: For each score's name its values on the inliers; higher = more outlying.
        outliers: For each score's name and each set (groups and "all" too) its values.
        predicted: For each outlier set the class that the classifier names.
        labels: Class of each inlier.
        correct: Whether the classifier names it rightly.
        level: Nominal coverage of the intervals.
        tpr: Share of the positive side kept, for FPR at TPR.
        seed: Of the bootstrap.

    Example:
        >>> from limen.ood.judge import judge
        >>> from limen.bank import FeatureBank, Outputs
        >>> bank = FeatureBank.of({
        ...     "id": Outputs(logits=[[4.0, 0.0], [0.0, 3.0], [2.0, 0.0]], labels=[0, 1, 0]),
        ...     "far": Outputs(logits=[[0.1, 0.0], [0.0, 0.2]])})
        >>> found = judge(bank, outliers=["far"])
        >>> found.rows[0][:2], found.tradeoffs[0].area()
        (['msp', 'far'], 1.0)
    """

    inliers: Mapping[str, Float[np.ndarray, " _"]]
    outliers: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]]
    predicted: Mapping[str, Int64[np.ndarray, " _"]]
    labels: Int64[np.ndarray, " rows"]
    correct: Bool[np.ndarray, " rows"]
    level: float
    tpr: float
    seed: int

    @classmethod
    def of(
        cls,
        inliers: Mapping[str, np.ndarray],
        outliers: Mapping[str, Mapping[str, np.ndarray]],
        *,
        predicted: Mapping[str, np.ndarray],
        labels: np.ndarray,
        correct: np.ndarray,
        level: float,
        tpr: float,
        seed: int,
        protocol: str,
    ) -> "Judged":
        """A row for each score and set: separation with intervals, accuracy, OSCR, AURC.

        Args:
            inliers: As the attribute; so are all that follow.
            outliers: Likewise.
            predicted: Likewise.
            labels: Likewise.
            correct: Likewise.
            level: Likewise.
            tpr: Likewise.
            seed: Likewise.
            protocol: How the numbers were made; printed under every table.

        Returns:
            The table.
        """
        share = f"{tpr:.0%}".rstrip("%")
        columns = ["score", "outliers", "AUROC", "AUPR-in", "AUPR-out"]
        columns += [f"FPR{share}, {share} % of inliers kept"]
        columns += [f"FPR{share}, {share} % of outliers caught", "OSCR", "AURC", "ID accuracy"]
        pairs = [
            (name, group, inliers[name], found)
            for name, sets in outliers.items()
            for group, found in sets.items()
        ]
        rows = [
            [name, group, *_cells(mine, found, correct=correct, level=level, tpr=tpr, seed=seed)]
            for name, group, mine, found in pairs
        ]
        curves = [replace(roc(mine, found), name=f"{n}, {g}") for n, g, mine, found in pairs]
        return cls(
            columns, rows, title="Outliers found", protocol=protocol, tradeoffs=curves,
            inliers=inliers, outliers=outliers, predicted=predicted, labels=labels,
            correct=correct, level=level, tpr=tpr, seed=seed,
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """The table, JSON-safe; curves and scores, which are long, stay behind."""
        return {**super().to_dict(), "tradeoffs": []}

    @cached_property
    def paired(self) -> Table:
        """Each pair of scores on the same rows: difference of AUROC, DeLong's p, Holm-corrected."""
        sets = next(iter(self.outliers.values()))
        found = [
            (a, b, group, delong_paired(self.pair(a, group), self.pair(b, group), level=self.level))
            for group in sets
            for a, b in combinations(self.inliers, 2)
        ]
        corrected = holm([one.p_value for *_, one in found]) if found else np.empty(0)
        rows: list[list[Cell]] = [
            [a, b, group, measured(d.difference, d.interval), d.p_value, float(p)]
            for (a, b, group, d), p in zip(found, corrected, strict=True)
        ]
        columns = ["score", "other score", "outliers", "difference of AUROC", "p", "p, Holm"]
        return Table(columns, rows, title="Scores compared", protocol=self.protocol)

    @cached_property
    def by_class(self) -> Table:
        """For each class: inliers falsely flagged at the threshold, and outliers named it."""
        rows: list[list[Cell]] = []
        everything = np.concatenate(list(self.predicted.values()))
        for name, scores in self.inliers.items():
            kept = share_of(len(scores), self.tpr)
            level = np.partition(scores, kept - 1)[kept - 1]
            passed = np.concatenate([self.outliers[name][one] for one in self.predicted]) <= level
            for one in np.unique(np.concatenate([self.labels, everything])):
                mine, named = self.labels == one, everything == one
                alarms = float((scores[mine] > level).mean()) if mine.any() else None
                accepted = int((passed & named).sum())
                rows.append([name, int(one), int(mine.sum()), alarms, int(named.sum()), accepted])
        columns = ["score", "class", "inliers", "false alarms"]
        columns += ["outliers named so", "of them accepted"]
        return Table(columns, rows, title="Class by class", protocol=self.protocol)

    def pair(self, score: str, group: str) -> tuple[np.ndarray, np.ndarray]:
        """A score's values on the inliers and on a set of outliers."""
        return self.inliers[score], self.outliers[score][group]


def _cells(
    scores: np.ndarray,
    found: np.ndarray,
    *,
    correct: np.ndarray,
    level: float,
    tpr: float,
    seed: int,
) -> list[Cell]:
    cells: list[Cell] = [measured(auroc(scores, found), delong(scores, found, level=level))]
    for side in ("inlier", "outlier"):
        interval = aupr_interval(scores, found, side, level=level)
        cells.append(measured(aupr(scores, found, side), interval))
    for side in ("inlier", "outlier"):
        interval = fpr_interval(scores, found, tpr, positive=side, level=level, seed=seed)
        cells.append(measured(fpr_at_tpr(scores, found, tpr, positive=side), interval))
    right = correct.astype(np.float64)
    return [*cells, oscr(scores, right, found), aurc(scores, 1 - right), float(right.mean())]


def measured(value: float, interval: Interval) -> Measured:
    """A table's cell from a value and its interval."""
    return Measured(value, interval.low, interval.high)
