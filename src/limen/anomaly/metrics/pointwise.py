"""Alarms against labels, point by point."""

from typing import Any

import numpy as np

from limen.anomaly.metrics.given import flagged, undefined


def point_f1(predictions: Any, labels: Any) -> float:
    """F1 over points: 2 TP / (2 TP + FP + FN); higher is better.

    Nothing is adjusted: an event of which one point was flagged counts as one point. Give it
    alarms of a threshold that no label chose.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.

    Returns:
        0 to 1; nan, with a warning, where no point is labelled.

    Raises:
        UsageError: Other lengths, or other values than 0 and 1.

    Example:
        >>> point_f1([0, 1, 1, 0], [0, 1, 0, 1])
        0.5
    """
    alarm, truth = flagged(predictions, labels)
    if undefined(truth, negatives=False):
        return float("nan")
    hits = int(np.count_nonzero(alarm & truth))
    return 2 * hits / int(alarm.sum() + truth.sum())
