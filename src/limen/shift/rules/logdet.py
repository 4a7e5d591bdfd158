"""Weighted rows that spread out most: D-optimal design."""

from math import inf

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError, WorkError
from limen.shift.rules.pool import Order, Pool
from limen.shift.rules.space import space

_GONE = 1e-12  # a weight, relative to the mean one, that counts as nothing


def logdet(
    pool: Pool,
    budget: int,
    *,
    most: float = 1.0,
    ridge: float = 1e-3,
    dimensions: int = 64,
    tolerance: float = 1e-2,
) -> Order:
    """D-optimal rows and weights: the log-volume of their scatter is as large as it can be.

        max_w log det( sum_i w_i z_i z_i^T + e I ),    0 <= w_i <= most, sum w = budget.

    The problem is concave and solved to a gap (`design`); the rows with the largest weights are
    taken, and the weights solved again on them alone. Since no weight exceeds `most`, the effective
    sample size (sum w)^2 / sum w^2 is at least budget / most: `most` is what one gives up for
    spread. With 1 all weights are 1.

    Args:
        pool: Rows to choose from; only their features and cells count.
        budget: How many, at most the room of the pool.
        most: Largest weight, at least 1.
        ridge: e / budget, as a share of the mean variance; above 0.
        dimensions: Wider features are reduced to so many principal components.
        tolerance: Gap, as a share of the dimension, at which the weights are good enough.

    Returns:
        The order, largest weight first; `heights` are those of the whole pool, between 0 and
        `most`. Weights have mean 1. Budgets are not nested.

    Raises:
        UsageError: `most` below 1, `ridge` not positive, `dimensions` below 1, or more rows than
            there is room for.
        WorkError: The weights did not converge.

    Reference:
        J. Kiefer and J. Wolfowitz, "The equivalence of two extremum problems", Canadian Journal of
        Mathematics, 1960; the update after S. D. Silvey, D. M. Titterington and B. Torsney, "An
        algorithm for optimal designs on a finite design space", Communications in Statistics, 1978.
        Taking the largest weights is a rounding without a bound.

    Example:
        >>> found = logdet(Pool.of([[-3.0], [-1.0], [1.0], [3.0]]), 2)    # the two ends
        >>> sorted(found.rows.tolist()), found.weights.tolist()
        ([0, 3], [1.0, 1.0])
    """
    if not most >= 1:
        raise UsageError(f"most={most} must be at least 1, or the weights cannot sum to the budget")
    if not 0 < ridge < inf:
        raise UsageError(f"ridge={ridge} must be above 0")
    pool.room(budget)
    found = space(pool.features, dimensions=dimensions)
    points = found.points
    e = budget * ridge * max(float((points**2).sum(1).mean()) / points.shape[1], 1e-300)
    whole = design(points, budget, most=most, ridge=e, tolerance=tolerance)
    rows = pool.first(np.argsort(-whole, kind="stable"), budget)
    mine = np.ones(len(rows))
    if most > 1:
        mine = design(points[rows], budget, most=most, ridge=e, tolerance=tolerance)
        mine = np.maximum(mine, _GONE)
    return Order(rows, mine, whole[rows], found.told)


def design(
    points: Float[np.ndarray, "rows width"],
    budget: float = 1.0,
    *,
    most: float = inf,
    ridge: float = 0.0,
    tolerance: float = 1e-2,
    steps: int = 20_000,
) -> Float[np.ndarray, " rows"]:
    """Weights that maximise `log det(sum_i w_i z_i z_i^T + ridge I)`, to a proven gap.

    With g_i = z_i^T M^-1 z_i, M the matrix in the bracket, w_i <- min(most, c w_i g_i), c such that
    the sum stays, never lowers the value. It stops when `max_s s . g - w . g`, over feasible s,
    which bounds what is missing, is at most `tolerance` times the width. With budget 1, no `most`
    and no ridge that is the equivalence theorem: max_i g_i <= width (1 + tolerance).

    Args:
        points: Rows; centre them first if the mean should not count as spread.
        budget: Sum of the weights, above 0.
        most: Largest weight.
        ridge: Added to the diagonal, 0 or more; 0 needs points that span.
        tolerance: Above 0.
        steps: The most updates.

    Returns:
        Weights, 0 or more.

    Raises:
        UsageError: Weights cannot sum to the budget, or the points do not span and ridge is 0.
        WorkError: Not converged after `steps`.

    Example:
        >>> design(np.array([[-2.0], [1.0], [2.0]]), tolerance=1e-6).round(2).tolist()
        [0.5, 0.0, 0.5]
    """
    count, width = points.shape
    if not 0 < budget <= most * count * (1 + 1e-12):
        raise UsageError(f"budget={budget} must be above 0 and at most most * rows, {most * count}")
    if not ridge and np.linalg.matrix_rank(points) < width:
        raise UsageError("points must span their space, or the determinant is 0; give a ridge")
    weights = np.full(count, budget / count)
    for _ in range(steps):
        matrix = (points * weights[:, None]).T @ points + ridge * np.eye(width)
        gain = (points @ np.linalg.inv(matrix) * points).sum(1)
        if _largest(gain, budget, most) - weights @ gain <= tolerance * width:
            return weights
        weights = _capped(weights * gain, budget, most)
    raise WorkError(f"the design did not converge in {steps} steps; raise tolerance or steps")


def _largest(gain: np.ndarray, budget: float, most: float) -> float:
    """Largest s . gain over 0 <= s <= most, sum s = budget: fill the largest first."""
    if most >= budget:
        return budget * float(gain.max())
    order = -np.sort(-gain)
    full = int(budget / most)
    rest = (budget - full * most) * order[full] if full < len(order) else 0.0
    return float(most * order[:full].sum() + rest)


def _capped(raw: np.ndarray, budget: float, most: float) -> np.ndarray:
    """min(most, c raw) with c such that the sum is the budget."""
    found = raw * (budget / raw.sum())
    over = np.zeros(len(raw), dtype=bool)
    while (found > most * (1 + 1e-12)).any():
        over |= found > most
        free = raw[~over].sum()
        left = budget - most * np.count_nonzero(over)
        found = np.where(over, most, raw * (left / free) if free > 0 else 0.0)
    return np.minimum(found, most)
