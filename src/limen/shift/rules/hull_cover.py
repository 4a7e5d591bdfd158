"""Rows that make the convex hull of the chosen grow fastest."""

import numpy as np

from limen.shift.rules.growing import Growing
from limen.shift.rules.pool import Order, Pool, Room
from limen.shift.rules.space import space


def hull_cover(pool: Pool, budget: int, *, dimensions: int = 16, whiten: bool = False) -> Order:
    """Greedy growth of a convex hull; the distance from the pool to it falls, never rises.

    Starts at the row farthest from the mean and adds, again and again, the row that lies farthest
    outside the hull of those chosen,

        next = argmax_i min_w ||z_i - sum_j w_j z_j||,    w >= 0, sum w = 1, j chosen.

    A hull only grows, so the largest distance never rises, and a smaller budget gives a prefix of a
    larger one. When no row lies outside any more, it goes on with the row farthest from any chosen
    one, which fills the inside. A row inside lies between rows that are learnt from; this spends
    the budget on those that do not. That is the hull of points: that rows lie inside does not make
    their distribution a mixture, which `mixture_gap` asks. It takes extremes, so it takes errors of
    measurement and wrong labels too: look at the first rows before training on them.

    Args:
        pool: Rows to choose from; only their features and cells count.
        budget: How many, at most the room of the pool.
        dimensions: Wider features are reduced to so many principal components.
        whiten: Whether every direction counts alike, whatever its variance.

    Returns:
        The order; `heights` are distances to the hull when taken, in the units of the features
        (whitened: of standard deviations), 0 once nothing lies outside. Weights are 1.

    Raises:
        UsageError: More rows than there is room for, or `dimensions` below 1.

    Reference:
        Hull-aware reformulation of the selection in S. Zhang et al., data from several source
        environments, arXiv 2312.16243, whose algorithm is not public; not the paper's. Greedy
        farthest points as R. W. Kennard and L. A. Stone, "Computer aided design of experiments",
        Technometrics, 1969, with the distance to the hull in place of the nearest point's.

    Example:
        >>> found = hull_cover(Pool.of([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0], [1.0, 1.0]]), 4)
        >>> found.rows.tolist(), found.heights[1:].round(2).tolist()    # 2.4 = 3 * 4 / 5
        ([1, 2, 0, 3], [5.0, 2.4, 0.0])
    """
    found = space(pool.features, dimensions=dimensions, whiten=whiten)
    points, room = found.points, pool.room(budget)
    length = np.where(room.open, np.linalg.norm(points, axis=1), -1.0)
    rows = [int(length.argmax())]
    heights = [float(length[rows[0]])]
    room.take(rows[0])
    hull = Growing(points, rows[0])
    while len(rows) < budget:
        row, height = hull.farthest(room.open)
        if not height:
            break
        hull.add(row)
        room.take(row)
        rows.append(row)
        heights.append(height)
    full = len(rows)
    _fill(points, rows, budget, room=room)
    told = found.told
    if full < budget:
        told += (f"no row lay outside the hull of the first {full}; the others fill its inside",)
    heights += [0.0] * (len(rows) - full)
    return Order(np.array(rows), np.ones(len(rows)), np.array(heights), told)


def _fill(points: np.ndarray, rows: list[int], budget: int, *, room: Room) -> None:
    """Append the rows farthest from any chosen one."""
    if len(rows) >= budget:
        return
    nearest = np.full(len(points), np.inf)
    for row in rows:
        nearest = np.minimum(nearest, np.linalg.norm(points - points[row], axis=1))
    while len(rows) < budget:
        row = int(np.where(room.open, nearest, -1.0).argmax())
        room.take(row)
        rows.append(row)
        nearest = np.minimum(nearest, np.linalg.norm(points - points[row], axis=1))
