"""Intervals for FPR at TPR and AUPR: inliers and outliers are two samples, each drawn anew."""

import numpy as np
from scipy.special import expit, logit, ndtri

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import Numbers, share_of
from limen.measure.interval import Interval
from limen.measure.separation import _sides, aupr, fpr_at_tpr

_BLOCK = 1 << 22  # numbers held at a time


def fpr_interval(
    inlier_scores: Numbers,
    outlier_scores: Numbers,
    tpr: float = 0.95,
    *,
    positive: str = "outlier",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Stratified bootstrap interval of `fpr_at_tpr`; narrower is surer.

    Both sides are resampled separately, so the threshold varies too. Nothing is sorted anew: the
    k-th smallest of n rows drawn with replacement is the ceil(n B)-th smallest of the rows, with
    B ~ Beta(k, n - k + 1), and of the negatives a binomial number lies at or above it.

    Args:
        inlier_scores: Scores of inliers; higher = more outlying.
        outlier_scores: Scores of outliers.
        tpr: The least share of positives to keep, above 0 and at most 1.
        positive: The side that must be kept: "outlier" or "inlier".
        level: Nominal coverage, between 0 and 1.
        resamples: Number of draws, at least 1.
        seed: The same seed gives the same interval.

    Returns:
        The percentile interval.

    Raises:
        UsageError: As `fpr_at_tpr`; `level` or `resamples` out of range.

    Reference:
        B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, chapter 8.

    Example:
        >>> fpr_interval([1.0, 2.0, 3.0], [4.0, 5.0])    # nothing overlaps
        Interval(low=0.0, high=0.0, level=0.95)
    """
    fpr_at_tpr(inlier_scores, outlier_scores, tpr, positive=positive)  # refuses what is wrong
    _refuse(level, resamples)
    negatives, positives = _sides(inlier_scores, outlier_scores, positive)
    stream = numpy_stream(seed, "fpr at tpr")
    n = len(positives)
    rank = n - share_of(n, tpr)  # of the threshold, from 0, smallest first
    place = np.ceil(n * stream.beta(rank + 1, n - rank, size=resamples)).astype(np.int64)
    levels = np.sort(positives)[np.clip(place, 1, n) - 1]
    m = len(negatives)
    passing = m - np.searchsorted(np.sort(negatives), levels, side="left")
    return _ends(stream.binomial(m, passing / m) / m, level)


def aupr_interval(
    inlier_scores: Numbers,
    outlier_scores: Numbers,
    positive: str = "outlier",
    *,
    level: float = 0.95,
    method: str = "jackknife",
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Interval of `aupr`, inliers and outliers drawn separately; narrower is surer.

    "jackknife" is the infinitesimal one: the derivative of the average precision by the weight of
    each row, squared and summed, is its variance; the interval is taken on the scale of the logit.
    It costs one sort. "bootstrap" draws both sides anew `resamples` times.

    Args:
        inlier_scores: Scores of inliers; higher = more outlying.
        outlier_scores: Scores of outliers.
        positive: The side to be found, "outlier" or "inlier".
        level: Nominal coverage, between 0 and 1.
        method: "jackknife" or "bootstrap".
        resamples: Number of bootstrap draws, at least 1.
        seed: Of the bootstrap; the same seed gives the same interval.

    Returns:
        The interval; of a perfect ranking, 1 twice.

    Raises:
        UsageError: As `aupr`; another method; `level` or `resamples` out of range.

    Reference:
        K. Boyd, K. H. Eng and C. D. Page, "Area under the precision-recall curve: point estimates
        and confidence intervals", ECML PKDD, 2013 (the logit interval; its variance here is the
        infinitesimal jackknife's, not 1 / positives).

    Example:
        >>> aupr_interval([1.0, 2.0], [3.0, 4.0])
        Interval(low=1.0, high=1.0, level=0.95)
    """
    area = aupr(inlier_scores, outlier_scores, positive)
    _refuse(level, resamples)
    if method not in ("jackknife", "bootstrap"):
        raise UsageError(f"method must be 'jackknife' or 'bootstrap', got {method!r}")
    negatives, positives = _sides(inlier_scores, outlier_scores, positive)
    levels = np.unique(np.concatenate([negatives, positives]))[::-1]
    sides = [_at(levels, side) for side in (negatives, positives)]
    if method == "bootstrap":
        return _ends(_drawn(sides, len(levels), resamples=resamples, seed=seed), level)
    error = _error(sides, area, len(levels))
    if error == 0:
        return Interval(area, area, level)
    reach = float(ndtri((1 + level) / 2)) * error / (area * (1 - area))
    return Interval(float(expit(logit(area) - reach)), float(expit(logit(area) + reach)), level)


def _at(levels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The place of each score among the levels, highest first."""
    return len(levels) - 1 - np.searchsorted(levels[::-1], scores)


def _error(sides: list[np.ndarray], area: float, count: int) -> float:
    """Standard error of the average precision, by its derivative with respect to each row."""
    false, true = (np.bincount(side, minlength=count) for side in sides)
    n, passed, found = true.sum(), false.cumsum(), true.cumsum()
    share, total = true / n, (passed + found).astype(np.float64)
    later = [np.cumsum((share * x / total**2)[::-1])[::-1] for x in (passed, found)]
    of_positive = (found / total - area) / n + later[0]
    squares = (true * of_positive**2).sum()
    spread = later[1] - (false * later[1]).sum() / false.sum()
    return float(np.sqrt(squares + (false * spread**2).sum()))


def _drawn(sides: list[np.ndarray], count: int, *, resamples: int, seed: int) -> np.ndarray:
    """The average precision of each draw."""
    stream = numpy_stream(seed, "aupr")
    most = max(1, _BLOCK // count)
    found = []
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        passed, gained = (_counts(stream, side, rows=rows, count=count) for side in sides)
        caught, passed = gained.cumsum(axis=1), passed.cumsum(axis=1)
        precision = caught / np.maximum(caught + passed, 1)
        found.append((gained * precision).sum(axis=1) / len(sides[1]))
    return np.concatenate(found)


def _counts(stream: np.random.Generator, side: np.ndarray, *, rows: int, count: int) -> np.ndarray:
    picks = side[stream.integers(len(side), size=(rows, len(side)))]
    picks += count * np.arange(rows)[:, np.newaxis]
    return np.bincount(picks.ravel(), minlength=rows * count).reshape(rows, count)


def _ends(draws: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def _refuse(level: float, resamples: int) -> None:
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")
    if resamples < 1:
        raise UsageError(f"resamples must be at least 1, got {resamples}")
