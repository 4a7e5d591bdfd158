"""Inner products of weighted rows under a Gaussian kernel: exact, or by random features."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int64
from scipy.spatial.distance import cdist, pdist

from limen._core.streams import numpy_stream

Rows: TypeAlias = Float[np.ndarray, "rows width"]
Images: TypeAlias = Callable[[np.ndarray], list[np.ndarray]]
"""Weights (parts, rows) to the images of their weighted sums: (parts, features) for each class."""

_HEURISTIC = 2000  # rows that the median distance is taken over


def median_distance(rows: Rows, *, seed: int = 0) -> float:
    """Median distance between rows, the usual bandwidth; 1 where all rows are equal.

    Args:
        rows: At most 2,000 of them are looked at, chosen at random.
        seed: Of that choice.

    Returns:
        The distance, above 0.

    Example:
        >>> median_distance(np.array([[0.0], [1.0], [3.0]]))    # 1, 2 and 3
        2.0
    """
    if len(rows) > _HEURISTIC:
        chosen = numpy_stream(seed, "bandwidth").permutation(len(rows))[:_HEURISTIC]
        rows = rows[np.sort(chosen)]
    apart = pdist(rows)
    found = float(np.median(apart)) if len(apart) else 0.0
    return found or float(apart.mean() if apart.any() else 1.0)


def gaussian(a: Rows, b: Float[np.ndarray, "others width"], bandwidth: float) -> np.ndarray:
    """exp(-||x - y||^2 / (2 bandwidth^2)) of each pair.

    Args:
        a: Rows.
        b: Rows.
        bandwidth: Above 0.

    Returns:
        One row for each of `a`, one column for each of `b`.

    Example:
        >>> gaussian(np.zeros((1, 1)), np.array([[0.0], [2.0]]), 1.0).round(3)
        array([[1.   , 0.135]])
    """
    apart = cdist(a, b, "sqeuclidean")
    apart *= -0.5 / bandwidth**2
    return np.asarray(np.exp(apart, out=apart))


def exact(rows: Rows, labels: Int64[np.ndarray, " rows"], bandwidth: float) -> np.ndarray:
    """The kernel of all pairs of rows; 0 between two classes.

    Args:
        rows: Rows.
        labels: Class of each.
        bandwidth: Above 0.

    Returns:
        (rows, rows).

    Example:
        >>> exact(np.zeros((2, 1)), np.array([0, 1]), 1.0)
        array([[1., 0.],
               [0., 1.]])
    """
    found = gaussian(rows, rows, bandwidth)
    if labels.any():
        found *= labels[:, None] == labels
    return found


def fourier(
    rows: Rows, labels: Int64[np.ndarray, " rows"], bandwidth: float, *, features: int, seed: int
) -> Float[np.ndarray, "rows features"]:
    """Random features whose inner product is the kernel, on average; length 1 exactly.

    cos and sin of w.x for directions w drawn normal with deviation 1 / bandwidth, over the square
    root of how many there are. The error of a product falls as 1 / sqrt(features).

    Args:
        rows: Rows.
        labels: Ignored here: classes are kept apart by whoever sums.
        bandwidth: Above 0.
        features: How many, even.
        seed: Of the directions.

    Returns:
        (rows, features), in single precision.

    Reference:
        A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NeurIPS 2007.

    Example:
        >>> one = fourier(np.ones((1, 2)), np.zeros(1, int), 1.0, features=8, seed=0)
        >>> one.shape, round(float((one**2).sum()), 6)
        ((1, 8), 1.0)
    """
    half = features // 2
    drawn = numpy_stream(seed, "fourier").normal(size=(rows.shape[1], half)) / bandwidth
    angles = (rows @ drawn).astype(np.float32)
    found = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    found /= np.float32(np.sqrt(half))
    return found
