"""One event a series: does the highest score point at it?"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import scored, undefined
from limen.measure.interval import Interval
from limen.measure.wilson import wilson


class Accuracy(NamedTuple):
    """Share of series whose event was found.

    Attributes:
        value: 0 to 1; higher is better.
        interval: Wilson's.
        series: How many there were.

    Example:
        >>> Accuracy(0.5, Interval(0.1, 0.9, 0.95), series=2).series
        2
    """

    value: float
    interval: Interval
    series: int


def ucr_found(scores: Any, labels: Any, *, margin: int = 100) -> float:
    """1 if the highest score lies in an event or at most `margin` points beside it, else 0.

    No threshold is chosen. Give it the part after the end of training alone. Of equal highest
    scores the first one counts.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1; the archive has one event in each series.
        margin: Points on either side that still count: 100 in the archive's contest, and the
            detector's window where that is longer.

    Returns:
        1.0 or 0.0; nan, with a warning, where no point is labelled.

    Raises:
        UsageError: `margin` is below 0, or other lengths.

    Reference:
        R. Wu and E. J. Keogh, "Current time series anomaly detection benchmarks are flawed and are
        creating the illusion of progress", IEEE TKDE, 2023, and its archive's contest.

    Example:
        >>> ucr_found([0.0, 0.0, 9.0, 0.0, 0.0], [0, 0, 0, 0, 1], margin=2)
        1.0
    """
    found, truth = scored(scores, labels)
    if margin < 0:
        raise UsageError(f"margin must be 0 or more points, got {margin}")
    if undefined(truth, negatives=False):
        return float("nan")
    peak = int(np.argmax(found))
    events = runs(truth)
    near = (events[:, 0] - margin <= peak) & (peak <= events[:, 1] - 1 + margin)
    return float(near.any())


def ucr_accuracy(found: Iterable[float], *, level: float = 0.95) -> Accuracy:
    """Share of series whose event was found, with Wilson's interval; higher is better.

    Args:
        found: What `ucr_found` gave for each series; nan is left out.
        level: Nominal coverage, between 0 and 1.

    Returns:
        The share, its interval and the number of series.

    Raises:
        UsageError: No series, another number than 0 and 1, or `level` out of range.

    Reference:
        R. Wu and E. J. Keogh, "Current time series anomaly detection benchmarks are flawed and are
        creating the illusion of progress", IEEE TKDE, 2021.

    Example:
        >>> accuracy = ucr_accuracy([1.0, 1.0, 1.0, 0.0])
        >>> accuracy.value, round(accuracy.interval.low, 3), round(accuracy.interval.high, 3)
        (0.75, 0.301, 0.954)
    """
    values = np.array(list(found), dtype=np.float64)
    values = values[~np.isnan(values)]
    if not len(values) or not np.isin(values, (0, 1)).all():
        raise UsageError("found must hold 1 or 0 for at least one series, as ucr_found gives them")
    hits = int(values.sum())
    return Accuracy(hits / len(values), wilson(hits, len(values), level=level), len(values))
