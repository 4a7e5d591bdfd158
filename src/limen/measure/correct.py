"""How often a decision is right: accuracy of a classifier, detection accuracy of a score."""

import numpy as np

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat, numbers
from limen.measure.separation import roc


def accuracy(logits: Numbers, labels: Numbers) -> float:
    """Share of rows whose largest logit is their label's; higher is better.

    Args:
        logits: One row for each input, one column for each class; the first of equal maxima counts.
        labels: Classes 0 to C - 1.

    Returns:
        The share, 0 to 1.

    Raises:
        UsageError: Shapes that do not fit, or labels outside 0 to C - 1.

    Example:
        >>> accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0])
        0.5
    """
    found, wanted = numbers("logits", logits), flat("labels", labels)
    if found.ndim != 2 or len(found) != len(wanted):
        raise UsageError(
            f"logits must be (rows, classes), one row a label: {found.shape}, {len(wanted)} labels"
        )
    if wanted.min() < 0 or wanted.max() >= found.shape[1]:
        raise UsageError(f"labels must be 0 to {found.shape[1] - 1}, got {wanted.max():g}")
    return float(np.mean(found.argmax(axis=1) == wanted))


def detection_accuracy(inlier_scores: Numbers, outlier_scores: Numbers) -> float:
    """Best mean of inliers kept and outliers caught over all thresholds; higher is better.

    max over t of (P(inlier <= t) + P(outlier > t)) / 2: one minus the detection error.

    Args:
        inlier_scores: Scores of inliers; higher = more outlying.
        outlier_scores: Scores of outliers.

    Returns:
        0.5 (chance) to 1.

    Raises:
        UsageError: Empty, not numbers, or NaN.

    Reference:
        S. Liang, Y. Li and R. Srikant, "Enhancing the reliability of out-of-distribution image
        detection in neural networks", ICLR 2018.

    Example:
        >>> detection_accuracy([1.0, 2.0, 3.0, 4.0], [2.5, 5.0])    # above 2: 1/2 kept, all caught
        0.75
    """
    curve = roc(inlier_scores, outlier_scores)
    return float(np.max(1 - curve.price + curve.gain) / 2)
