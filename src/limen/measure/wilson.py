"""How far a share of hits can be trusted, and the difference of two."""

from math import sqrt

from scipy.special import ndtri

from limen._core.errors import UsageError
from limen.measure.interval import Interval


def wilson(hits: int, count: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share; it never leaves 0 to 1 and is never empty.

    With p = hits / count and z the normal quantile (1 + level) / 2,

        (p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    Args:
        hits: Of `count`.
        count: At least 1.
        level: Nominal coverage, between 0 and 1.

    Returns:
        The interval.

    Raises:
        UsageError: Hits outside 0 to `count`, no count, or `level` out of range.

    Reference:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association, 1927.

    Example:
        >>> round(wilson(0, 10).high, 4)    # z^2 / (10 + z^2), z = 1.96
        0.2775
    """
    if not 0 < level < 1:
        raise UsageError(f"level must be between 0 and 1, got {level}")
    if not 0 <= hits <= count or not count:
        raise UsageError(f"hits must be 0 to count, and count at least 1: got {hits} of {count}")
    share, square = hits / count, float(ndtri((1 + level) / 2)) ** 2
    middle = share + square / (2 * count)
    reach = sqrt(square * (share * (1 - share) / count + square / (4 * count**2)))
    low, high = ((middle + side * reach) / (1 + square / count) for side in (-1, 1))
    return Interval(0.0 if not hits else low, 1.0 if hits == count else high, level)


def newcombe(first: tuple[int, int], second: tuple[int, int], *, level: float = 0.95) -> Interval:
    """Newcombe's interval of a difference of two shares, first less second.

    From Wilson's ends l and u of both shares p and q:

        low = p - q - sqrt((p - l_p)^2 + (u_q - q)^2),
        high = p - q + sqrt((u_p - p)^2 + (q - l_q)^2).

    It stays within -1 to 1, and has a width also where both shares are 0 or 1.

    Args:
        first: Hits, and of how many.
        second: Likewise, of other rows.
        level: Nominal coverage, between 0 and 1.

    Returns:
        The interval.

    Raises:
        UsageError: As `wilson`.

    Reference:
        R. G. Newcombe, "Interval estimation for the difference between independent proportions:
        comparison of eleven methods", Statistics in Medicine, 1998, method 10.

    Example:
        >>> found = newcombe((56, 70), (48, 80))    # 0.8 less 0.6
        >>> round(found.low, 4), round(found.high, 4)
        (0.0524, 0.3339)
    """
    p, q = (hits / max(count, 1) for hits, count in (first, second))
    mine, other = wilson(*first, level=level), wilson(*second, level=level)
    down = sqrt((p - mine.low) ** 2 + (other.high - q) ** 2)
    up = sqrt((mine.high - p) ** 2 + (q - other.low) ** 2)
    return Interval(p - q - down, p - q + up, level)
