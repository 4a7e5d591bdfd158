"""Volume under the surface: ranking with a tolerance around every event, over all tolerances."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import Flags, Scores, scored, undefined
from limen.anomaly.windows import period

Variant = Literal["tsbad", "original"]
Areas = Float[np.ndarray, " buffers"]
RANKS = 250


class Volume(NamedTuple):
    """Both volumes of one surface; higher is better.

    Attributes:
        pr: Under precision and recall.
        roc: Under recall and false-alarm rate.

    Example:
        >>> Volume(pr=0.5, roc=0.8).roc
        0.8
    """

    pr: float
    roc: float


def vus_pr(
    scores: Any,
    labels: Any,
    *,
    window: int | None = None,
    series: Any = None,
    variant: str = "tsbad",
    ranks: int | None = RANKS,
) -> float:
    """VUS-PR: area under the tolerant precision-recall curve, mean over buffers; higher is better.

    For each buffer w = 0..window a point up to w // 2 outside an event counts as anomalous by
    e = sqrt(1 - distance / w), summed over events and cut at 1. At a threshold, with y the labels
    and f the flags (score >= threshold),

        TP = sum f (y + e),  recall = min(1, TP / P) * (share of widened events with a flag),
        precision = TP / sum f,  P = sum y + sum f e / 2,

    and the curve's area is the sum of (recall gained) * precision. Events that meet when widened
    are one. Exact: scores are ranked once, and each buffer costs what lies near events.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1.
        window: The widest buffer, points; compare detectors under the same one.
        series: Where `window` is None: the series, whose `period` is taken.
        variant: "tsbad", where a perfect score gets 1; "original", the definition first published,
            where slopes start on an event's last point, P is (sum y + sum (y + e)) / 2, and the
            area is a trapezoid's: a perfect score gets less than 1.
        ranks: How many thresholds, evenly spaced over the ranks of the scores, as published; None
            takes every distinct score.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: Neither window nor series, a number out of range, or what `auc_pr` refuses.

    Reference:
        J. Paparrizos, P. Boniol, T. Palpanas, R. S. Tsay, A. Elmore and M. J. Franklin, "Volume
        under the surface: a new accuracy evaluation measure for time-series anomaly detection",
        PVLDB, 2022 ("original"); Q. Liu and J. Paparrizos, "The elephant in the room: towards a
        reliable time-series anomaly detection benchmark", NeurIPS 2024, with its code ("tsbad").
        Where both are silent: ties by >=, and an event that ends the series is whole.

    Example:
        >>> vus_pr([0.0, 1.0, 0.0, 0.0], [0, 1, 0, 0], window=2)
        1.0
    """
    return vus(scores, labels, window=window, series=series, variant=variant, ranks=ranks).pr


def vus_roc(
    scores: Any,
    labels: Any,
    *,
    window: int | None = None,
    series: Any = None,
    variant: str = "tsbad",
    ranks: int | None = RANKS,
) -> float:
    """VUS-ROC: area under the tolerant ROC curve, mean over buffers; higher is better.

    As `vus_pr`, with the false-alarm rate (sum f - TP) / (time - P) against recall, trapezoids
    from (0, 0) to (1, 1). Random scores get more than 0.5, the more so the more short events
    there are: print `chance` beside it.

    Args:
        scores: As `vus_pr` takes them; so are all that follow.
        labels: Likewise.
        window: Likewise.
        series: Likewise.
        variant: Likewise.
        ranks: Likewise.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: What `vus_pr` refuses.

    Reference:
        As of `vus_pr`.

    Example:
        >>> vus_roc([0.0, 1.0, 0.0, 0.0], [0, 1, 0, 0], window=2)
        1.0
    """
    return vus(scores, labels, window=window, series=series, variant=variant, ranks=ranks).roc


def vus(
    scores: Any,
    labels: Any,
    *,
    window: int | None = None,
    series: Any = None,
    variant: str = "tsbad",
    ranks: int | None = RANKS,
) -> Volume:
    """VUS-PR and VUS-ROC of one surface, at the cost of one of them.

    Args:
        scores: As `vus_pr` takes them; so are all that follow.
        labels: Likewise.
        window: Likewise.
        series: Likewise.
        variant: Likewise.
        ranks: Likewise.

    Returns:
        Both; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: What `vus_pr` refuses.

    Reference:
        As of `vus_pr`.

    Example:
        >>> vus([0.0, 1.0, 0.0, 0.0], [0, 1, 0, 0], window=2)
        Volume(pr=1.0, roc=1.0)
    """
    found, truth = scored(scores, labels)
    if variant not in get_args(Variant):
        raise UsageError(f"variant={variant!r} must be one of {', '.join(get_args(Variant))}")
    if ranks is not None and ranks < 2:
        raise UsageError(f"ranks must be 2 or more, or None for every score, got {ranks}")
    widest = _window(window, series)
    if undefined(truth):
        return Volume(float("nan"), float("nan"))
    pr, roc = areas(found, truth, buffers=range(widest + 1), variant=variant, ranks=ranks)
    return Volume(float(pr.mean()), float(roc.mean()))


def areas(
    scores: Scores,
    labels: Flags,
    *,
    buffers: Iterable[int],
    variant: str = "tsbad",
    ranks: int | None = RANKS,
) -> tuple[Areas, Areas]:
    """The areas under the tolerant PR and ROC curves, one for each buffer.

    Args:
        scores: As `scored` gives them.
        labels: With points of both kinds.
        buffers: Points, 0 or more each.
        variant: As of `vus_pr`.
        ranks: As of `vus_pr`.

    Returns:
        PR and ROC.

    Example:
        >>> areas(np.array([0.0, 1.0]), np.array([False, True]), buffers=[0])
        (array([1.]), array([1.]))
    """
    wanted = list(buffers)
    surface = _Surface(scores, labels, widest=max(wanted), variant=variant, ranks=ranks)
    found = np.array([surface.area(buffer) for buffer in wanted])
    return found[:, 0], found[:, 1]


class _Surface:
    """What all buffers share: the thresholds, which points each flags, and who is near an event."""

    def __init__(
        self, scores: Scores, labels: Flags, *, widest: int, variant: str, ranks: int | None
    ) -> None:
        self.size, self.variant = len(scores), variant
        ascending = np.sort(scores)
        if ranks is None:
            levels = np.unique(ascending)[::-1]
        else:
            levels = ascending[::-1][np.linspace(0, self.size - 1, ranks).astype(np.int64)]
        self.count = len(levels)
        self.flagged = self.size - np.searchsorted(ascending, levels, side="left")
        # of each point the first threshold, strictest first, that flags it
        self.first = np.searchsorted(-levels, -scores, side="left")
        self.events, self.positives = runs(labels), int(labels.sum())
        self.hits = self._upto(self.first[labels])
        self._near(labels, widest // 2)

    def _near(self, labels: Flags, reach: int) -> None:
        """Points at most `reach` beside an event, and how soon a widened event is flagged."""
        starts, lasts = self.events[:, :1], self.events[:, 1:] - 1
        steps = np.arange(1, reach + 1)
        points = np.stack([starts - steps, lasts + steps])  # before and after each event
        within = (points >= 0) & (points < self.size)
        points = points.clip(0, self.size - 1)
        kept = within & ~labels[points]
        self.distance = np.broadcast_to(steps, points.shape)[kept].astype(np.float64)
        self.after = np.broadcast_to([[[False]], [[True]]], points.shape)[kept]
        self.points, self.place = np.unique(points[kept], return_inverse=True)
        # of each event, widened by 0..reach on either side, the first threshold that flags a point
        core = np.minimum.reduceat(np.append(self.first, self.count), self.events.ravel())[::2]
        beside = np.where(within, self.first[points], self.count)
        both = np.concatenate([np.tile(core[:, None], (2, 1, 1)), beside], axis=2)
        self.soonest = np.minimum.accumulate(both, axis=2)

    def area(self, buffer: int) -> tuple[float, float]:
        """Under the PR and under the ROC curve."""
        before = after = buffer // 2
        if self.variant == "original":  # the slope after an event starts on its last point
            before, after = (before, after - 1) if buffer > 1 else (0, 0)
        credit = self._credit(buffer, before, after)
        near = self._upto(self.first[self.points], credit)
        true = self.hits + near
        total = near if self.variant == "tsbad" else credit.sum()
        positives = self.positives + total / 2
        recall = np.minimum(true / positives, 1) * self._existing(before, after)
        false = (self.flagged - true) / (self.size - positives)
        if self.variant == "original":
            false = np.minimum(false, 1)
        return self._pr(recall, true / self.flagged), _roc(recall, false)

    def _credit(self, buffer: int, before: int, after: int) -> Float[np.ndarray, " near"]:
        """How far each point near an event counts as anomalous."""
        reached = self.distance <= np.where(self.after, after, before)
        slope = np.sqrt(1 - self.distance[reached] / max(buffer, 1))
        return np.bincount(self.place[reached], slope, len(self.points)).clip(max=1.0)

    def _existing(self, before: int, after: int) -> Float[np.ndarray, " levels"]:
        """At each threshold the share of widened events with a flag."""
        soonest = np.minimum(self.soonest[0, :, before], self.soonest[1, :, after])
        gaps = self.events[1:, 0] - self.events[:-1, 1]
        # widened events that share a point are one; in the original also those that touch
        apart = gaps >= before + after + (self.variant == "original")
        groups = np.minimum.reduceat(soonest, np.flatnonzero(np.append(True, apart)))
        return self._upto(groups) / len(groups)

    def _upto(
        self, first: Int[np.ndarray, " _"], weights: Float[np.ndarray, " _"] | None = None
    ) -> Float[np.ndarray, " levels"]:
        """At each threshold how many are flagged, or the sum of their weights."""
        counts = np.bincount(first, weights, self.count + 1)
        return np.cumsum(counts[: self.count]).astype(np.float64)

    def _pr(self, recall: np.ndarray, precision: np.ndarray) -> float:
        if self.variant == "original":
            precision = (precision + np.append(1.0, precision[:-1])) / 2
        return float(np.sum(np.diff(recall, prepend=0) * precision))


def _roc(recall: np.ndarray, false: np.ndarray) -> float:
    up, across = np.concatenate([[0], recall, [1]]), np.concatenate([[0], false, [1]])
    return float(np.sum(np.diff(across) * (up[1:] + up[:-1]) / 2))


def _window(window: int | None, series: Any) -> int:
    if window is None and series is None:
        raise UsageError(
            "VUS needs window=, the widest buffer in points, or series=, whose period is taken"
        )
    found = period(series) if window is None else window
    if found < 0:
        raise UsageError(f"window must be 0 or more points, got {found}")
    return found
