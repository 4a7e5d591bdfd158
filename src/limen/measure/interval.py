"""How far a number can be trusted: intervals around a statistic, and a test of two methods."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import Numbers, row

_BLOCK = 1 << 22  # numbers held at a time: a long row costs passes, not memory
_ENUMERATED = 12  # rows up to this long have all their 2^n sign patterns tried


@dataclass(frozen=True)
class Interval:
    """A lower and an upper end that hold the true value with probability `level`.

    Attributes:
        low: Lower end; NaN where one value alone says nothing about the spread.
        high: Upper end; NaN with it.
        level: Nominal coverage, between 0 and 1.

    Example:
        >>> Interval(low=0.90, high=0.95, level=0.95).high
        0.95
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Paired:
    """What `paired` found between two methods measured on the same rows.

    Attributes:
        difference: Mean of a - b.
        interval: Bootstrap interval around it.
        p_value: Two-sided sign-flip permutation p-value; small = the difference is no accident.

    Example:
        >>> Paired(0.5, Interval(0.25, 0.75, 0.95), p_value=0.01).difference
        0.5
    """

    difference: float
    interval: Interval
    p_value: float


def bootstrap(
    values: Numbers,
    statistic: Callable[..., Any] = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    method: str = "percentile",
) -> Interval:
    """Bootstrap interval of a statistic of many independent values; narrower is surer.

    The values are drawn again with replacement, `resamples` times. "percentile" takes the
    quantiles (1 - level) / 2 and (1 + level) / 2 of the statistics of the draws. "bca" moves the
    two quantiles to correct for bias and skewness.

    A handful of values cannot stand for the population: with 5 seeds the percentile interval of a
    mean is more than a third too narrow. Use `student` for seeds, `bootstrap` for rows.

    Args:
        values: Independent values, one-dimensional.
        statistic: A function that takes `axis`, as numpy's do: called with an array of shape
            (draws, values) and axis=-1.
        level: Nominal coverage, between 0 and 1.
        resamples: Number of draws, at least 1.
        seed: The same seed gives the same interval.
        method: "percentile" or "bca".

    Returns:
        The interval. Of a single value, NaN at both ends; of equal values, their statistic twice.

    Raises:
        UsageError: Empty or non-finite values, `level` or `resamples` out of range, another
            method, or a statistic that does not respect its axis.

    Reference:
        B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, chapters 13, 14.

    Example:
        >>> bootstrap([0.5, 0.5, 0.5])
        Interval(low=0.5, high=0.5, level=0.95)
        >>> interval = bootstrap([0, 1] * 50)    # mean 0.5, standard error 0.05
        >>> 0.38 < interval.low < 0.42 and 0.58 < interval.high < 0.62
        True
    """
    data = row("values", values)
    tails = _tails(level)
    if resamples < 1:
        raise UsageError(f"resamples must be at least 1, got {resamples}")
    if method not in ("percentile", "bca"):
        raise UsageError(f"method must be 'percentile' or 'bca', got {method!r}")
    if len(data) == 1:
        return Interval(nan, nan, level)
    point = _each(statistic, data[np.newaxis])[0]
    if (data == data[0]).all():
        return Interval(float(point), float(point), level)
    stream = numpy_stream(seed, "bootstrap")
    draws = np.concatenate(
        [
            _each(statistic, data[stream.integers(len(data), size=(count, len(data)))])
            for count in _blocks(resamples, len(data))
        ]
    )
    if method == "bca":
        below = (np.mean(draws < point) + np.mean(draws <= point)) / 2
        edge = 1 / (resamples + 1)  # a statistic outside all draws has finite bias all the same
        below = min(max(below, edge), 1 - edge)
        tails = _corrected(tails, below, _jackknife(statistic, data))
    low, high = np.quantile(draws, tails)
    return Interval(float(low), float(high), level)


