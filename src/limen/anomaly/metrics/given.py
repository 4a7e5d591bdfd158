"""What every metric is given: scores or alarms, and labels of the same points."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from limen._core.errors import UsageError
from limen.anomaly.events import as_labels
from limen.measure._numbers import flat

Scores = Float[np.ndarray, " time"]
Flags = Bool[np.ndarray, " time"]


def scored(scores: Any, labels: Any, *, name: str = "scores") -> tuple[Scores, Flags]:
    """Scores and labels of as many points.

    Args:
        scores: (time,) or (time, 1); higher = more anomalous.
        labels: (time,), 0 and 1; 1 = anomalous.
        name: What an error calls the scores.

    Returns:
        As float64 and as booleans.

    Raises:
        UsageError: Other lengths, other labels than 0 and 1, or scores that are not numbers.

    Example:
        >>> scored([1, 2], [0, 1])
        (array([1., 2.]), array([False,  True]))
    """
    _refuse_columns(name, scores)
    found = flat(name, scores)
    return found, as_labels(labels, len(found))


def flagged(predictions: Any, labels: Any) -> tuple[Flags, Flags]:
    """Alarms and labels of as many points.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm, as a detector's `predict` gives them.
        labels: (time,), 0 and 1; 1 = anomalous.

    Returns:
        Both as booleans.

    Raises:
        UsageError: Other lengths, or other values than 0 and 1.

    Example:
        >>> flagged([0, 1], [1, 1])
        (array([False,  True]), array([ True,  True]))
    """
    try:
        found = as_labels(predictions)
    except UsageError as wrong:
        raise UsageError(
            f"predictions, alarms of 0 and 1, are checked like labels: {wrong}; "
            "scores need a threshold first"
        ) from None
    return found, as_labels(labels, len(found))


def undefined(labels: Flags, *, negatives: bool = True) -> bool:
    """Whether a metric has no value here: no point is labelled, or every point is.

    Warns once where it is so.

    Args:
        labels: As `scored` gives them.
        negatives: Whether the metric needs points that are not labelled, too.

    Example:
        >>> undefined(np.array([True, False]))
        False
    """
    if labels.any() and not (negatives and labels.all()):
        return False
    what = "every point is" if labels.any() else "no point is"
    warnings.warn(f"{what} labelled anomalous: the metric is nan", UserWarning, stacklevel=3)
    return True


def f_score(precision: float, recall: float) -> float:
    """Their harmonic mean; 0 where nothing was predicted (precision nan) or both are 0.

    Example:
        >>> f_score(0.5, 1.0)
        0.6666666666666666
    """
    if np.isnan(precision) or precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def _refuse_columns(name: str, values: Any) -> None:
    shape = tuple(getattr(values, "shape", ()))
    if len(shape) > 1 and shape != (shape[0], 1):
        raise UsageError(f"{name} must be (time,), one for each point, got shape {shape}")
