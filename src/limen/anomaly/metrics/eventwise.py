"""Alarms against labels, event by event."""

from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Int

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import Flags, f_score, flagged, undefined

Variant = Literal["events", "tsbad"]
NAN = float("nan")


def event_recall(predictions: Any, labels: Any) -> float:
    """Share of events of which at least one point is flagged; higher is better.

    Flagging everything gets 1: read it beside `event_precision`, or at a price, as `alarms` does.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.

    Returns:
        0 to 1; nan, with a warning, where no point is labelled.

    Raises:
        UsageError: Other lengths, or other values than 0 and 1.

    Example:
        >>> event_recall([0, 1, 0, 0], [1, 1, 0, 1])
        0.5
    """
    alarm, truth = flagged(predictions, labels)
    return NAN if undefined(truth, negatives=False) else _recall(alarm, truth)


def event_precision(predictions: Any, labels: Any, *, variant: str = "events") -> float:
    """Share of alarms that are right, so counted that flagging everything gets 0; up is better.

    "events": events found / (events found + alarmed stretches that touch no event), times the
    share of normal points that are not flagged. "tsbad": precision over points.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.
        variant: The definition.

    Returns:
        0 to 1; nan where nothing is flagged, and, with a warning, where no point or every point
        is labelled.

    Raises:
        UsageError: Another variant, other lengths, or other values than 0 and 1.

    Reference:
        M. El Amine Sehili and Z. Zhang, "Multivariate time series anomaly detection: fancy
        algorithms and flawed evaluation methodology", TPCTC 2023, as in the library
        dtaianomaly ("events"); the code of TSB-AD, NeurIPS 2024 ("tsbad").

    Example:
        >>> event_precision([0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0])    # 1 of 2 alarms; 4 of 5 quiet
        0.4
    """
    alarm, truth = flagged(predictions, labels)
    _refuse(variant)
    return NAN if undefined(truth) else _precision(alarm, truth, variant)


def event_f1(predictions: Any, labels: Any, *, variant: str = "events") -> float:
    """Harmonic mean of event recall and precision; higher is better.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.
        variant: "events" counts precision in alarms, as `event_precision`; "tsbad" mixes recall of
            events with precision over points, so that an event's length weighs on one side only.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: Another variant, other lengths, or other values than 0 and 1.

    Reference:
        As of `event_precision`. Departure from the code of TSB-AD: the last point of an event that
        ends the series belongs to it.

    Example:
        >>> alarm, truth = [0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]
        >>> round(event_f1(alarm, truth), 4), round(event_f1(alarm, truth, variant="tsbad"), 4)
        (0.5714, 0.6667)
    """
    alarm, truth = flagged(predictions, labels)
    _refuse(variant)
    if undefined(truth):
        return NAN
    return f_score(_precision(alarm, truth, variant), _recall(alarm, truth))


def touched(spans: Int[np.ndarray, "spans 2"], flags: Flags) -> Bool[np.ndarray, " spans"]:
    """Of each span whether a point in it is flagged.

    Args:
        spans: Half-open.
        flags: Of each point.

    Example:
        >>> touched(np.array([[0, 2], [2, 3]]), np.array([False, True, False]))
        array([ True, False])
    """
    before = np.append(0, np.cumsum(flags))
    return before[spans[:, 1]] > before[spans[:, 0]]


def _recall(alarm: Flags, truth: Flags) -> float:
    return float(touched(runs(truth), alarm).mean())


def _precision(alarm: Flags, truth: Flags, variant: str) -> float:
    if not alarm.any():
        return NAN
    if variant == "tsbad":
        return float(truth[alarm].mean())
    found = int(touched(runs(truth), alarm).sum())
    wrong = int((~touched(runs(alarm), truth)).sum())
    return found / (found + wrong) * float(1 - alarm[~truth].mean())


def _refuse(variant: str) -> None:
    if variant not in get_args(Variant):
        raise UsageError(f"variant={variant!r} must be one of {', '.join(get_args(Variant))}")