def student(values: Numbers, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of a few values, such as seeds; narrower is surer.

    mean ± t * s / sqrt(n), with s the sample deviation and t the quantile (1 + level) / 2 of
    Student's distribution with n - 1 degrees of freedom. Exact for normal values, however few:
    t is what pays for not knowing the deviation, which a bootstrap of 5 values does not.

    Args:
        values: Independent, roughly normal values, one-dimensional.
        level: Nominal coverage, between 0 and 1.

    Returns:
        The interval. Of a single value, NaN at both ends; of equal values, that value twice.

    Raises:
        UsageError: Empty or non-finite values, or `level` out of range.

    Reference:
        Student, "The probable error of a mean", Biometrika, 1908.

    Example:
        >>> interval = student([1.0, 2.0, 3.0])    # 2 ± 4.303 * 1 / sqrt(3)
        >>> round(interval.low, 3), round(interval.high, 3)
        (-0.484, 4.484)
    """
    data = row("values", values)
    _, upper = _tails(level)
    if len(data) == 1:
        return Interval(nan, nan, level)
    if (data == data[0]).all():
        return Interval(float(data[0]), float(data[0]), level)
    mean, deviation = float(np.mean(data)), float(np.std(data, ddof=1))
    reach = float(stdtrit(len(data) - 1, upper)) * deviation / sqrt(len(data))
    return Interval(mean - reach, mean + reach, level)


def paired(
    a: Numbers,
    b: Numbers,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Paired:
    """How much a exceeds b on the same rows: mean difference, interval, p-value.

    If the two methods were the same, each difference could as well have the other sign. The
    p-value is the share of sign patterns whose mean is at least as far from zero as the observed
    one: of all 2^n patterns up to n = 12, else of `resamples` random ones with the observed
    pattern counted in, (1 + hits) / (1 + resamples), which is never zero. The interval is the
    percentile bootstrap of the differences; below about 20 rows prefer `student` of a - b.

    Args:
        a: One value for each row.
        b: The other method's values, in the same order.
        level: Nominal coverage of the interval, between 0 and 1.
        resamples: Number of bootstrap draws, and of random sign patterns.
        seed: The same seed gives the same result.

    Returns:
        Difference, interval and p-value. Of a single row: NaN ends, and p = 1.

    Raises:
        UsageError: Unequal lengths, empty or non-finite values, `level` or `resamples` out of
            range.

    Reference:
        B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", Statistical
        Applications in Genetics and Molecular Biology, 2010: the +1.

    Example:
        >>> result = paired([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
        >>> result.difference, result.p_value    # 2 of the 8 patterns: all plus, all minus
        (2.0, 0.25)
    """
    first, second = row("a", a), row("b", b)
    if len(first) != len(second):
        raise UsageError(f"a and b must pair row by row, got {len(first)} and {len(second)} rows")
    gaps = first - second
    interval = bootstrap(gaps, level=level, resamples=resamples, seed=seed)
    return Paired(float(np.mean(gaps)), interval, _sign_flip(gaps, resamples, seed))


def _sign_flip(gaps: np.ndarray, resamples: int, seed: int) -> float:
    # Sums that are equal on paper differ in the last digits: they must count as equal.
    bar = abs(gaps.sum()) - 1e-10 * np.abs(gaps).sum()
    count = len(gaps)
    if count <= _ENUMERATED:
        bits = np.arange(2**count)[:, np.newaxis] >> np.arange(count) & 1
        return float(np.mean(np.abs((2 * bits - 1) @ gaps) >= bar))
    stream = numpy_stream(seed, "sign flip")
    hits = sum(
        np.count_nonzero(np.abs((2 * stream.integers(2, size=(rows, count)) - 1) @ gaps) >= bar)
        for rows in _blocks(resamples, count)
    )
    return float((1 + hits) / (1 + resamples))


def _corrected(tails: np.ndarray, below: float, left_out: np.ndarray) -> np.ndarray:
    """The quantiles to read instead of `tails`: Efron's bias correction and acceleration.

    `below` is the share of draws below the statistic; `left_out` the jackknife's statistics.
    """
    bias = ndtri(below)
    lean = np.mean(left_out) - left_out
    spread = np.sum(lean**2)
    acceleration = np.sum(lean**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + ndtri(tails)
    return ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-12))


def _jackknife(statistic: Callable[..., Any], data: np.ndarray) -> np.ndarray:
    """The statistic with each value left out in turn."""
    others = np.arange(len(data) - 1)
    parts, start = [], 0
    for count in _blocks(len(data), len(data)):
        out = np.arange(start, start + count)[:, np.newaxis]
        parts.append(_each(statistic, data[others + (others >= out)]))
        start += count
    return np.concatenate(parts)


def _each(statistic: Callable[..., Any], rows: np.ndarray) -> np.ndarray:
    found = np.asarray(statistic(rows, axis=-1), dtype=np.float64)
    if found.shape != rows.shape[:1]:
        raise UsageError(
            f"statistic must reduce axis=-1: from shape {rows.shape} "
            f"it must give {rows.shape[:1]}, got {found.shape}"
        )
    return found


def _blocks(total: int, width: int) -> Iterator[int]:
    """Counts that add up to `total`, each small enough for one array of `width` columns."""
    most = max(1, _BLOCK // width)
    for start in range(0, total, most):
        yield min(most, total - start)


def _tails(level: float) -> np.ndarray:
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")
    return np.array([(1 - level) / 2, (1 + level) / 2])
