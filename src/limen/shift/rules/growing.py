"""A convex hull that grows corner by corner, and the row that lies farthest outside it."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

_TOLERANCE = 1e-7  # of the largest distance from the mean: what is nearer lies inside
_TINY = 1e-300
_SMALL = 1e-12  # a weight that counts as nothing
_ROWS = 64  # brought up to date at once


class Growing:
    """The distance of every row to the hull of some of them, brought up to date when it matters.

    A hull that grows never moves away, so an old distance bounds the new one from above. A new
    corner c brings x nearer only if `(c - p) . (x - p) > 0`, p the nearest point of the hull so
    far: that is checked for all rows at once, and only rows that could be the farthest are solved
    again, from the corners that they used before (Wolfe's method, as in `limen.measure.Hull`).

    Args:
        rows: Centred rows.
        first: The first corner.
    """

    def __init__(self, rows: Float[np.ndarray, "rows dimensions"], first: int) -> None:
        exact = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float64))
        largest = float(exact.norm(dim=1).max())
        self.scale = largest if largest > 0 else 1.0
        self._rows = exact / self.scale
        count, wide = exact.shape
        self._corner = torch.full((count, wide + 2), first)
        self._weight = self._rows.new_zeros(count, wide + 2)
        self._weight[:, 0] = 1
        self._point = self._rows[first].expand_as(self._rows).clone()
        self._corners = [first]
        self._distance = (self._rows - self._point).norm(dim=1)
        self._stale = torch.zeros(count, dtype=torch.bool)

    def add(self, row: int) -> None:
        """Take a row as a corner.

        Args:
            row: Its place.
        """
        self._corners.append(row)
        away = self._rows - self._point
        nearer = away @ self._rows[row] - (away * self._point).sum(1)
        self._stale |= nearer > _TOLERANCE * self._distance
        self._distance[row], self._stale[row] = 0.0, False

    def farthest(self, allowed: Bool[np.ndarray, " rows"]) -> tuple[int, float]:
        """The allowed row that lies farthest outside, the first of equals, and its distance.

        Args:
            allowed: Which rows are asked; at least one.

        Returns:
            Its place, and its distance; 0 when all of them lie inside.
        """
        mask = torch.from_numpy(allowed)
        while True:
            upper = torch.where(mask, self._distance, -1.0)
            top = int(upper.argmax())
            if not self._stale[top]:
                distance = float(upper[top])
                return top, 0.0 if distance <= _TOLERANCE else distance * self.scale
            upper[~self._stale] = -1.0
            held = upper.topk(min(_ROWS, len(upper)))
            self._solve(held.indices[held.values >= 0])

    def _solve(self, live: Tensor) -> None:
        """The nearest points of some rows, among all corners."""
        asked, corners = live, torch.tensor(self._corners)
        places = self._rows[corners]
        while len(live):
            away = self._rows[live] - self._point[live]
            length = away.norm(dim=1)
            reach, best = (away @ places.T).max(1)
            gap = (reach - (away * self._point[live]).sum(1)) / length.clamp(min=_TINY)
            newcomer = corners[best]
            known = ((self._corner[live] == newcomer[:, None]) & (self._weight[live] > 0)).any(1)
            going = (length > _TOLERANCE) & (gap > _TOLERANCE) & ~known
            live, newcomer, before = live[going], newcomer[going], length[going]
            self._admit(live, newcomer)
            after = (self._rows[live] - self._point[live]).norm(dim=1)
            live = live[after < before]  # else only rounding is left
        found = (self._rows[asked] - self._point[asked]).norm(dim=1)
        self._distance[asked] = found.minimum(self._distance[asked])
        self._stale[asked] = False

    def _admit(self, live: Tensor, newcomer: Tensor) -> None:
        """One more corner for each row, then the nearest point of the hull of those in use."""
        if not len(live):
            return
        slot = (self._weight[live] > 0).int().argmin(1)
        wide = 1 + max(int(slot.max()), int((self._weight[live] > 0).any(0).nonzero().max()))
        weight, corner = self._weight[live, :wide], self._corner[live, :wide]
        every = torch.arange(len(live))
        corner[every, slot] = newcomer
        used = weight > 0
        used[every, slot] = True
        moving = every
        while len(moving):
            mine, old = used[moving], weight[moving]
            from_x = self._rows[corner[moving]] - self._rows[live[moving], None]
            flat = _on_flat(from_x, mine)
            flat = torch.where(flat.isfinite().all(1, keepdim=True), flat, old)
            outside = mine & (flat <= _SMALL)
            ratio = (old / (old - flat).clamp(min=_TINY)).clamp(max=1)
            step = torch.where(outside, ratio, 1.0).amin(1, keepdim=True)
            leaving = outside & (ratio <= step)
            new = (old + step * (flat - old)).masked_fill(~mine | leaving, 0.0).clamp(min=0)
            weight[moving] = new / new.sum(1, keepdim=True)
            used[moving] = mine & ~leaving
            moving = moving[leaving.any(1)]
        point = (weight[:, None] @ self._rows[corner])[:, 0]
        better = (self._rows[live] - point).norm(dim=1) < (
            self._rows[live] - self._point[live]
        ).norm(dim=1)
        kept = live[better]
        self._weight[kept, :wide], self._corner[kept, :wide] = weight[better], corner[better]
        self._point[kept] = point[better]


def _on_flat(from_x: Tensor, mine: Tensor) -> Tensor:
    """Weights, of either sign and sum 1, of the point nearest to x in the flat of the corners."""
    ours = mine.to(from_x.dtype)
    from_x = from_x * ours[..., None]
    gram = from_x @ from_x.mT + ours[:, :, None] * ours[:, None, :] + torch.diag_embed(1 - ours)
    found = torch.linalg.solve_ex(gram, ours[..., None]).result[..., 0]
    return found / found.sum(1, keepdim=True)
