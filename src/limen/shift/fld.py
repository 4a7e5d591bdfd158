"""A line of two classes, where the error on a shifted target is known in closed form."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, numbers

Found = Float[np.ndarray, "..."]


def fld_error(size: Numbers, bias: Numbers, *, mean: float = 1.0, noise: float = 1.0) -> Found:
    """Expected target error of Fisher's discriminant learned from `size` rows; lower is better.

    Two classes at +mean and -mean under Gaussian noise; environment i shifts both by Delta_i. The
    midpoint learned from N balanced rows in proportions pi is normal about b, seen from the
    target, with variance noise^2 / N, so that

        e(N, b) = 1/2 [Phi((b - mean) / q) + Phi((-b - mean) / q)],   q^2 = noise^2 (1 + 1 / N).

    With b = 0 every row helps. With b far from 0 the threshold settles ever more surely at the
    wrong place, and more rows hurt: see `fld_rises`.

    Args:
        size: N, above 0; any shape that goes with `bias`.
        bias: b = sum_i pi_i Delta_i - Delta_target.
        mean: Half the distance of the classes, above 0.
        noise: Standard deviation within a class, above 0.

    Returns:
        The error, 0 to 1, of the common shape.

    Raises:
        UsageError: A size, mean or noise that is not above 0; not numbers.

    Reference:
        The model is that of A. De Silva, R. Ramesh, C. Priebe, P. Chaudhari, J. Vogelstein, "The
        value of out-of-distribution data", ICML 2023; the closed form is derived here.

    Example:
        >>> fld_error([4, 1024], 2.0).round(4)    # the more rows, the worse
        array([0.409 , 0.4213])
    """
    n, b = _given(size, bias, mean=mean, noise=noise)
    q = noise * np.sqrt(1 + 1 / n)
    return np.asarray((ndtr((b - mean) / q) + ndtr((-b - mean) / q)) / 2)


def fld_rises(size: Numbers, bias: Numbers, *, mean: float = 1.0, noise: float = 1.0) -> Any:
    """Whether one row more makes the expected error larger.

    The derivative by 1/N is negative exactly if
    `(b - mean) phi((b - mean) / q) > (b + mean) phi((b + mean) / q)`, phi the normal density and b
    at least 0: the class that the threshold has passed gains more than the other one loses.

    Args:
        size: As for `fld_error`.
        bias: Likewise.
        mean: Likewise.
        noise: Likewise.

    Returns:
        Booleans of the common shape.

    Raises:
        UsageError: As for `fld_error`.

    Reference:
        As for `fld_error`.

    Example:
        >>> fld_rises(64, [0.0, 1.1, 1.3, 2.0])
        array([False, False,  True,  True])
    """
    n, b = _given(size, bias, mean=mean, noise=noise)
    q = noise * np.sqrt(1 + 1 / n)
    near, far = np.abs(b) - mean, np.abs(b) + mean
    # densities divided by that of the nearer one: neither vanishes before the other
    return np.asarray(near > far * np.exp(-2 * np.abs(b) * mean / q**2))


def critical_bias(*, size: float = np.inf, mean: float = 1.0, noise: float = 1.0) -> float:
    """The bias beyond which more rows raise the error; larger = more shift is borne.

    The root of `(b - mean) = (b + mean) exp(-2 b mean / q^2)`; above `mean`. In the limit of many
    rows, with mean = noise = 1, it is 1.19968.

    Args:
        size: N at which one row more is asked about; infinite by default.
        mean: As for `fld_error`.
        noise: Likewise.

    Returns:
        The bias, above `mean`.

    Raises:
        UsageError: As for `fld_error`.

    Reference:
        As for `fld_error`.

    Example:
        >>> round(critical_bias(), 5)
        1.19968
    """
    from scipy.optimize import brentq

    _given(size, 0.0, mean=mean, noise=noise)
    q2 = noise**2 * (1 + 1 / size)

    def tilt(b: float) -> float:
        return (b - mean) - (b + mean) * float(np.exp(-2 * b * mean / q2))

    high = 2 * mean + noise
    while tilt(high) <= 0:
        high *= 2
    return float(brentq(tilt, mean, high, xtol=1e-14 * high, rtol=1e-14))


def growing_bias(near: float, far: Numbers, shift: float) -> Found:
    """Bias when `near` rows like the target are joined by ever more of a shifted environment.

    `b = m D / (n + m)`: the share of the far environment grows with the total, and an error that
    first falls (less noise) then rises (more bias) is what comes of it.

    Args:
        near: n, rows like the target, at least 0.
        far: m, rows of the far environment, at least 0.
        shift: D, how far it lies.

    Returns:
        One bias for each m.

    Raises:
        UsageError: Negative counts, or none at all.

    Reference:
        As for `fld_error`.

    Example:
        >>> m = np.array([0, 4, 256])
        >>> fld_error(4 + m, growing_bias(4, m, 0.5)).round(4)
        array([0.1855, 0.1795, 0.1872])
    """
    m = numbers("far", far)
    if near < 0 or (m < 0).any() or (near + m <= 0).any():
        raise UsageError(f"near and far must count rows, one at least in all; got {near} and {m}")
    return np.asarray(m * shift / (near + m))


def _given(size: Numbers, bias: Numbers, *, mean: float, noise: float) -> tuple[Found, Found]:
    n, b = numbers("size", size), numbers("bias", bias)
    if not (n > 0).all() or not mean > 0 or not noise > 0:
        raise UsageError(
            f"size, mean and noise must be above 0, got {n.min():g}, {mean:g} and {noise:g}"
        )
    return n, b
