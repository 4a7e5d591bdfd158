"""How well scores separate outliers from inliers. Higher score = more outlying, ties exact."""

import numpy as np

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat, share_of
from limen.measure.tradeoff import Tradeoff


def auroc(inlier_scores: Numbers, outlier_scores: Numbers) -> float:
    """Chance that a random outlier scores above a random inlier; higher is better, 0.5 is chance.

    P(outlier > inlier) + P(outlier = inlier) / 2, counted over all pairs in O(n log n).

    Args:
        inlier_scores: Scores of inliers, any shape; higher = more outlying.
        outlier_scores: Scores of outliers, any shape, same scale.

    Returns:
        The area under the ROC curve, 0 to 1.

    Raises:
        UsageError: Empty, not numbers, or NaN.

    Reference:
        J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver operating
        characteristic (ROC) curve", Radiology, 1982.

    Example:
        >>> auroc([1.0, 2.0, 3.0], [2.0, 4.0])    # 4 pairs won, 1 tied, of 6
        0.75
    """
    inliers = np.sort(flat("inlier_scores", inlier_scores))
    outliers = flat("outlier_scores", outlier_scores)
    below = np.searchsorted(inliers, outliers, side="left").sum()
    not_above = np.searchsorted(inliers, outliers, side="right").sum()
    return (int(below) + int(not_above)) / (2 * len(inliers) * len(outliers))


def aupr(inlier_scores: Numbers, outlier_scores: Numbers, positive: str = "outlier") -> float:
    """Average precision of finding the positive side; higher is better, chance is its share.

    sum over thresholds t, strictest first, of (recall(t) - recall(before t)) * precision(t).
    Each distinct score is one threshold, and nothing is interpolated between two of them: a
    straight line there would promise a precision that no threshold has.

    Args:
        inlier_scores: Scores of inliers, any shape; higher = more outlying.
        outlier_scores: Scores of outliers, any shape, same scale.
        positive: The side to be found. "outlier": high scores are retrieved first ("AUPR-Out");
            "inlier": low scores are ("AUPR-In").

    Returns:
        The average precision, above 0 and at most 1.

    Raises:
        UsageError: Empty, not numbers, NaN, or another word for `positive`.

    Reference:
        K. Boyd, K. H. Eng and C. D. Page, "Area under the precision-recall curve: point estimates
        and confidence intervals", ECML PKDD, 2013: the estimator named average precision.

    Example:
        >>> aupr([1.0, 3.0], [2.0, 4.0])    # precision 1 at the first outlier, 2/3 at the second
        0.8333333333333333
    """
    negatives, positives = _sides(inlier_scores, outlier_scores, positive)
    _, false, true = _caught(negatives, positives)
    gained = np.diff(true, prepend=0) / len(positives)
    return float(np.sum(gained * true / (true + false)))


def fpr_at_tpr(
    inlier_scores: Numbers,
    outlier_scores: Numbers,
    tpr: float = 0.95,
    *,
    positive: str = "outlier",
) -> float:
    """Share of the other side let through when `tpr` of the positive side is; lower is better.

    The strictest threshold that keeps at least `tpr` of the positives is applied to the
    negatives; what is tied with the threshold passes on both sides, and nothing is interpolated.
    Two conventions are published under the name FPR95, and they differ:

    - "outlier" is positive (Outlier Exposure): the share of inliers that raise a false alarm when
      95 % of the outliers are caught. It equals `roc(...).at(gain=0.95).price`.
    - "inlier" is positive (ODIN): the share of outliers mistaken for inliers when 95 % of the
      inliers are accepted.

    Args:
        inlier_scores: Scores of inliers, any shape; higher = more outlying.
        outlier_scores: Scores of outliers, any shape, same scale.
        tpr: The least share of positives to keep, above 0 and at most 1; forgiven by 1e-9.
        positive: The side that must be kept: "outlier" or "inlier".

    Returns:
        The share of negatives, 0 to 1.

    Raises:
        UsageError: Empty, not numbers, NaN, `tpr` out of range, or another word for `positive`.

    Reference:
        D. Hendrycks, M. Mazeika and T. Dietterich, "Deep anomaly detection with outlier
        exposure", ICLR 2019 ("outlier"); S. Liang, Y. Li and R. Srikant, "Enhancing the
        reliability of out-of-distribution image detection in neural networks", ICLR 2018
        ("inlier").

    Example:
        >>> inliers, outliers = [1.0, 2.0, 3.0, 9.0], [2.5, 8.0]
        >>> fpr_at_tpr(inliers, outliers), fpr_at_tpr(inliers, outliers, positive="inlier")
        (0.5, 1.0)
    """
    if not 0 < tpr <= 1:
        raise UsageError(f"tpr must be above 0 and at most 1, got {tpr}")
    negatives, positives = _sides(inlier_scores, outlier_scores, positive)
    kept = share_of(len(positives), tpr)
    level = np.partition(positives, len(positives) - kept)[len(positives) - kept]
    return float(np.count_nonzero(negatives >= level) / len(negatives))


def roc(inlier_scores: Numbers, outlier_scores: Numbers) -> Tradeoff:
    """The ROC curve as a Tradeoff: outliers caught (gain, up) against inliers flagged (price).

    What scores strictly above the knob is flagged, as `Threshold.flag` does. There is one setting
    for each distinct score, which flags what lies above it, and a last one at -inf, which flags
    everything. `roc(...).area()` is `auroc(...)`.

    Args:
        inlier_scores: Scores of inliers, any shape; higher = more outlying.
        outlier_scores: Scores of outliers, any shape, same scale.

    Returns:
        The settings from the strictest threshold to the loosest; knob = threshold.

    Raises:
        UsageError: Empty, not numbers, or NaN.

    Example:
        >>> roc([1.0, 2.0], [2.0, 3.0]).at(price=0.0)    # flag what is above 2
        Point(price=0.0, gain=0.5, knob=2.0, gain_interval=None)
    """
    inliers, outliers = flat("inlier_scores", inlier_scores), flat("outlier_scores", outlier_scores)
    levels, false, true = _caught(inliers, outliers)
    return Tradeoff(
        price=np.concatenate([[0], false]) / len(inliers),
        gain=np.concatenate([[0], true]) / len(outliers),
        knob=np.append(levels, -np.inf),
        price_name="inliers flagged",
        gain_name="outliers caught",
        knob_name="threshold",
    )


def _sides(
    inlier_scores: Numbers, outlier_scores: Numbers, positive: str
) -> tuple[np.ndarray, np.ndarray]:
    """Negatives and positives, turned so that a positive should score high.

    Raises:
        UsageError: Not numbers, or another word for `positive`.
    """
    inliers, outliers = flat("inlier_scores", inlier_scores), flat("outlier_scores", outlier_scores)
    if positive == "outlier":
        return inliers, outliers
    if positive == "inlier":
        return -outliers, -inliers
    raise UsageError(f"positive must be 'outlier' or 'inlier', got {positive!r}")


def _caught(
    negatives: np.ndarray, positives: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, highest first, and how many of each side score at least that."""
    levels = np.unique(np.concatenate([negatives, positives]))[::-1]
    false = len(negatives) - np.searchsorted(np.sort(negatives), levels, side="left")
    true = len(positives) - np.searchsorted(np.sort(positives), levels, side="left")
    return levels, false, true
