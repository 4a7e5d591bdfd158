"""How near alarms lie to events, each event in a zone of its own."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from limen.anomaly.events import runs
from limen.anomaly.metrics.given import f_score, flagged, undefined

Spans = Float[np.ndarray, "spans 2"]


class Affiliation(NamedTuple):
    """Affiliation precision and recall; higher is better, and neither means much alone.

    Attributes:
        precision: How near alarms lie to events; random alarms get about 0.5.
        recall: How near events lie to alarms; dense random alarms get almost 1.

    Example:
        >>> round(Affiliation(precision=0.5, recall=1.0).f1, 4)
        0.6667
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Their harmonic mean; nan where recall is. Random alarms get about 0.67."""
        return self.recall if np.isnan(self.recall) else f_score(self.precision, self.recall)


def affiliation(predictions: Any, labels: Any) -> Affiliation:
    """Affiliation precision and recall: distances between alarms and events, as chances.

    Time is cut half-way between neighbouring events into zones, one for each event J. In a zone E,
    with A the time that is flagged and X a uniform point of E,

        precision = mean over x in A of P(dist(X, J) >= dist(x, J)),
        recall    = mean over y in J of P(abs(X - y) >= dist(y, A)),

    so an alarm a little beside an event gets almost all, and one no nearer than chance gets a half.
    Precision is the mean over the zones with alarms, recall over all, 0 in those without. Point t
    covers the time t to t + 1. Exact: both integrands are piecewise linear.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.

    Returns:
        Both; precision nan where nothing is flagged, both nan, with a warning, where no point is
        labelled.

    Raises:
        UsageError: Other lengths, or other values than 0 and 1.

    Reference:
        A. Huet, J. M. Navarro and D. Rossi, "Local evaluation of time series anomaly detection
        algorithms", KDD 2022.

    Example:
        >>> found = affiliation([0, 0, 0, 0, 1, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0, 0, 1, 1, 1])
        >>> round(found.precision, 2), round(found.recall, 2)
        (0.82, 0.84)
    """
    alarm, truth = flagged(predictions, labels)
    if undefined(truth, negatives=False):
        return Affiliation(float("nan"), float("nan"))
    events, found = runs(truth).astype(np.float64), runs(alarm).astype(np.float64)
    middles = (events[:-1, 1] + events[1:, 0]) / 2
    edges = np.concatenate([[0.0], middles, [float(len(truth))]])
    precisions, recalls = [], []
    for event, zone in zip(events, np.stack([edges[:-1], edges[1:]], axis=1), strict=True):
        first = np.searchsorted(found[:, 1], zone[0], side="right")
        last = np.searchsorted(found[:, 0], zone[1], side="left")
        if first >= last:
            recalls.append(0.0)
            continue
        inside = found[first:last].clip(*zone)
        precisions.append(_precision(inside, event, zone))
        recalls.append(_recall(inside, event, zone))
    precision = float(np.mean(precisions)) if precisions else float("nan")
    return Affiliation(precision, float(np.mean(recalls)))


def _precision(found: Spans, event: np.ndarray, zone: np.ndarray) -> float:
    """The mean over flagged time of the chance of a random point to lie no nearer to the event."""
    room = np.abs(zone - event)  # before and after the event
    within = np.diff(found.clip(*event)).sum()  # there the chance is 1
    total = within
    for near, far in (
        (event[0] - found[:, 1], event[0] - found[:, 0]),
        (found[:, 0] - event[1], found[:, 1] - event[1]),
    ):
        near, far = np.maximum(near, 0), np.maximum(far, 0)
        hit = _overlap(far, room).sum() - _overlap(near, room).sum()
        width = float(zone[1] - zone[0])
        total += ((far - near) * (1 - (event[1] - event[0]) / width)).sum() - hit / width
    return float(total / np.diff(found).sum())


def _overlap(distance: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Integral from 0 to `distance` of min(d, room before) + min(d, room after)."""
    reached = np.minimum(distance[:, None], room)
    return (reached**2 / 2 + room * (distance[:, None] - reached)).sum(1)


def _recall(found: Spans, event: np.ndarray, zone: np.ndarray) -> float:
    """The mean over the event of the chance of a random point to lie no nearer than an alarm."""
    edges = found.ravel()
    # between these the distance to the nearest alarm, and how much lies nearer, are linear
    halfway = (found[:-1, 1] + found[1:, 0]) / 2
    corners = np.concatenate([edges, halfway, (edges + zone[0]) / 2, (edges + zone[1]) / 2, event])
    y = np.unique(corners.clip(*event))
    after = np.searchsorted(found[:, 0], y, side="right")  # alarms that have begun
    since = y - np.append(-np.inf, found[:, 1])[after]
    until = np.append(found[:, 0], np.inf)[after] - y
    distance = np.maximum(np.minimum(since, until), 0)
    nearer = np.minimum(distance, y - zone[0]) + np.minimum(distance, zone[1] - y)
    chance = 1 - nearer / (zone[1] - zone[0])
    return float(np.sum(np.diff(y) * (chance[1:] + chance[:-1]) / 2) / (event[1] - event[0]))
