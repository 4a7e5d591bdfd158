"""Many tests at once: the share of false findings among all findings."""

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat


def benjamini_hochberg(p_values: Numbers) -> Float[np.ndarray, " tests"]:
    """P-values corrected for the false discovery rate; each at least as large as before.

    The k-th smallest of n is multiplied by n / k, and is never above the one after or 1. Taking
    all tests whose corrected value is at most alpha makes, on average, at most a share alpha of
    what was taken false, for tests that are independent or positively dependent. `holm` promises
    more, that hardly any is false at all, and finds less.

    Args:
        p_values: One for each test, 0 to 1.

    Returns:
        The corrected ones, in the same order.

    Raises:
        UsageError: Not numbers, empty, or outside 0 to 1.

    Reference:
        Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate: a practical and
        powerful approach to multiple testing", Journal of the Royal Statistical Society B, 1995.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3)    # 0.03 x 3/2 = 0.045 is above 0.04
        array([0.03, 0.04, 0.04])
    """
    found = flat("p_values", p_values)
    if found.min() < 0 or found.max() > 1:
        raise UsageError(f"p_values must be 0 to 1, got {found.min()} to {found.max()}")
    order = np.argsort(-found, kind="stable")  # the largest first
    stepped = found[order] * len(found) / np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(1, np.minimum.accumulate(stepped))
    return corrected
