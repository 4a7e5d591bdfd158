"""What a threshold promised, and what it does."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.events import as_labels
from limen.measure._numbers import flat
from limen.measure.wilson import wilson
from limen.report.measured import Measured


@dataclass(frozen=True)
class Coverage:
    """What a threshold promised, and what it did on normal points.

    Attributes:
        promised: Share of false alarms asked for.
        measured: Share found, with Wilson's interval.
        points: Normal points that were looked at.

    Example:
        >>> from limen.anomaly.thresholds import Quantile
        >>> threshold = Quantile(0.1).fit(np.arange(100.0))
        >>> coverage(threshold, np.arange(100.0)).measured.value
        0.1
    """

    promised: float
    measured: Measured
    points: int


def coverage(threshold: Any, scores: Any, labels: Any = None, *, level: float = 0.95) -> Coverage:
    """How often a fitted threshold flags normal points, beside what it promised.

    Points of a series depend on each other, so the interval, which takes them for independent, is
    too narrow; it is a lower bound on the doubt.

    Args:
        threshold: `Quantile`, `POT`, `limen.Threshold`, or what has `flag` and `expected`.
        scores: Of points that it was not fitted on.
        labels: 1 where a point is anomalous, and so does not count; None: all are normal.
        level: Nominal coverage of the interval, between 0 and 1.

    Returns:
        Both shares.

    Raises:
        UsageError: Not fitted, another number of labels, or no normal point.

    Example:
        >>> from limen.anomaly.thresholds import Quantile
        >>> threshold = Quantile(0.5).fit([0.0, 1.0, 2.0])
        >>> found = coverage(threshold, [0.5, 1.5, 9.0], [0, 0, 1])
        >>> found.promised, found.measured.value, found.points
        (0.5, 0.5, 2)
    """
    found = flat("scores", scores)
    if labels is not None:
        found = found[~as_labels(labels, len(found))]
    if not len(found):
        raise UsageError("coverage needs a normal point; every point is labelled anomalous")
    hits = int(np.count_nonzero(threshold.flag(found)))
    interval = wilson(hits, len(found), level=level)
    measured = Measured(hits / len(found), interval.low, interval.high)
    return Coverage(float(threshold.expected), measured, len(found))
