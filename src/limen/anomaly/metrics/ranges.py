"""Precision and recall of stretches: how much of each was found, where, and in how many pieces."""

from typing import Any, Literal, get_args

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import Flags, f_score, flagged, undefined

Bias = Literal["flat", "front", "middle", "back"]
Cardinality = Literal["one", "reciprocal"]
NAN = float("nan")


def range_recall(
    predictions: Any,
    labels: Any,
    *,
    alpha: float = 0.0,
    bias: str = "flat",
    cardinality: str = "reciprocal",
) -> float:
    """How much of each event was flagged, mean over events; higher is better.

    An event gets alpha * (is any point flagged) + (1 - alpha) * gamma * omega. omega is the share
    of its points that are flagged, weighted by their place; gamma is 1 / pieces, so that an event
    found in several pieces is worth less.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.
        alpha: What bare existence is worth, 0 to 1.
        bias: Which points of an event weigh most: "flat" none, "front" the first, "back" the last,
            "middle", linearly.
        cardinality: gamma: "reciprocal", 1 / pieces; "one", 1.

    Returns:
        0 to 1; nan, with a warning, where no point is labelled.

    Raises:
        UsageError: `alpha` out of range, another word, other lengths, or other values than 0, 1.

    Reference:
        N. Tatbul, T. J. Lee, S. Zdonik, M. Alam and J. Gottschlich, "Precision and recall for time
        series", NeurIPS 2018, equations 4 to 7.

    Example:
        >>> range_recall([0, 1, 0, 1, 0], [1, 1, 0, 1, 0])    # half of one, all of the other
        0.75
    """
    alarm, truth = flagged(predictions, labels)
    _refuse(alpha, bias, cardinality)
    if undefined(truth, negatives=False):
        return NAN
    return _found(truth, alarm, alpha=alpha, bias=bias, cardinality=cardinality)


def range_precision(
    predictions: Any,
    labels: Any,
    *,
    bias: str = "flat",
    cardinality: str = "reciprocal",
) -> float:
    """How much of each alarmed stretch is anomalous, mean over stretches; higher is better.

    `range_recall` with the roles changed, and nothing for bare existence.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.
        bias: As of `range_recall`.
        cardinality: As of `range_recall`.

    Returns:
        0 to 1; nan where nothing is flagged, and, with a warning, where no point is labelled.

    Raises:
        UsageError: Another word, other lengths, or other values than 0 and 1.

    Reference:
        As of `range_recall`.

    Example:
        >>> range_precision([0, 1, 1, 0, 1], [0, 1, 0, 0, 0])    # half of one, none of the other
        0.25
    """
    alarm, truth = flagged(predictions, labels)
    _refuse(0.0, bias, cardinality)
    if undefined(truth, negatives=False) or not alarm.any():
        return NAN
    return _found(alarm, truth, alpha=0.0, bias=bias, cardinality=cardinality)


def range_f1(
    predictions: Any,
    labels: Any,
    *,
    alpha: float = 0.0,
    bias: str = "flat",
    cardinality: str = "reciprocal",
) -> float:
    """Harmonic mean of range recall and precision; higher is better.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.
        alpha: Of the recall; TSB-AD takes 0.2, aeon 0.5.
        bias: Of both.
        cardinality: Of both.

    Returns:
        0 to 1; nan, with a warning, where no point is labelled.

    Raises:
        UsageError: What `range_recall` refuses.

    Reference:
        As of `range_recall`.

    Example:
        >>> range_f1([0, 1, 1, 0], [0, 1, 0, 0])    # precision 1/2, recall 1
        0.6666666666666666
    """
    alarm, truth = flagged(predictions, labels)
    _refuse(alpha, bias, cardinality)
    if undefined(truth, negatives=False):
        return NAN
    if not alarm.any():
        return 0.0
    return f_score(
        _found(alarm, truth, alpha=0.0, bias=bias, cardinality=cardinality),
        _found(truth, alarm, alpha=alpha, bias=bias, cardinality=cardinality),
    )


def _found(wanted: Flags, other: Flags, *, alpha: float, bias: str, cardinality: str) -> float:
    """The mean over stretches of `wanted` of how well `other` covers each."""
    spans, others = runs(wanted), runs(other)
    pieces = np.searchsorted(others[:, 0], spans[:, 1], side="left")
    pieces = pieces - np.searchsorted(others[:, 1], spans[:, 0], side="right")
    whose = np.repeat(np.arange(len(spans)), spans[:, 1] - spans[:, 0])
    weight = _weights(spans, bias)
    omega = np.bincount(whose, weight * other[wanted]) / np.bincount(whose, weight)
    gamma = 1 / np.maximum(pieces, 1) if cardinality == "reciprocal" else 1.0
    return float(np.mean(alpha * (pieces > 0) + (1 - alpha) * gamma * omega))


def _weights(spans: np.ndarray, bias: str) -> np.ndarray:
    """What each point of the spans weighs by its place, one after the other."""
    length = np.repeat(spans[:, 1] - spans[:, 0], spans[:, 1] - spans[:, 0])
    starts = np.cumsum(spans[:, 1] - spans[:, 0]) - (spans[:, 1] - spans[:, 0])
    place = 1 + np.arange(len(length)) - np.repeat(starts, spans[:, 1] - spans[:, 0])
    left = length - place + 1
    return {
        "flat": np.ones(len(length)),
        "front": left.astype(np.float64),
        "middle": np.minimum(place, left).astype(np.float64),
        "back": place.astype(np.float64),
    }[bias]


def _refuse(alpha: float, bias: str, cardinality: str) -> None:
    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha must be 0 to 1, got {alpha}")
    if bias not in get_args(Bias):
        raise UsageError(f"bias={bias!r} must be one of {', '.join(get_args(Bias))}")
    if cardinality not in get_args(Cardinality):
        known = ", ".join(get_args(Cardinality))
        raise UsageError(f"cardinality={cardinality!r} must be one of {known}")
