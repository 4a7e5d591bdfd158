"""Rows such that every row has a chosen one near it."""

import numpy as np

from limen.shift.rules.pool import Order, Pool


def kcenter(pool: Pool, budget: int) -> Order:
    """Farthest-first: the largest distance from a row to its nearest chosen one becomes small.

    Starts at the row nearest to the mean, then adds the row that is farthest from all chosen. The
    radius `max_i min_j ||z_i - z_j||` is at most twice the smallest that any choice of as many rows
    reaches, and a smaller budget gives a prefix of a larger one. Unlike `hull_cover` it also fills
    the inside; both take outliers early.

    Args:
        pool: Rows to choose from; only their features and cells count.
        budget: How many, at most the room of the pool.

    Returns:
        The order; `heights` are distances to the nearest row chosen before, the first one's to
        the mean. Weights are 1.

    Raises:
        UsageError: More rows than there is room for.

    Reference:
        T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical
        Computer Science, 1985: the factor 2, which holds without quotas. As a way to choose
        training data: O. Sener and S. Savarese, "Active learning for convolutional neural networks:
        a core-set approach", ICLR 2018. Departure: the first row is the one nearest to the mean.

    Example:
        >>> found = kcenter(Pool.of([[0.0], [1.0], [5.0], [6.0]]), 3)
        >>> found.rows.tolist(), found.heights.tolist()
        ([1, 3, 0], [2.0, 5.0, 1.0])
    """
    points, room = pool.features, pool.room(budget)
    middle = np.linalg.norm(points - points.mean(0), axis=1)
    rows = [int(np.where(room.open, middle, np.inf).argmin())]
    heights = [float(middle[rows[0]])]
    room.take(rows[0])
    square = (points**2).sum(1)
    nearest = np.full(len(points), np.inf)
    for _ in range(budget - 1):
        last = rows[-1]
        apart = square - 2 * (points @ points[last]) + square[last]
        nearest = np.minimum(nearest, apart)
        row = int(np.where(room.open, nearest, -np.inf).argmax())
        room.take(row)
        rows.append(row)
        heights.append(float(np.sqrt(max(nearest[row], 0.0))))
    return Order(np.array(rows), np.ones(len(rows)), np.array(heights))
