"""What a metric gives to scores that know nothing."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.anomaly.events import as_labels


def chance(
    metric: Callable[[np.ndarray, np.ndarray], float],
    labels: Any,
    seeds: int = 20,
    *,
    seed: int = 0,
) -> float:
    """The value that a metric gives to random scores; what a detector must exceed.

    The mean over `seeds` draws of independent uniform scores. It is seldom what one thinks:
    VUS-ROC of random scores lies well above 0.5, and point adjustment lifts them to the best F1.

    Args:
        metric: Called with scores and labels; options are bound by `functools.partial`.
        labels: (time,), 0 and 1.
        seeds: Draws, at least 1.
        seed: The same seed gives the same value.

    Returns:
        The mean, in the metric's unit; nan where the metric is.

    Raises:
        UsageError: `seeds` is below 1, or labels other than 0 and 1.

    Example:
        >>> from limen.anomaly.metrics import auc_roc
        >>> abs(chance(auc_roc, [0, 1] * 500) - 0.5) < 0.02
        True
    """
    if seeds < 1:
        raise UsageError(f"seeds must be 1 or more, got {seeds}")
    truth = as_labels(labels)
    first = float(metric(random_scores(len(truth), seed=seed, draw=0), truth))
    with warnings.catch_warnings():  # said once is enough
        warnings.simplefilter("ignore", UserWarning)
        others = [
            float(metric(random_scores(len(truth), seed=seed, draw=draw), truth))
            for draw in range(1, seeds)
        ]
    return float(np.mean([first, *others]))


def random_scores(length: int, *, seed: int, draw: int) -> Float[np.ndarray, " time"]:
    """Independent uniform scores.

    Args:
        length: Points.
        seed: With `draw` it decides every number.
        draw: Which of several.

    Example:
        >>> len(random_scores(3, seed=0, draw=0))
        3
    """
    return numpy_stream(seed, "chance", draw).random(length)
