"""Rows at random: what every other rule must beat."""

import numpy as np

from limen._core.streams import numpy_stream
from limen.shift.rules.pool import Order, Pool
from limen.shift.rules.quotas import shares


def random(pool: Pool, budget: int) -> Order:
    """Rows in random order, each as likely as any other; the baseline.

    A smaller budget gives a prefix of a larger one.

    Args:
        pool: Rows to choose from; only their number, cells and seed count.
        budget: How many, at most the room of the pool.

    Returns:
        The order; `heights` are the rows' random numbers. Weights are 1.

    Raises:
        UsageError: More rows than there is room for.

    Example:
        >>> rows = random(Pool.of([[0.0], [1.0], [2.0]]), 3).rows
        >>> sorted(rows.tolist())
        [0, 1, 2]
    """
    pool.room(budget)
    return _drawn(pool, pool.first(np.argsort(-_heights(pool), kind="stable"), budget))


def balanced_random(pool: Pool, budget: int) -> Order:
    """Rows at random, equally many of each class (or environment, where no labels are given).

    A class too small for its share gives all that it has, and the others share what is left.
    Often the hardest baseline: much of what a clever rule gains, it gains by balancing.

    Args:
        pool: Rows to choose from; only their labels or environments, cells and seed count.
        budget: How many, at most the room of the pool.

    Returns:
        The order, classes in turn; `heights` are the rows' random numbers. Weights are 1.

    Raises:
        UsageError: More rows than there is room for.

    Example:
        >>> pool = Pool.of(np.zeros((6, 1)), labels=[0, 0, 0, 0, 0, 1])
        >>> sorted(pool.labels[balanced_random(pool, 2).rows].tolist())
        [0, 1]
    """
    pool.room(budget)
    group = pool.labels if pool.labels is not None else pool.environments
    ranking = pool.first(np.argsort(-_heights(pool), kind="stable"), len(pool))
    if group is None:
        return _drawn(pool, ranking[:budget])
    mine = group[ranking]
    turn = np.zeros(len(ranking), dtype=np.int64)
    for one in np.unique(mine):
        turn[mine == one] = np.arange(np.count_nonzero(mine == one))
    share = shares(np.bincount(mine), budget)
    kept = turn < share[mine]
    order = np.argsort(turn[kept], kind="stable")
    return _drawn(pool, ranking[kept][order])


def _heights(pool: Pool) -> np.ndarray:
    return numpy_stream(pool.seed, "select", "random").random(len(pool))


def _drawn(pool: Pool, rows: np.ndarray) -> Order:
    return Order(rows, np.ones(len(rows)), _heights(pool)[rows])
