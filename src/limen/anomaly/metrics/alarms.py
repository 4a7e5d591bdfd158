"""What an operator pays: false alarms, at every share of events caught."""

from typing import Any, Literal, get_args

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import scored
from limen.measure.tradeoff import Tradeoff

Count = Literal["points", "runs"]


def alarms(
    scores: Any,
    labels: Any,
    *,
    count: str = "points",
    points_per_day: float | None = None,
    name: str = "",
) -> Tradeoff:
    """Events caught (gain, up) against false alarms per 1,000 points (price), at each threshold.

    An event is caught once one of its points is flagged, so a threshold matters only where it
    passes an event's highest score: one setting for each such height, and a first one that flags
    nothing. `alarms(...).at(gain=0.9)` is what catching 90 % of the events costs. The labels chose
    that threshold; it is an oracle's.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1, with points of both kinds.
        count: "points", every flagged normal point is a false alarm; "runs", a stretch of flagged
            normal points is one, and a looser threshold, which may weld two into one, is never
            said to cost less than a stricter one.
        points_per_day: How many points a day has; then the price is per day.
        name: Whose scores they are.

    Returns:
        Price per 1,000 normal points, or per day; knob = threshold, and what lies strictly above
        it is flagged.

    Raises:
        UsageError: No labelled or no normal point, another `count`, a rate not above 0, or other
            lengths.

    Example:
        >>> found = alarms([0.0, 5.0, 1.0, 3.0, 0.0], [0, 1, 0, 0, 1])
        >>> found.at(gain=0.5).price, found.at(gain=1.0).price    # 3 of 3 normal points
        (0.0, 1000.0)
    """
    found, truth = scored(scores, labels)
    if count not in get_args(Count):
        raise UsageError(f"count={count!r} must be one of {', '.join(get_args(Count))}")
    if points_per_day is not None and not points_per_day > 0:
        raise UsageError(f"points_per_day must be above 0, got {points_per_day}")
    if not truth.any() or truth.all():
        raise UsageError("alarms need labelled points and others; labels are all the same")
    events = runs(truth)
    peaks = np.sort(np.maximum.reduceat(np.append(found, -np.inf), events.ravel())[::2])
    heights = np.unique(peaks)[::-1]
    caught = (len(peaks) - np.searchsorted(peaks, heights, side="left")) / len(peaks)
    normal = found[~truth]
    false = _at_least(normal, heights)
    if count == "runs":  # a run starts where a point is flagged and the one before it is not
        beside = ~truth[1:] & ~truth[:-1]
        false = false - _at_least(np.minimum(found[1:], found[:-1])[beside], heights)
        false = np.maximum.accumulate(false)
    per, of = (1000.0, "1,000 points") if points_per_day is None else (points_per_day, "day")
    what = "false alarms" if count == "points" else "stretches of false alarms"
    ascending = np.unique(found)
    below = np.searchsorted(ascending, heights, side="left") - 1
    knobs = np.where(below >= 0, ascending[below.clip(0)], -np.inf)
    return Tradeoff(
        np.append(0.0, false * per / len(normal)),
        np.append(0.0, caught),
        np.append(ascending[-1], knobs),
        name=name,
        price_name=f"{what} per {of}",
        gain_name="share of events caught",
        knob_name="threshold",
    )


def _at_least(values: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """How many values reach each height."""
    return len(values) - np.searchsorted(np.sort(values), heights, side="left")
