"""Which direction is missing from a hull of points, and when membership says nothing."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure.arrays import like, tensor
from limen.measure.hull import Hull

MANY_DIMENSIONS = 8  # above, hardly any fresh point lies inside a hull


class Certificate(NamedTuple):
    """A direction for each row that proves it outside, and by how much.

    Example:
        >>> Certificate(direction=[[1.0, 0.0]], margin=[2.0]).margin
        [2.0]
    """

    direction: Any
    """Unit vectors g, one for each row: what the hull lacks; 0 where the row is inside."""
    margin: Any
    """g . x - max_j g . p_j, above 0 outside: no point of the hull is nearer. 0 inside."""


def certificate(hull: Hull, x: Any) -> Certificate:
    """The direction in which each row leaves the hull, a proof that anyone can check.

    By Farkas, x lies outside the hull of p exactly if some g has `g . x > max_j g . p_j`. Here g
    leads from the nearest point of the hull to x, which of all unit vectors has the largest margin:
    the distance itself.

    Args:
        hull: The hull.
        x: Rows, a tensor or an array.

    Returns:
        Directions and margins, of the kind of `x`.

    Raises:
        UsageError: Another width, or not finite.

    Reference:
        J. Farkas, "Theorie der einfachen Ungleichungen", Journal fur die reine und angewandte
        Mathematik, 1902.

    Example:
        >>> square = Hull(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        >>> found = certificate(square, np.array([[3.0, 0.5], [0.5, 0.5]]))
        >>> found.direction.round(9).tolist(), found.margin.tolist()
        ([[1.0, 0.0], [0.0, 0.0]], [2.0, 0.0])
    """
    rows = tensor("x", x, columns=hull.points.shape[1]).detach().double()
    found = hull.nearest(rows)
    away = rows - found.point
    length = away.norm(dim=1, keepdim=True)
    outside = (found.distance > 0)[:, None]
    direction = torch.where(outside, away / length.clamp(min=1e-300), 0.0)
    points, reach = hull.points.double(), torch.full_like(rows[:, 0], -torch.inf)
    for part in points.split(4096):
        reach = reach.maximum((direction @ part.T).amax(1))
    margin = torch.where(outside[:, 0], (direction * rows).sum(1) - reach, 0.0).clamp(min=0)
    return Certificate(like(direction, x), like(margin, x))


class Membership(NamedTuple):
    """How much it means to lie inside a hull of these points.

    Example:
        >>> Membership(rate=0.01, dimension=16.0, width=16).rate
        0.01
    """

    rate: float
    """Share of fresh points of the same distribution that lie inside; near 0 = membership is
    vacuous, take the distance."""
    dimension: float
    """Effective dimension (sum of variances)^2 / sum of squared variances, over principal axes."""
    width: int
    """Columns."""


def membership(points: Any, *, fresh: int = 200, seed: int = 0) -> Membership:
    """How often a fresh point of the points' own distribution lies in their hull; higher = usable.

    Up to `fresh` rows, a fifth at most, are held out and asked of the hull of the others. Above
    about 8 dimensions hardly any lies inside the hull of a practical number of points, and "it is
    outside" is then true of nearly everything; a warning says so.

    Args:
        points: Rows, ten or more.
        fresh: How many to hold out at most.
        seed: Of the choice.

    Returns:
        The rate, effective dimension and width.

    Raises:
        UsageError: Fewer than ten rows, or not finite.

    Reference:
        R. Balestriero, J. Pesenti and Y. LeCun, "Learning in high dimension always amounts to
        extrapolation", arXiv 2110.09485, for the phenomenon.

    Example:
        >>> plane = np.random.default_rng(0).normal(size=(500, 2))
        >>> found = membership(plane)
        >>> found.rate > 0.9, round(found.dimension, 1)
        (True, 2.0)
    """
    rows = tensor("points", points).detach().double()
    if rows.ndim != 2 or len(rows) < 10:
        raise UsageError(f"points must be ten rows or more, got shape {tuple(rows.shape)}")
    count = max(1, min(fresh, len(rows) // 5))
    order = torch.from_numpy(numpy_stream(seed, "membership").permutation(len(rows)))
    hull = Hull(rows[order[count:]])
    rate = float(hull.contains(rows[order[:count]]).double().mean())
    variances = np.linalg.svd((rows - rows.mean(0)).numpy(), compute_uv=False) ** 2
    dimension = float(variances.sum() ** 2 / (variances**2).sum()) if variances.any() else 0.0
    if rows.shape[1] > MANY_DIMENSIONS:
        warnings.warn(
            f"in {rows.shape[1]} dimensions (effectively {dimension:.1f}) {rate:.0%} of fresh "
            "points of the same distribution lie inside the hull: take the distance, or reduce "
            "the dimension to 8 or fewer first",
            UserWarning,
            stacklevel=2,
        )
    return Membership(rate, dimension, int(rows.shape[1]))
