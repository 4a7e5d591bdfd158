"""How soon an event is noticed."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import flagged, undefined

Profile = Literal["standard", "few_false", "few_missed"]
_WEIGHTS = {"standard": (0.11, 1.0), "few_false": (0.22, 1.0), "few_missed": (0.11, 2.0)}


class Delay(NamedTuple):
    """How many points pass from an event's start to its first alarm; lower is better.

    Attributes:
        mean: Over the events that were found; nan where none was.
        median: Likewise.
        found: How many events were found; a delay without it says nothing.
        events: Of how many.

    Example:
        >>> Delay(mean=2.0, median=2.0, found=1, events=3).found
        1
    """

    mean: float
    median: float
    found: int
    events: int


def delay(predictions: Any, labels: Any) -> Delay:
    """Points from an event's start to its first alarm, over the events found; lower is better.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1.

    Returns:
        Mean and median, and how many events they rest on; nan, with a warning, where no point is
        labelled.

    Raises:
        UsageError: Other lengths, or other values than 0 and 1.

    Example:
        >>> delay([0, 0, 1, 0, 0, 0], [0, 1, 1, 0, 1, 1])
        Delay(mean=1.0, median=1.0, found=1, events=2)
    """
    alarm, truth = flagged(predictions, labels)
    if undefined(truth, negatives=False):
        return Delay(float("nan"), float("nan"), 0, 0)
    events = runs(truth)
    waited = _first(alarm, events) - events[:, 0]
    waited = waited[np.isfinite(waited)]
    if not len(waited):
        return Delay(float("nan"), float("nan"), 0, len(events))
    return Delay(float(waited.mean()), float(np.median(waited)), len(waited), len(events))


def nab_score(predictions: Any, labels: Any, *, profile: str = "standard") -> float:
    """Score of the Numenta benchmark: early alarms earn, false ones cost; 100 is the best.

    With sigma(y) = 2 / (1 + e^(5 y)) - 1, an event earns sigma(y) / sigma(-1) at its first alarm,
    where y goes from -1 at its first point to 0 past its last; a flagged normal point costs
    -sigma(y) times the weight of false alarms, y the distance past the event before it in lengths
    of that event, and the whole weight beyond 3 or before the first event; an event without alarm
    costs its weight. The sum is scaled so that no alarm at all gets 0 and perfect ones get 100.
    It can be far below 0.

    Args:
        predictions: (time,), 0 and 1; 1 = alarm.
        labels: (time,), 0 and 1; each stretch is one of the benchmark's windows.
        profile: Weights of a false alarm and of a missed event: "standard" .11 and 1; "few_false"
            .22 and 1; "few_missed" .11 and 2.

    Returns:
        At most 100; nan, with a warning, where no point is labelled.

    Raises:
        UsageError: Another profile, other lengths, or other values than 0 and 1.

    Reference:
        A. Lavin and S. Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta
        anomaly benchmark", ICMLA 2015, and its code. Departure: windows are the labelled stretches;
        the benchmark widens its labels to a tenth of the series, and leaves out a first part.

    Example:
        >>> nab_score([0, 0, 1, 0, 0], [0, 0, 1, 1, 0]), nab_score([0] * 5, [0, 0, 1, 1, 0])
        (100.0, 0.0)
    """
    alarm, truth = flagged(predictions, labels)
    if profile not in _WEIGHTS:
        raise UsageError(f"profile={profile!r} must be one of {', '.join(get_args(Profile))}")
    if undefined(truth, negatives=False):
        return float("nan")
    false, missed = _WEIGHTS[profile]
    events = runs(truth)
    length = events[:, 1] - events[:, 0]
    first = _first(alarm, events)
    found = np.isfinite(first)
    earned = sigmoid((first - events[:, 1])[found] / length[found]) / sigmoid(np.array(-1.0))
    wrong = np.flatnonzero(alarm & ~truth)
    before = np.searchsorted(events[:, 1], wrong, side="right") - 1
    past = (wrong - (events[before, 1] - 1)) / np.maximum(length[before] - 1, 1)
    cost = np.where(before < 0, -1.0, sigmoid(past))
    raw = earned.sum() + false * cost.sum() - missed * np.count_nonzero(~found)
    worst = -missed * len(events)
    return float(100 * (raw - worst) / (len(events) - worst))


def sigmoid(place: Float[np.ndarray, "*places"]) -> Float[np.ndarray, "*places"]:
    """The benchmark's scaled sigmoid, 1 to -1, falling; -1 beyond 3.

    Args:
        place: In lengths of the event; -1 its start, 0 past its end.

    Example:
        >>> sigmoid(np.array([-1.0, 0.0, 3.5])).round(5)
        array([ 0.98661,  0.     , -1.     ])
    """
    return np.where(place > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(place, 3))) - 1)


def _first(alarm: np.ndarray, events: np.ndarray) -> Float[np.ndarray, " events"]:
    """The first flagged point of each event; infinite where there is none."""
    points = np.append(np.flatnonzero(alarm).astype(np.float64), np.inf)
    first = points[np.searchsorted(points, events[:, 0], side="left")]
    return np.where(first < events[:, 1], first, np.inf)
