"""Metrics that flatter, for comparison with papers that report them; print `chance` beside each.

Point adjustment calls a whole event found when one of its points fires, so the longer the events,
the better random scores look: on common benchmarks they reach the F1 of published detectors.
"""

from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.given import Flags, Scores, scored, undefined
from limen.anomaly.metrics.oracle import best_points


def pa_f1(scores: Any, labels: Any) -> float:
    """Best point-adjusted F1 over all thresholds, chosen with the labels; flatters chance.

    At a threshold an event whose highest point fires counts as flagged throughout; then F1 over
    points. Thresholds are the distinct scores, and a point fires strictly above one, so not every
    point ever does.

    Args:
        scores: (time,); higher = more anomalous. Alarms of 0 and 1 are scores too.
        labels: (time,), 0 and 1.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: Other lengths, NaN, or labels other than 0 and 1.

    Reference:
        H. Xu et al., "Unsupervised anomaly detection via variational auto-encoder for seasonal
        KPIs in web applications", WWW 2018. Against it: S. Kim, K. Choi, H.-S. Choi, B. Lee and
        S. Yoon, "Towards a rigorous evaluation of time-series anomaly detection", AAAI 2022.

    Example:
        >>> pa_f1([0.0, 0.0, 1.0, 0.0], [0, 1, 1, 1])    # one of three points fires
        1.0
    """
    found, truth = scored(scores, labels)
    return float("nan") if undefined(truth) else _best(found, truth, k=0.0)


def pa_k(scores: Any, labels: Any, *, k: float | None = None) -> float:
    """Best F1 when an event counts as found once more than k % of its points fire; flatters less.

    k = 0 is `pa_f1`, k = 100 adjusts nothing.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1.
        k: Per cent, 0 to 100; None takes the mean over 0, 1, ... 100.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: `k` out of range, or what `pa_f1` refuses.

    Reference:
        S. Kim et al., AAAI 2022, as of `pa_f1`, equation 4.

    Example:
        >>> scores, labels = [0.0, 0.0, 1.0, 0.0], [0, 1, 1, 1]
        >>> pa_k(scores, labels, k=30), pa_k(scores, labels, k=40)    # a third of the points fires
        (1.0, 0.5)
    """
    found, truth = scored(scores, labels)
    if k is not None and not 0 <= k <= 100:
        raise UsageError(f"k must be 0 to 100 per cent, got {k}")
    if undefined(truth):
        return float("nan")
    wanted = range(101) if k is None else [k]
    return float(np.mean([_best(found, truth, k=float(one)) for one in wanted]))


def _best(scores: Scores, labels: Flags, *, k: float) -> float:
    """Best F1 over points, each raised to the height at which its whole event is found."""
    raised = scores.copy()
    for start, end in runs(labels):
        needed = int(np.floor(k / 100 * (end - start) + 1e-9)) + 1
        if needed <= end - start:
            place = end - start - needed
            height = np.partition(scores[start:end], place)[place]
            raised[start:end] = np.maximum(scores[start:end], height)
    return best_points(raised, labels, above=float(scores.min())).value
