"""Rows whose mean, in a kernel's space, is the pool's mean."""

import numpy as np
from jaxtyping import Float

from limen._core.streams import numpy_stream
from limen.shift.rules.pool import Order, Pool

_PAIRS = 1000  # rows for the median distance
_BLOCK = 512
_TARGET = 8192  # rows that stand for the pool's mean


def herding(pool: Pool, budget: int) -> Order:
    """Kernel herding: each next row brings the chosen rows' mean nearest to the pool's.

        next = argmax_i mean_j k(z_i, z_j) - 1 / (t + 1) sum_{s chosen} k(z_i, z_s),

    t rows chosen before, k Gaussian with the median distance for its width. The rows look like the
    pool in small: the opposite of `hull_cover`, and what to take where the target is the pool. A
    smaller budget gives a prefix of a larger one.

    Args:
        pool: Rows to choose from; only their features and cells count.
        budget: How many, at most the room of the pool.

    Returns:
        The order; `heights` are the maximised values. Weights are 1.

    Raises:
        UsageError: More rows than there is room for.

    Reference:
        Y. Chen, M. Welling and A. Smola, "Super-samples from kernel herding", UAI 2010.
        Departures: a row is taken once; above 8,192 rows as many random ones stand for the mean.

    Example:
        >>> herding(Pool.of([[0.0], [1.0], [2.0], [3.0], [4.0]]), 1).rows.tolist()    # the middle
        [2]
    """
    points, room = pool.features, pool.room(budget)
    width = _median(points, pool.seed)
    mean, told = _mean_kernel(points, width, pool.seed)
    held = np.zeros(len(points))
    rows, heights = [], []
    for count in range(budget):
        score = np.where(room.open, mean - held / (count + 1), -np.inf)
        row = int(score.argmax())
        room.take(row)
        rows.append(row)
        heights.append(float(score[row]))
        held += _kernel(points, points[row : row + 1], width)[:, 0]
    return Order(np.array(rows), np.ones(len(rows)), np.array(heights), told)


def _kernel(
    a: Float[np.ndarray, "rows width"], b: Float[np.ndarray, "others width"], scale: float
) -> Float[np.ndarray, "rows others"]:
    apart = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    return np.exp(-apart.clip(min=0) / (2 * scale**2))


def _median(points: Float[np.ndarray, "rows width"], seed: int) -> float:
    from scipy.spatial.distance import pdist

    stream = numpy_stream(seed, "herding", "width")
    some = stream.permutation(len(points))[:_PAIRS]
    found = float(np.median(pdist(points[some]))) if len(some) > 1 else 0.0
    return found if found > 0 else 1.0


def _mean_kernel(
    points: Float[np.ndarray, "rows width"], width: float, seed: int
) -> tuple[Float[np.ndarray, " rows"], tuple[str, ...]]:
    target = points
    told: tuple[str, ...] = ()
    if len(points) > _TARGET:
        stream = numpy_stream(seed, "herding", "target")
        target = points[stream.permutation(len(points))[:_TARGET]]
        told = (f"{_TARGET} of {len(points)} rows stand for the pool's mean",)
    parts = [
        _kernel(points[start : start + _BLOCK], target, width).mean(1)
        for start in range(0, len(points), _BLOCK)
    ]
    return np.concatenate(parts), told
