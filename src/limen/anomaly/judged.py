"""What `judge` found on each series, and the tables made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import rankdata

from limen._core.errors import UsageError
from limen.anomaly.metrics.affiliation import affiliation
from limen.anomaly.metrics.alarms import alarms
from limen.anomaly.metrics.delay import delay
from limen.anomaly.metrics.eventwise import event_f1, event_recall
from limen.anomaly.metrics.given import Flags, Scores
from limen.anomaly.metrics.pointwise import point_f1
from limen.anomaly.metrics.ranges import range_f1
from limen.anomaly.metrics.ucr import ucr_accuracy
from limen.measure.delong import holm
from limen.measure.interval import Interval, bootstrap, paired, student
from limen.report.measured import Measured
from limen.report.table import Cell, Table

CHANCE = "chance"
DRAWS = 20  # of random scores
MAIN, FOUND, PRICE = "VUS-PR", "found by its peak", "false alarms (oracle)"
METRICS = (MAIN, "VUS-ROC", "AUC-PR", "AUC-ROC", FOUND, "best F1 (oracle)", PRICE)
_FEW = 20  # series below which a bootstrap's interval is too narrow


@dataclass(frozen=True, eq=False)
class Part:
    """One series.

    Attributes:
        scores: Of each detector, after the end of training.
        labels: Likewise.
        values: Detector -> metric -> value; "chance" among the detectors.
        window: The widest buffer of VUS.
        events: How many.
        blank: Whether no point or every point is labelled.

    Example:
        >>> Part({}, np.array([True]), values={}, window=0, events=1, blank=True).blank
        True
    """

    scores: Mapping[str, Scores]
    labels: Flags
    values: Mapping[str, Mapping[str, float]]
    window: int
    events: int
    blank: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged(Table):
    """The table of `judge`, and what it was made of.

    Attributes:
        parts: Each series.
        levels: Series -> detector -> threshold.
        recall: The share of events whose price is given.
        level: Nominal coverage of the intervals.
        seed: Of the random scores and the bootstrap.

    Example:
        >>> from limen.anomaly.judge import judge
        >>> found = judge([0.1, 0.9, 0.2, 0.1], [0, 1, 0, 0], window=2, thresholds={"scores": 0.5})
        >>> found.tradeoffs[0].at(gain=1.0).price, found.flagged.rows[0][:2]
        (0.0, ['scores', 1.0])
    """

    parts: Mapping[str, Part]
    levels: Mapping[str, Mapping[str, Any]]
    recall: float
    level: float
    seed: int

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Part],
        *,
        levels: Mapping[str, Mapping[str, Any]],
        recall: float,
        level: float,
        seed: int,
        how: str,
    ) -> "Judged":
        """A row for each detector, and chance's.

        Args:
            parts: As the attribute; so are the four that follow.
            levels: Likewise.
            recall: Likewise.
            level: Likewise.
            seed: Likewise.
            how: The protocol's beginning.

        Returns:
            The table.
        """
        detectors = list(next(iter(parts.values())).scores)
        share = float(np.mean([part.labels.mean() for part in parts.values()]))
        rows: list[list[Cell]] = [
            [one, share, *(_mean(parts, one, name, level=level, seed=seed) for name in METRICS)]
            for one in [*detectors, CHANCE]
        ]
        curves = [
            alarms(part.scores[one], part.labels, name=one if len(parts) == 1 else f"{one}, {name}")
            for one in detectors
            for name, part in parts.items()
            if not part.blank
        ]
        return cls(
            ["detector", "prevalence", *METRICS], rows, title="Events found", tradeoffs=curves,
            protocol=f"{how}. {_protocol(len(parts), recall=recall, level=level)}",
            parts=parts, levels=levels, recall=recall, level=level, seed=seed,
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """The table, JSON-safe; curves and scores, which are long, stay behind."""
        return {**super().to_dict(), "tradeoffs": []}

    @cached_property
    def by_series(self) -> Table:
        """A row for each series and detector, with the series' own chance."""
        rows: list[list[Cell]] = [
            [name, one, part.events, float(part.labels.mean()), part.window, *found.values()]
            for name, part in self.parts.items()
            for one, found in part.values.items()
        ]
        columns = ["series", "detector", "events", "prevalence", "buffer [points]", *METRICS]
        return Table(columns, rows, title="Series by series", protocol=self.protocol)

    @cached_property
    def paired(self) -> Table:
        """Each pair of detectors on the same series: difference of VUS-PR, p, Holm-corrected.

        Raises:
            UsageError: Fewer than two series with events.
        """
        values = self._main()
        pairs = list(combinations(values, 2))
        tests = [paired(values[a], values[b], level=self.level, seed=self.seed) for a, b in pairs]
        corrected = holm([one.p_value for one in tests]) if tests else np.empty(0)
        rows: list[list[Cell]] = []
        for (a, b), test, p in zip(pairs, tests, corrected, strict=True):
            interval = _over(values[a] - values[b], level=self.level, seed=self.seed)
            cell = Measured(test.difference, interval.low, interval.high)
            rows.append([a, b, cell, test.p_value, float(p)])
        columns = ["detector", "other detector", f"difference of {MAIN}", "p", "p, Holm"]
        return Table(
            columns, rows, title="Detectors compared", protocol=f"p: signs of the differences "
            f"flipped, two-sided. {self.protocol}",
        )  # fmt: skip

    @cached_property
    def ranks(self) -> Table:
        """Where each detector stands: mean rank in VUS-PR, share of series won, median.

        Raises:
            UsageError: Fewer than two series with events.
        """
        values = self._main()
        found = np.array(list(values.values()))
        ranks = rankdata(-found, axis=0)
        best = found == found.max(axis=0)
        wins = best / best.sum(axis=0)
        rows: list[list[Cell]] = [
            [one, float(ranks[i].mean()), float(wins[i].mean()), float(np.median(found[i]))]
            for i, one in enumerate(values)
        ]
        columns = ["detector", "mean rank", "share of series won", f"median {MAIN}"]
        return Table(columns, rows, title="Ranks", protocol=f"Rank 1 is best. {self.protocol}")

    @cached_property
    def flagged(self) -> Table:
        """At the label-free thresholds: F1 of four kinds, delay, and the false alarms raised.

        Raises:
            UsageError: `judge` was given no threshold.
        """
        if not self.levels:
            raise UsageError("flagged needs thresholds: judge(..., thresholds={detector: ...})")
        detectors = [
            one for one in self._detectors() if any(one in x for x in self.levels.values())
        ]
        rows: list[list[Cell]] = []
        for one in detectors:
            each = [
                _flags(part, one, self.levels[name][one])
                for name, part in self.parts.items()
                if not part.blank and one in self.levels.get(name, {})
            ] or [(float("nan"),) * len(_FLAGGED)]
            cells = [
                _cell(column, most=most, level=self.level, seed=self.seed)
                for most, column in zip(_FLAGGED.values(), zip(*each, strict=True), strict=True)
            ]
            rows.append([one, *cells])
        return Table(
            ["detector", *_FLAGGED], rows, title="At thresholds chosen without labels",
            protocol="Affiliation: random alarms get about 0.5 precision. Delay: over events "
            f"caught. {self.protocol}",
        )  # fmt: skip

    def _detectors(self) -> list[str]:
        return list(next(iter(self.parts.values())).scores)

    def _main(self) -> dict[str, np.ndarray]:
        """VUS-PR of each detector on every series that has it.

        Raises:
            UsageError: Fewer than two series have it.
        """
        parts = [part for part in self.parts.values() if not part.blank]
        if len(parts) < 2:
            raise UsageError(f"comparing over series needs two with events, got {len(parts)}")
        return {
            one: np.array([part.values[one][MAIN] for part in parts]) for one in self._detectors()
        }


