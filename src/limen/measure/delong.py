"""DeLong's variance of the AUROC: an interval for one score, a paired test for two."""

from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import rankdata

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat
from limen.measure.interval import Interval


class Delong(NamedTuple):
    """A difference of two AUROCs on the same rows: a - b, its interval, its p-value.

    Attributes:
        difference: AUROC of a minus AUROC of b; above 0 = a separates better.
        interval: Around the difference.
        p_value: Two-sided; small = the difference is no accident of the rows.

    Example:
        >>> Delong(0.1, Interval(0.02, 0.18, 0.95), 0.01).difference
        0.1
    """

    difference: float
    interval: Interval
    p_value: float


def delong(inlier_scores: Numbers, outlier_scores: Numbers, *, level: float = 0.95) -> Interval:
    """DeLong's interval of the AUROC; narrower is surer.

    With V_j the share of inliers below outlier j and U_i the share of outliers above inlier i
    (ties count half), the AUROC is the mean of either, and its variance var(U) / m + var(V) / n.
    The shares come from midranks, in O(n log n). The interval is taken on the scale of the logit
    and turned back, so it never leaves 0 to 1.

    Args:
        inlier_scores: Scores of inliers, any shape, at least two; higher = more outlying.
        outlier_scores: Scores of outliers, any shape, at least two.
        level: Nominal coverage, between 0 and 1.

    Returns:
        The interval. At an AUROC of exactly 0 or 1 the variance says nothing: the far end is then
        the exact binomial bound of as many trials, all won, as the smaller side has rows.

    Raises:
        UsageError: Fewer than two scores on a side, not numbers, NaN, or `level` out of range.

    Reference:
        E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more
        correlated receiver operating characteristic curves", Biometrics, 1988; X. Sun and W. Xu,
        "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters, 2014. The
        logit scale, and the bound at a perfect separation, are additions.

    Example:
        >>> found = delong([1.0, 2.0, 3.0, 5.0], [4.0, 6.0, 7.0, 8.0])    # 15 of 16 pairs won
        >>> round(found.low, 2), round(found.high, 2)    # logit 2.71 +- 1.96 * 0.0884 / 0.0586
        (0.44, 1.0)
    """
    z = _quantile(level)
    above, below = shares(inlier_scores, outlier_scores)
    area = float(below.mean())
    smaller = min(len(above), len(below))
    if area in (0.0, 1.0):
        edge = float(((1 - level) / 2) ** (1 / smaller))
        return Interval(edge, 1.0, level) if area else Interval(0.0, 1 - edge, level)
    error = sqrt(_variance(above) + _variance(below)) / (area * (1 - area))
    low, high = (expit(logit(area) + side * z * error) for side in (-1, 1))
    return Interval(float(low), float(high), level)


def delong_paired(
    a: tuple[Numbers, Numbers], b: tuple[Numbers, Numbers], *, level: float = 0.95
) -> Delong:
    """DeLong's test of two scores on the same rows: AUROC of a minus AUROC of b.

    The variance is that of the differences of the shares, row by row: what is hard for both
    scores cancels. The p-value is 2 (1 - Phi(abs(difference) / standard error)).

    Args:
        a: Scores of the inliers and of the outliers; higher = more outlying.
        b: The other score's, of the same rows in the same order.
        level: Nominal coverage of the interval, between 0 and 1.

    Returns:
        Difference, interval and p-value; equal rankings give 0, an empty interval and 1. Where
        the scores differ by the same share on every row there is no variance to see, and p is the
        sign test's for as many rows as the smaller side has.

    Raises:
        UsageError: Unequal lengths, or as `delong`.

    Reference:
        E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more
        correlated receiver operating characteristic curves", Biometrics, 1988.

    Example:
        >>> inliers, outliers = [1.0, 2.0, 3.0], [2.5, 4.0]
        >>> delong_paired((inliers, outliers), ([2.0, 4.0, 6.0], [5.0, 8.0])).p_value
        1.0
    """
    z = _quantile(level)
    (above_a, below_a), (above_b, below_b) = shares(*a), shares(*b)
    if len(above_a) != len(above_b) or len(below_a) != len(below_b):
        raise UsageError(
            "a and b must score the same rows, got "
            f"{len(above_a)} and {len(above_b)} inliers, {len(below_a)} and {len(below_b)} outliers"
        )
    return gap(above_a - above_b, below_a - below_b, z=z, level=level)


def gap(
    inliers: Float[np.ndarray, " inliers"],
    outliers: Float[np.ndarray, " outliers"],
    *,
    z: float,
    level: float,
) -> Delong:
    """Difference, interval and p-value from the differences of the shares."""
    difference = float(outliers.mean())
    error = sqrt(_variance(inliers) + _variance(outliers))
    if error == 0:
        p_value = 1.0 if difference == 0 else 2.0 ** (1 - min(len(inliers), len(outliers)))
    else:
        p_value = float(2 * ndtr(-abs(difference) / error))
    ends = Interval(difference - z * error, difference + z * error, level)
    return Delong(difference, ends, p_value)


def shares(
    inlier_scores: Numbers, outlier_scores: Numbers
) -> tuple[Float[np.ndarray, " inliers"], Float[np.ndarray, " outliers"]]:
    """For each inlier the share of outliers above it, for each outlier that of inliers below it.

    Ties count half; the mean of either is the AUROC.

    Raises:
        UsageError: Fewer than two scores on a side, not numbers, or NaN.

    Example:
        >>> shares([1.0, 2.0], [2.0, 3.0])
        (array([1.  , 0.75]), array([0.75, 1.  ]))
    """
    inliers, outliers = flat("inlier_scores", inlier_scores), flat("outlier_scores", outlier_scores)
    m, n = len(inliers), len(outliers)
    if min(m, n) < 2:
        raise UsageError(f"DeLong's variance needs two scores on each side, got {m} and {n}")
    ranks = rankdata(np.concatenate([inliers, outliers]))
    above = 1 - (ranks[:m] - rankdata(inliers)) / n
    below = (ranks[m:] - rankdata(outliers)) / m
    return above, below


def holm(p_values: Numbers) -> Float[np.ndarray, " tests"]:
    """Holm's correction: p-values that hold for all tests at once; each at least as large.

    The k-th smallest of n is multiplied by n - k + 1, and is never below the one before or above 1.

    Args:
        p_values: One for each test, 0 to 1.

    Returns:
        The corrected ones, in the same order.

    Raises:
        UsageError: Not numbers, empty, or outside 0 to 1.

    Reference:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3)
        array([0.03, 0.06, 0.06])
    """
    found = flat("p_values", p_values)
    if found.min() < 0 or found.max() > 1:
        raise UsageError(f"p_values must be 0 to 1, got {found.min()} to {found.max()}")
    order = np.argsort(found, kind="stable")
    stepped = found[order] * np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(1, np.maximum.accumulate(stepped))
    return corrected


def _variance(values: np.ndarray) -> float:
    """Of the mean of the values."""
    return float(values.var(ddof=1) / len(values))


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")
    return float(ndtri((1 + level) / 2))
