"""From scores to alarms: the stretches above a threshold, and how severe each is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.events import runs


@dataclass(frozen=True)
class Alarm:
    """A flagged stretch.

    Attributes:
        start: First point.
        end: The point after the last one.
        peak: Its greatest score.
        at: The point of the peak.
        severity: How far the peak lies above what is usual, in steps from usual to the threshold:
            1 at the threshold, 2 twice as far.
        channels: Those that the score is mostly due to, strongest first; () where not known.

    Example:
        >>> Alarm(3, 5, peak=2.0, at=4, severity=1.5).channels
        ()
    """

    start: int
    end: int
    peak: float
    at: int
    severity: float
    channels: tuple[int, ...] = ()


def flagged(
    scores: Float[np.ndarray, " time"],
    *,
    level: float,
    usual: float,
    join: int = 0,
    parts: Float[np.ndarray, "time channels"] | None = None,
) -> list[Alarm]:
    """The stretches whose scores lie above a level.

    Args:
        scores: Higher = more anomalous.
        level: The threshold; a point is flagged strictly above it.
        usual: What an ordinary point gets: the median of the training scores.
        join: Stretches with at most this many points between them are one.
        parts: Each channel's part of each score, for `Alarm.channels`: those that hold half of
            their sum over the stretch.

    Returns:
        In order of time.

    Raises:
        UsageError: `join` is below 0.

    Example:
        >>> found = flagged(np.array([0.0, 3.0, 0.0, 5.0]), level=2.0, usual=1.0, join=1)
        >>> [(one.start, one.end, one.at, one.severity) for one in found]
        [(1, 4, 3, 4.0)]
    """
    if join < 0:
        raise UsageError(f"join must be 0 or more, got {join}")
    spans: list[list[int]] = []
    for start, end in runs(scores > level).tolist():
        if spans and start - spans[-1][1] <= join:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    step = level - usual
    found = []
    for start, end in spans:
        at = start + int(np.argmax(scores[start:end]))
        peak = float(scores[at])
        severity = (peak - usual) / step if step > 0 else float("inf")
        channels = () if parts is None else leading(parts[start:end].sum(0))
        found.append(Alarm(start, end, peak, at, severity, channels))
    return found


def leading(parts: Any) -> tuple[int, ...]:
    """The fewest channels that hold half of the sum, strongest first.

    Args:
        parts: One number for each channel; those below 0 count as 0.

    Returns:
        Their numbers; () where nothing is above 0.

    Example:
        >>> leading([1.0, 5.0, 3.0])
        (1,)
    """
    found = np.clip(np.nan_to_num(np.asarray(parts, dtype=np.float64)), 0.0, None)
    if not found.sum() > 0:
        return ()
    order = np.argsort(-found, kind="stable")
    reached = np.cumsum(found[order]) / found.sum()
    return tuple(int(c) for c in order[: int(np.searchsorted(reached, 0.5 - 1e-12)) + 1])
