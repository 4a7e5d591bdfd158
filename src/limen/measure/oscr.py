"""Open-set classification: known rows named rightly, against unknown rows named at all."""

import numpy as np

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat
from limen.measure.tradeoff import Tradeoff


def oscr_curve(inlier_scores: Numbers, correct: Numbers, outlier_scores: Numbers) -> Tradeoff:
    """The OSCR curve as a Tradeoff: inliers kept and right (gain) against outliers kept (price).

    At level t a row is kept where its score is <= t. Gain: the share of inliers that are kept and
    classified rightly. Price: the share of outliers that are kept. Tied rows are kept together.

    Args:
        inlier_scores: Scores of inliers; higher = more outlying.
        correct: 1 where the classifier names the inlier rightly, else 0, in the same order.
        outlier_scores: Scores of outliers.

    Returns:
        The setting that keeps nothing (knob -inf), then one for each distinct score.

    Raises:
        UsageError: Unequal lengths, empty, not numbers, NaN, or `correct` other than 0 and 1.

    Reference:
        A. R. Dhamija, M. Guenther and T. E. Boult, "Reducing network agnostophobia", NeurIPS 2018.

    Example:
        >>> oscr_curve([1.0, 2.0, 3.0], [1, 0, 1], [2.5, 4.0]).at(price=0.5).gain.__round__(3)
        0.667
    """
    inliers, right, outliers = _checked(inlier_scores, correct, outlier_scores)
    levels = np.unique(np.concatenate([inliers, outliers]))
    kept = np.searchsorted(np.sort(outliers), levels, side="right")
    named = np.searchsorted(np.sort(inliers[right]), levels, side="right")
    return Tradeoff(
        price=np.concatenate([[0], kept]) / len(outliers),
        gain=np.concatenate([[0], named]) / len(inliers),
        knob=np.concatenate([[-np.inf], levels]),
        price_name="outliers kept",
        gain_name="inliers kept and right",
        knob_name="threshold",
    )


def oscr(inlier_scores: Numbers, correct: Numbers, outlier_scores: Numbers) -> float:
    """Area under the OSCR curve; higher is better, at most the accuracy.

    P(a random inlier is right and scores below a random outlier), ties half: the accuracy times
    the AUROC of the rightly classified inliers.

    Args:
        inlier_scores: Scores of inliers; higher = more outlying.
        correct: 1 where the classifier names the inlier rightly, else 0, in the same order.
        outlier_scores: Scores of outliers.

    Returns:
        The area, 0 to 1.

    Raises:
        UsageError: As `oscr_curve`.

    Reference:
        A. R. Dhamija, M. Guenther and T. E. Boult, "Reducing network agnostophobia", NeurIPS 2018
        (the curve); S. Vaze, K. Han, A. Vedaldi and A. Zisserman, "Open-set recognition: a good
        closed-set classifier is all you need", ICLR 2022 (its area).

    Example:
        >>> oscr([1.0, 2.0, 3.0, 4.0], [1, 1, 0, 1], [2.0, 5.0])    # 4 wins, 1 tie, of 8 pairs
        0.5625
    """
    inliers, right, outliers = _checked(inlier_scores, correct, outlier_scores)
    named = np.sort(inliers[right])
    below = np.searchsorted(named, outliers, side="left").sum()
    not_above = np.searchsorted(named, outliers, side="right").sum()
    return (int(below) + int(not_above)) / (2 * len(inliers) * len(outliers))


def _checked(
    inlier_scores: Numbers, correct: Numbers, outlier_scores: Numbers
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inliers, outliers = flat("inlier_scores", inlier_scores), flat("outlier_scores", outlier_scores)
    right = flat("correct", np.asarray(correct) * 1)
    if len(right) != len(inliers) or not np.isin(right, (0, 1)).all():
        raise UsageError(
            f"correct must be 0 or 1 for each of the {len(inliers)} inliers, got {len(right)} "
            f"values from {right.min()} to {right.max()}"
        )
    return inliers, right == 1, outliers