_FLAGGED = dict.fromkeys(
    (
        "point F1", "event F1", "event recall", "range F1", "affiliation precision",
        "affiliation recall", "normal points flagged", "delay [points]",
    ), 1.0,
) | {"delay [points]": np.inf}  # fmt: skip


def _flags(part: Part, detector: str, threshold: Any) -> tuple[float, ...]:
    scores, truth = part.scores[detector], part.labels
    flag = threshold.flag(scores) if hasattr(threshold, "flag") else scores > float(threshold)
    near = affiliation(flag, truth)
    return (
        point_f1(flag, truth), event_f1(flag, truth), event_recall(flag, truth),
        range_f1(flag, truth), near.precision, near.recall, float(np.mean(flag[~truth])),
        delay(flag, truth).mean,
    )  # fmt: skip


def _mean(
    parts: Mapping[str, Part], detector: str, metric: str, *, level: float, seed: int
) -> Cell:
    """The mean over series, with an interval where there are several."""
    values = [part.values[detector][metric] for part in parts.values()]
    if metric == FOUND and detector != CHANCE and np.isfinite(values).sum() > 1:
        share = ucr_accuracy(values, level=level)
        return Measured(share.value, share.interval.low, share.interval.high)
    return _cell(values, most=1000.0 if metric == PRICE else 1.0, level=level, seed=seed)


def _cell(values: Sequence[float], *, most: float, level: float, seed: int) -> Cell:
    """Mean and interval of numbers from 0 to `most`."""
    kept = np.array([value for value in values if not np.isnan(value)])
    if len(kept) < 2:
        return float(kept[0]) if len(kept) else None
    interval = _over(kept, level=level, seed=seed)
    return Measured(float(kept.mean()), max(0.0, interval.low), min(most, interval.high))


def _over(values: np.ndarray, *, level: float, seed: int) -> Interval:
    if len(values) < _FEW:
        return student(values, level)
    return bootstrap(values, level=level, seed=seed)


def _protocol(series: int, *, recall: float, level: float) -> str:
    if series == 1:
        doubt = "One series: no interval, since its points depend on each other"
    else:
        how = "Student" if series < _FEW else "bootstrap"
        doubt = f"Means over series, intervals at {level:.0%} over series ({how}; {FOUND}: Wilson)"
    return (
        f"{doubt}. {CHANCE}: mean of {DRAWS} random scores. {FOUND}: the highest score lies in an "
        f"event or at most 100 points (or one buffer, if longer) beside it. {PRICE}: flagged "
        f"normal points per 1,000 where {recall:.0%} of the events are caught; lower is better. "
        "oracle: the threshold was chosen with the labels. Nothing is point-adjusted."
    )
