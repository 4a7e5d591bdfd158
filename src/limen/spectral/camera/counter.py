"""Random numbers by place: a pixel draws the same number in whatever tile it is computed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from limen._core.streams import seed_for

Places = tuple[Sequence[int], ...] | tuple[np.ndarray, ...]

_STEP = np.uint64(0x9E3779B97F4A7C15)


def uniform(places: Places, seed: int, *names: object) -> Float[np.ndarray, "..."]:
    """Independent uniforms in (0, 1), one for each combination of coordinates.

    A number depends on the seed, the names and its own coordinates alone (splitmix64 applied once
    per axis), so frames may be cut into tiles of any size and computed in any order.

    Args:
        places: Coordinates along each axis, each 1-D; their outer product is the result's shape.
        seed: The seed.
        names: What the numbers are for.

    Returns:
        Float64, one axis for each entry of `places`.

    Example:
        >>> whole = uniform((range(4), range(6)), 0, "read")
        >>> tile = uniform((range(1, 3), range(2, 5)), 0, "read")
        >>> bool((whole[1:3, 2:5] == tile).all())
        True
    """
    state = np.array(seed_for(seed, *names), dtype=np.uint64)
    for axis in places:
        state = _mixed(
            state[..., None] + (np.asarray(axis, dtype=np.uint64) + np.uint64(1)) * _STEP
        )
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(places: Places, seed: int, *names: object) -> Float[np.ndarray, "..."]:
    """Independent standard normals by inversion, one for each combination of coordinates.

    Args:
        places: Coordinates along each axis, each 1-D.
        seed: The seed.
        names: What the numbers are for.

    Returns:
        Float64, one axis for each entry of `places`.

    Example:
        >>> normal((range(2), range(3)), 0, "read").shape
        (2, 3)
    """
    from scipy.special import ndtri

    return np.asarray(ndtri(uniform(places, seed, *names)))


def poisson(
    mean: Float[np.ndarray, "*shape"], chance: Float[np.ndarray, "*shape"]
) -> Int[np.ndarray, "*shape"]:
    """The Poisson quantile of each uniform: exact below a mean of 20, Giles' expansion above.

    Above 20: floor(s + sqrt(s) z + 1/3 + z^2/6 - (z/36 + z^3/72)/sqrt(s)) with z the normal
    quantile, wrong by at most one electron and seldom by that.

    Args:
        mean: Expected electrons, at least 0.
        chance: Uniforms in (0, 1).

    Returns:
        Electrons.

    Reference:
        Giles, "Algorithm 955: Approximation of the Inverse Poisson Cumulative Distribution
        Function", ACM Transactions on Mathematical Software, 2016, the normal expansion. Below a
        mean of 20 we add up the distribution instead of using its further branches.

    Example:
        >>> poisson(np.array([0.0, 1.0, 100.0]), np.array([0.9, 0.5, 0.5])).tolist()
        [0, 1, 100]
    """
    from scipy.special import ndtri

    count = np.empty(mean.shape, dtype=np.int64)
    few = mean < 20
    many = ~few
    s, z = mean[many], ndtri(chance[many])
    root = np.sqrt(s)
    count[many] = np.floor(s + root * z + 1 / 3 + z * z / 6 - z * (2 + z * z) / (72 * root))
    s, u = mean[few], chance[few]
    term = np.exp(-s)
    total, found = term.copy(), np.zeros(s.shape, dtype=np.int64)
    for k in range(1, 200):
        behind = total < u
        if not behind.any():
            break
        found += behind
        term = term * s / k
        total += term
    count[few] = found
    return np.maximum(count, 0)


def _mixed(state: np.ndarray) -> np.ndarray:
    """Splitmix64's finaliser: each bit in reaches every bit out."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
