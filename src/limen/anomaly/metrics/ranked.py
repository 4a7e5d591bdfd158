"""Without a threshold: how well scores rank anomalous points above normal ones."""

from typing import Any

from limen.anomaly.metrics.given import scored, undefined
from limen.measure.separation import aupr, auroc


def auc_pr(scores: Any, labels: Any) -> float:
    """Average precision over the points of a series; higher is better, chance is the prevalence.

    sum over distinct scores t, highest first, of (recall(t) - recall(before t)) * precision(t).
    Points count, not events: a long event weighs as much as many short ones.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: Other lengths, NaN, or labels other than 0 and 1.

    Reference:
        K. Boyd, K. H. Eng and C. D. Page, "Area under the precision-recall curve: point estimates
        and confidence intervals", ECML PKDD, 2013: the estimator named average precision.

    Example:
        >>> auc_pr([1.0, 3.0, 2.0, 4.0], [0, 0, 1, 1])    # 1 at the first, 2/3 at the second
        0.8333333333333333
    """
    found, truth = scored(scores, labels)
    return float("nan") if undefined(truth) else aupr(found[~truth], found[truth])


def auc_roc(scores: Any, labels: Any) -> float:
    """Chance that an anomalous point scores above a normal one; higher is better, 0.5 is chance.

    P(anomalous > normal) + P(anomalous = normal) / 2, over all pairs of points.

    Args:
        scores: (time,); higher = more anomalous.
        labels: (time,), 0 and 1.

    Returns:
        0 to 1; nan, with a warning, where no point or every point is labelled.

    Raises:
        UsageError: Other lengths, NaN, or labels other than 0 and 1.

    Reference:
        J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver operating
        characteristic (ROC) curve", Radiology, 1982.

    Example:
        >>> auc_roc([1.0, 3.0, 2.0, 4.0], [0, 0, 1, 1])    # 3 of 4 pairs
        0.75
    """
    found, truth = scored(scores, labels)
    return float("nan") if undefined(truth) else auroc(found[~truth], found[truth])
