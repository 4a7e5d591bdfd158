"""The F1 that a threshold chosen with the labels would get: never a detector's result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.metrics.affiliation import affiliation
from limen.anomaly.metrics.eventwise import event_f1
from limen.anomaly.metrics.given import Flags, Scores, scored, undefined
from limen.anomaly.metrics.ranges import range_f1

Kind = Literal["point", "event", "range", "affiliation"]
Variant = Literal["exact", "tsbad"]
_CROWD = 1e-5  # what the code of TSB-AD adds to the denominator


@dataclass(frozen=True)
class Oracle:
    """A best value, and the threshold that the labels chose for it.

    Attributes:
        value: 0 to 1.
        threshold: What lies strictly above it is flagged; -inf flags everything.
        stamp: "oracle", for tables.

    Example:
        >>> str(Oracle(0.5, 2.0))
        '0.5 (oracle)'
    """

    value: float
    threshold: float
    stamp: str = "oracle"

    def __float__(self) -> float:
        """The value."""
        return self.value

    def __str__(self) -> str:
        return f"{self.value:g} ({self.stamp})"


def best_f1_oracle(
    scores: Any,
    labels: Any,
    *,
    kind: str = "point",
    variant: str = "exact",
    levels: int = 250,
) -> Oracle:
    """The best F1 over all thresholds, chosen with the labels: an upper bound, no result.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1.
        kind: Of points, events, ranges or affiliation: the F1 of that name.
        variant: "exact" takes every distinct score as threshold for points, and for the other
            kinds at most `levels` of them, evenly spaced. "tsbad": for points 1e-5 is added to
            precision + recall, so that a perfect score gets .999995; for the others 100 equal steps
            from the least to the greatest score, events by `variant="tsbad"`, ranges with
            alpha = 0.2.
        levels: Thresholds of the kinds that have no fast way, at least 1.

    Returns:
        Value and threshold; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: Another word, `levels` below 1, or what the scores and labels are refused for.

    Reference:
        The code of TSB-AD: Q. Liu and J. Paparrizos, NeurIPS 2024 ("tsbad").

    Example:
        >>> best_f1_oracle([0.0, 3.0, 1.0, 2.0], [0, 1, 0, 1])
        Oracle(value=1.0, threshold=1.0, stamp='oracle')
    """
    found, truth = scored(scores, labels)
    for word, known, name in ((kind, Kind, "kind"), (variant, Variant, "variant")):
        if word not in get_args(known):
            raise UsageError(f"{name}={word!r} must be one of {', '.join(get_args(known))}")
    if levels < 1:
        raise UsageError(f"levels must be 1 or more, got {levels}")
    if undefined(truth):
        return Oracle(float("nan"), float("nan"))
    if kind == "point":
        return best_points(found, truth, crowd=_CROWD if variant == "tsbad" else 0.0)
    heights = (
        np.linspace(found.min(), found.max(), 100)
        if variant == "tsbad"
        else _spread(np.append(-np.inf, np.unique(found)), levels)
    )
    values = [_f1(kind, variant)(found > height, truth) for height in heights]
    best = int(np.argmax(values))
    return Oracle(values[best], float(heights[best]))


def best_points(
    scores: Scores, labels: Flags, *, crowd: float = 0.0, above: float = -np.inf
) -> Oracle:
    """The best F1 of points over every distinct score, from one sort.

    Args:
        scores: As `scored` gives them.
        labels: Likewise, with at least one.
        crowd: Added to precision + recall.
        above: Thresholds flag only what lies strictly above it, at most.

    Returns:
        Value and threshold.

    Example:
        >>> best_points(np.array([0.0, 1.0]), np.array([False, True])).value
        1.0
    """
    ascending, positive = np.unique(scores), np.sort(scores[labels])
    heights = ascending[ascending > above]
    if not len(heights):
        return Oracle(0.0, float(above))
    hits = len(positive) - np.searchsorted(positive, heights, side="left")
    flags = len(scores) - np.searchsorted(np.sort(scores), heights, side="left")
    precision, recall = hits / flags, hits / len(positive)
    total = np.maximum(precision + recall + crowd, 1e-300)
    values = 2 * precision * recall / total
    best = int(np.argmax(values))
    below = ascending[ascending < heights[best]]
    return Oracle(float(values[best]), float(below[-1]) if len(below) else float("-inf"))


def _f1(kind: str, variant: str) -> Callable[[Flags, Flags], float]:
    """The F1 that goes by that name."""
    if kind == "event":
        return lambda flags, truth: event_f1(
            flags, truth, variant="tsbad" if variant == "tsbad" else "events"
        )
    if kind == "range":
        alpha = 0.2 if variant == "tsbad" else 0.0
        return lambda flags, truth: range_f1(flags, truth, alpha=alpha)
    return lambda flags, truth: affiliation(flags, truth).f1


def _spread(values: Float[np.ndarray, " _"], most: int) -> Float[np.ndarray, " _"]:
    """At most so many of them, evenly spaced by rank."""
    return values[np.unique(np.linspace(0, len(values) - 1, most).astype(np.int64))]
