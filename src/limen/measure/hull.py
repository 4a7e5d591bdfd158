"""Convex hulls of points: how far outside a new point lies, with a proof."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import like, tensor

QUERIES, PRODUCTS = 1024, 1 << 22  # at once, and of them with all points
FIRST = 4096  # outermost points, tried before all
_TINY = 1e-300
_SMALL = 1e-12  # a weight that counts as nothing


class Nearest(NamedTuple):
    """The nearest point of a hull, and the proof that none is much nearer."""

    distance: Any
    """Distance to `point`, so at least the distance to the hull."""
    bound: Any
    """No point of the hull is nearer than this: the gap of the hyperplane across `point`."""
    point: Any
    """The nearest point found, a mixture of the hull's points; from it to x is what is missing."""


class Hull:
    """The convex hull of points: all their mixtures. Distance 0 inside; higher = farther outside.

    `distance(x) = min_w ||sum_j w_j p_j - x||` over weights w >= 0 that sum to 1. By Wolfe's
    method, for many x at once, in float64: add the point that lies farthest towards x, move to the
    nearest point of the flat through those in use, drop the ones whose weight would turn negative,
    repeat. The nearest point of a flat is exact, so it ends after finitely many steps; every answer
    carries the lower bound `min_j (p_j - x) . r / ||r||` of the hyperplane across it, r the way
    from x to the nearest point, and it stops when the two agree. The outermost points are tried
    first; the bound is always over all.

    Membership means little in many dimensions: hardly any fresh point of the same distribution lies
    inside the hull of any practical number of points above about 8. There take the distance, or
    reduce the dimension first.

    Args:
        points: Rows, a tensor or an array.
        tolerance: How far distance and bound may lie apart, relative to the largest distance of a
            point from their mean; what lies nearer than that is inside.

    Raises:
        UsageError: Points that are not finite or no rows; `tolerance` not positive.

    Reference:
        P. Wolfe, "Finding the nearest point in a polytope", Mathematical Programming, 1976;
        the gap is Frank and Wolfe's, "An algorithm for quadratic programming", Naval Research
        Logistics Quarterly, 1956.

    Example:
        >>> import numpy as np
        >>> hull = Hull(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]))
        >>> hull.distance(np.array([[0.5, 0.5], [1.0, -3.0]]))
        array([0., 3.])
    """

    def __init__(self, points: Any, *, tolerance: float = 1e-6) -> None:
        if not 0 < tolerance < 1:
            raise UsageError(f"tolerance={tolerance} must be above 0 and below 1")
        found = tensor("points", points).detach()
        if found.ndim != 2:
            raise UsageError(f"points must be rows, got shape {tuple(found.shape)}")
        self.points = found
        self.tolerance = tolerance
        exact = found.double()
        self._centre = exact.mean(0)
        spread = (exact - self._centre).norm(dim=1).max()
        self._scale = torch.where(spread > 0, spread, 1.0)
        unit = (exact - self._centre) / self._scale
        self._order = unit.norm(dim=1).argsort(descending=True)
        self._unit = unit[self._order]

    @torch.no_grad()
    def nearest(self, x: Any) -> Nearest:
        """The nearest point of the hull to each row.

        Args:
            x: Rows, a tensor or an array.

        Returns:
            Distance, bound and point, of the kind of `x`.

        Raises:
            UsageError: Another width, or not finite.

        Example:
            >>> import numpy as np
            >>> found = Hull(np.array([[0.0], [4.0]])).nearest(np.array([[6.0]]))
            >>> [part.item() for part in found]
            [2.0, 2.0, 4.0]
        """
        _, _, point, bound, unit = self._solved(x)
        distance = (point - unit).norm(dim=1)
        distance = torch.where(distance <= self.tolerance, 0.0, distance)
        bound = bound.minimum(distance).clamp(min=0)
        found = (distance * self._scale, bound * self._scale, point * self._scale + self._centre)
        return Nearest(*(like(one, x) for one in found))

    @torch.no_grad()
    def mixture(self, x: Any) -> Any:
        """The weights of the points that mix to the nearest point of each row.

        Args:
            x: Rows, a tensor or an array.

        Returns:
            (rows, points), at least 0, each row sums to 1; of the kind of `x`.

        Raises:
            UsageError: Another width, or not finite.

        Example:
            >>> import numpy as np
            >>> Hull(np.array([[0.0], [4.0]])).mixture(np.array([[1.0], [6.0]])).tolist()
            [[0.75, 0.25], [0.0, 1.0]]
        """
        column, weight, *_ = self._solved(x)
        dense = weight.new_zeros(len(weight), len(self._unit))
        return like(dense.scatter_add(1, self._order[column], weight), x)

    def distance(self, x: Any) -> Any:
        """Distance of each row to the hull; 0 inside.

        Args:
            x: Rows, a tensor or an array.

        Returns:
            At least 0, one for each row, of the kind of `x`.

        Raises:
            UsageError: Another width, or not finite.

        Example:
            >>> import numpy as np
            >>> Hull(np.array([[0.0], [4.0]])).distance(np.array([[1.0], [6.0]]))
            array([0., 2.])
        """
        return self.nearest(x).distance

    def contains(self, x: Any) -> Any:
        """Whether each row lies in the hull, to the tolerance.

        Args:
            x: Rows, a tensor or an array.

        Returns:
            Booleans, one for each row.

        Raises:
            UsageError: Another width, or not finite.

        Example:
            >>> import numpy as np
            >>> Hull(np.array([[0.0], [4.0]])).contains(np.array([[1.0], [6.0]]))
            array([ True, False])
        """
        return self.distance(x) == 0

    def to_dict(self) -> dict[str, Any]:
        """Points and tolerance.

        Example:
            >>> Hull([[0.0], [4.0]]).to_dict()["tolerance"]
            1e-06
        """
        return {"points": self.points, "tolerance": self.tolerance}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Hull":
        """The hull that `to_dict` described.

        Example:
            >>> Hull.from_dict({"points": [[0.0], [4.0]], "tolerance": 1e-6}).points.tolist()
            [[0.0], [4.0]]
        """
        return cls(data["points"], tolerance=data["tolerance"])

    def _solved(self, x: Any) -> tuple[Tensor, ...]:
        """Columns and weights of the mixture, its point and bound, and x, all in our unit."""
        rows = tensor("x", x, columns=self.points.shape[1]).double()
        unit = (rows - self._centre) / self._scale
        size = min(QUERIES, max(64, PRODUCTS // len(self._unit)))
        parts = [_Wolfe(self._unit, part).run(self.tolerance) for part in unit.split(size)]
        return (*(torch.cat(found) for found in zip(*parts, strict=True)), unit)


class _Wolfe:
    """Mixtures of a few points each, one for each row of x, on their way to the nearest."""

    def __init__(self, points: Tensor, x: Tensor) -> None:
        slots = points.shape[1] + 2  # one more than can be affinely independent, for the newcomer
        self.points, self.x = points, x
        self.column = torch.zeros(len(x), slots, dtype=torch.long, device=x.device)
        self.column[:, 0] = (points.square().sum(1) - 2 * x @ points.T).argmin(1)
        self.weight = x.new_zeros(len(x), slots)
        self.weight[:, 0] = 1
        self.used = self.weight > 0
        self.point = points[self.column[:, 0]]

    def run(self, tolerance: float) -> tuple[Tensor, ...]:
        """Columns, weights, points and bounds, when distance and bound agree or nothing moves."""
        for tried in (self.points[:FIRST].float(), self.points):  # roughly, then for certain
            bound = self._against(tried, tolerance)
        return self.column, self.weight, self.point, bound

    def _against(self, tried: Tensor, tolerance: float) -> Tensor:
        """Bounds over the points tried."""
        bound, last = torch.zeros_like(self.x[:, 0]), torch.full_like(self.x[:, 0], torch.inf)
        live = torch.arange(len(self.x), device=self.x.device)
        while len(live):
            away = self.point[live] - self.x[live]
            length = away.norm(dim=1)
            newcomer = (away.to(tried.dtype) @ tried.T).min(1).indices
            low = (away * (self.points[newcomer] - self.x[live])).sum(1)
            bound[live] = low / length.clamp(min=_TINY)
            known = (self.used[live] & (self.column[live] == newcomer[:, None])).any(1)
            near = (length <= tolerance / 2) | (length - bound[live] <= tolerance / 2)
            going = ~(near | known) & (length < last[live])  # else only rounding is left
            last[live] = length
            live = live[going]
            self._admit(live, newcomer[going])
            self._settle(live)
        return bound

    def _admit(self, live: Tensor, newcomer: Tensor) -> None:
        slot = self.used[live].int().argmin(1)
        self.column[live, slot] = newcomer
        self.used[live, slot] = True

    def _settle(self, live: Tensor) -> None:
        """To the nearest point of the flat through what is in use, as far as the hull goes."""
        moving = live
        while len(moving):
            wide = self._wide(moving)
            mine, old = self.used[moving, :wide], self.weight[moving, :wide]
            flat = _on_flat(self.points[self.column[moving, :wide]], mine, self.x[moving])
            flat = torch.where(flat.isfinite().all(1, keepdim=True), flat, old)
            outside = mine & (flat <= _SMALL)
            ratio = (old / (old - flat).clamp(min=_TINY)).clamp(max=1)
            step = torch.where(outside, ratio, 1.0).amin(1, keepdim=True)
            leaving = outside & (ratio <= step)
            new = (old + step * (flat - old)).masked_fill(~mine | leaving, 0.0).clamp(min=0)
            self.weight[moving, :wide] = new / new.sum(1, keepdim=True)
            self.used[moving, :wide] = mine & ~leaving
            moving = moving[leaving.any(1)]
        if len(live):
            wide = self._wide(live)
            corners = self.points[self.column[live, :wide]]
            self.point[live] = (self.weight[live, None, :wide] @ corners)[:, 0]

    def _wide(self, rows: Tensor) -> int:
        return int(self.used[rows].any(0).nonzero().max()) + 1


def _on_flat(corners: Tensor, mine: Tensor, x: Tensor) -> Tensor:
    """Weights, of either sign and sum 1, of the point nearest to x in the flat through corners."""
    corners = corners * mine[..., None]
    ours = mine.to(corners.dtype)
    gram = corners @ corners.mT + ours[:, :, None] * ours[:, None, :] + torch.diag_embed(1 - ours)
    right = torch.stack([ours, (corners @ x[..., None])[..., 0]], -1)
    ones, free = torch.linalg.solve_ex(gram, right).result.unbind(-1)
    return free + ones * ((1 - free.sum(1)) / ones.sum(1))[:, None]
