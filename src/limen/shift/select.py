"""Training rows chosen from a pool, without a look at any target."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure.hull import Hull
from limen.shift.rules.hull_cover import hull_cover
from limen.shift.rules.pool import Order, Pool, Rule
from limen.shift.rules.space import space
from limen.shift.selection import Selection

_ASKED = 2000  # rows whose distances stand for the pool's
_RIDGE = 1e-6
_MANY = 8  # dimensions above which hardly any fresh row lies inside a hull


def select(
    pool: Any,
    budget: float,
    by: Rule = hull_cover,
    *,
    labels: Any = None,
    environments: Any = None,
    losses: Any = None,
    quotas: Mapping[Any, int] | int | str | None = None,
    seed: int = 0,
) -> Selection:
    """Choose rows to train on; every figure of coverage comes beside that of random rows.

    Only the pool is looked at, never a target. Whether a choice helps is measured by training on
    it: `random` and `balanced_random` belong in every table, and often win.

    Args:
        pool: Features, (rows, width), finite.
        budget: How many rows, or a share of them above 0 and below 1 (at least one row).
        by: The rule: one of `limen.shift.rules`, such a rule with other options
            (`functools.partial(logdet, most=4)`), or any function of a `Pool` and a budget. It may
            give more rows than asked for, best first; quotas and budget then cut.
        labels: Class of each row, integers or strings.
        environments: Environment of each row, integers or strings.
        losses: Loss of each row, for `loss`; higher = harder.
        quotas: The most rows of a cell, which is a (class, environment) pair, or a class or an
            environment where only one is given: a number for all cells, numbers by cell (others
            without a limit), or "even" for equal shares of the budget.
        seed: Decides every random number.

    Returns:
        The selection.

    Raises:
        UsageError: A budget that is no such number, or above the pool; features, labels,
            environments, losses or quotas that do not fit; a rule that gives no such rows.

    Example:
        >>> corners = [[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]
        >>> found = select([*corners, [1.0, 1.0], [1.0, 1.5]], budget=3)
        >>> found.rows.tolist(), found.cover["max_distance"]
        ([1, 2, 0], 0.0)
    """
    rows = len(pool)
    count = count_of(budget, rows)
    given = Pool.of(
        pool, labels=labels, environments=environments, losses=losses,
        quotas=quotas, budget=count, seed=seed,
    )  # fmt: skip
    found = chosen(given, count, by)
    cover, chance, told = _coverage(given, found.rows)
    weights = found.weights / found.weights.mean()
    return Selection(
        found.rows, weights, found.heights, rows, _name(by), seed,
        cover, chance, (*found.told, *(one for one in told if one not in found.told)),
    )  # fmt: skip


def count_of(budget: float, rows: int) -> int:
    """A budget as a number of rows.

    Args:
        budget: A whole number of rows, or a share above 0 and below 1.
        rows: In the pool.

    Returns:
        1 to `rows`; a share is rounded to the nearest.

    Raises:
        UsageError: Neither, or above the pool.

    Example:
        >>> count_of(0.25, 10), count_of(7, 10)
        (2, 7)
    """
    whole = isinstance(budget, int | np.integer) and not isinstance(budget, bool)
    if whole and budget > rows:
        raise UsageError(f"budget={budget} is above the pool's {rows} rows; ask for fewer")
    if whole and budget >= 1:
        return int(budget)
    if not isinstance(budget, float | np.floating) or not 0 < budget < 1:
        raise UsageError(
            f"budget={budget} must be a whole number of rows, 1 to {rows}, "
            "or a share above 0 and below 1"
        )
    return max(1, round(float(budget) * rows))


def chosen(pool: Pool, count: int, by: Rule) -> Order:
    """A rule's first rows that quotas and budget allow, checked; `select` without the figures.

    Args:
        pool: The rows.
        count: How many.
        by: The rule.

    Returns:
        So many rows.

    Raises:
        UsageError: The rule gives rows that the pool has not, rows twice, too few, or weights that
            are not above 0.

    Example:
        >>> chosen(Pool.of([[0.0], [3.0], [9.0]]), 2, hull_cover).rows.tolist()
        [2, 0]
    """
    order = by(pool, count)
    rows = np.asarray(order.rows)
    right = rows.dtype.kind in "iu" and rows.ndim == 1 and len(np.unique(rows)) == len(rows)
    if not right or (len(rows) and not 0 <= rows.min() <= rows.max() < len(pool)):
        raise UsageError("a rule must give different rows of the pool, as integers, best first")
    taken = pool.first(rows.astype(np.int64), count)
    if len(taken) < count:
        raise UsageError(
            f"the rule gives {len(taken)} rows that the quotas allow, budget={count}; "
            "give more rows, or raise a quota"
        )
    place = np.empty(len(pool), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    weights = np.asarray(order.weights, dtype=np.float64)[place[taken]]
    if not (weights > 0).all() or not np.isfinite(weights).all():
        raise UsageError("a rule must give weights above 0 and finite; leave a row out instead")
    heights = np.asarray(order.heights, dtype=np.float64)[place[taken]]
    return Order(taken, weights, heights, tuple(order.told))


def _coverage(
    pool: Pool, rows: np.ndarray
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    """Figures of the rows, of random rows, and what to know of both."""
    found = space(pool.features)
    stream = numpy_stream(pool.seed, "select", "coverage")
    some = stream.permutation(len(pool))
    asked = some[:_ASKED]
    told = found.told
    width = found.points.shape[1]
    if width > _MANY:
        told += (
            f"in {width} dimensions hardly any row lies inside a hull of others, "
            "whatever they are: compare distances, not shares",
        )
    drawn = numpy_stream(pool.seed, "select", "chance").permutation(len(pool))[: len(rows)]
    return _figures(found.points, rows, asked), _figures(found.points, drawn, asked), told


def _figures(
    points: Float[np.ndarray, "rows dimensions"], chosen: np.ndarray, asked: np.ndarray
) -> dict[str, float]:
    others = points[np.setdiff1d(asked, chosen)]
    mine, width = points[chosen], points.shape[1]
    covariance = np.cov(mine.T, bias=True).reshape(width, width)
    spread = max(float(points.var(0).mean()), 1e-300)
    logdet = float(np.linalg.slogdet(covariance + _RIDGE * spread * np.eye(width))[1])
    if not len(others):
        zeros = dict.fromkeys(("mean_distance", "max_distance", "outside", "radius"), 0.0)
        return {**zeros, "logdet": logdet}
    distance = Hull(mine).distance(others)
    return {
        "mean_distance": float(distance.mean()),
        "max_distance": float(distance.max()),
        "outside": float((distance > 0).mean()),
        "radius": _radius(others, mine),
        "logdet": logdet,
    }


def _radius(others: np.ndarray, mine: np.ndarray) -> float:
    from scipy.spatial import cKDTree

    return float(cKDTree(mine).query(others)[0].max())


def _name(rule: Any) -> str:
    """The rule's own name, through `functools.partial`."""
    inner = getattr(rule, "func", rule)
    return str(getattr(inner, "__name__", type(inner).__name__))
