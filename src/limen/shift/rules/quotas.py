"""Cells of classes and environments, and how many rows each may give."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from limen._core.errors import UsageError, nearest

NO_LIMIT = 1 << 62


class Named(NamedTuple):
    """A name for each row, as codes."""

    code: Int64[np.ndarray, " rows"]
    names: tuple[Any, ...]
    """The name of each code."""


def named(what: str, values: Any, rows: int) -> Named | None:
    """Integers or strings, one for each row, as codes in sorted order; None stays None.

    Args:
        what: The argument that an error speaks of.
        values: What the user gave.
        rows: How many there must be.

    Returns:
        Codes and names.

    Raises:
        UsageError: Another length, or neither integers nor strings.

    Example:
        >>> named("labels", ["dog", "cat", "dog"], 3)
        Named(code=array([1, 0, 1]), names=('cat', 'dog'))
    """
    if values is None:
        return None
    found = np.asarray(values)
    if found.shape != (rows,):
        raise UsageError(f"{what} must be {rows}, one for each row, got shape {found.shape}")
    if found.dtype.kind not in "iuUSO":
        raise UsageError(f"{what} must be integers or strings, got {found.dtype}")
    names, code = np.unique(found, return_inverse=True)
    return Named(code.astype(np.int64), tuple(names.tolist()))


def cells_of(rows: int, labels: Named | None, environments: Named | None) -> Named:
    """The quota cell of each row: (class, environment), or the one that is given, or one cell.

    Args:
        rows: How many.
        labels: Of each row.
        environments: Of each row.

    Returns:
        Codes of the cells that hold a row, and their names.

    Example:
        >>> cells_of(2, named("labels", [3, 5], 2), named("environments", ["x", "y"], 2)).names
        ((3, 'x'), (5, 'y'))
    """
    if labels is None and environments is None:
        return Named(np.zeros(rows, dtype=np.int64), ((),))
    if labels is None or environments is None:
        return labels or environments or Named(np.zeros(rows, dtype=np.int64), ((),))
    joint = labels.code * len(environments.names) + environments.code
    present, code = np.unique(joint, return_inverse=True)
    pairs = (divmod(int(one), len(environments.names)) for one in present)
    names = tuple((labels.names[a], environments.names[b]) for a, b in pairs)
    return Named(code.astype(np.int64), names)


def limits_of(
    quotas: Mapping[Any, int] | int | str | None, cells: Named, budget: int | None
) -> Int64[np.ndarray, " cells"]:
    """The most rows that each cell may give.

    Args:
        quotas: A number for every cell, numbers by the cell's name (others have no limit), "even"
            for equal shares of the budget, or None.
        cells: The cells.
        budget: How many rows will be asked for.

    Returns:
        A limit for each cell.

    Raises:
        UsageError: Not such a thing, a cell that does not exist, or no room for the budget.

    Example:
        >>> cells = cells_of(6, named("labels", [0, 0, 0, 0, 1, 1], 6), None)
        >>> limits_of({1: 1}, cells, 3).tolist()[1], limits_of("even", cells, 5).tolist()
        (1, [3, 2])
    """
    held = np.bincount(cells.code, minlength=len(cells.names))
    if quotas is None:
        return np.full(len(held), NO_LIMIT, dtype=np.int64)
    if cells.names == ((),):
        raise UsageError("quotas need labels, environments or both, got neither; pass them too")
    if isinstance(quotas, str):
        return _even(quotas, held, budget)
    limits = np.full(len(held), NO_LIMIT, dtype=np.int64)
    if isinstance(quotas, Mapping):
        for name, most in quotas.items():
            limits[_cell(name, cells.names)] = _count(most)
    else:
        limits[:] = _count(quotas)
    room = int(np.minimum(limits, held).sum())
    if budget is not None and room < budget:
        raise UsageError(f"quotas leave room for {room} rows, budget={budget}; raise a quota")
    return limits


def shares(held: Int64[np.ndarray, " cells"], budget: int) -> Int64[np.ndarray, " cells"]:
    """Equal shares of a budget; what a small cell cannot give is shared among the others.

    Args:
        held: Rows in each cell.
        budget: At most their sum.

    Returns:
        Shares that sum to the budget; the first cells give the odd ones.

    Example:
        >>> shares(np.array([2, 10, 10]), 13).tolist()
        [2, 6, 5]
    """
    level = 0
    while np.minimum(held, level + 1).sum() <= budget and level < held.max():
        level += 1
    found = np.minimum(held, level)
    more = np.flatnonzero(held > level)[: budget - int(found.sum())]
    found[more] += 1
    return found.astype(np.int64)


def _even(
    quotas: str, held: Int64[np.ndarray, " cells"], budget: int | None
) -> Int64[np.ndarray, " cells"]:
    if quotas != "even":
        raise UsageError(f'quotas={quotas!r} must be "even", a number, or numbers by cell')
    if budget is None:
        raise UsageError('quotas="even" share a budget: say which')
    return shares(held, budget)


def _cell(name: Any, names: Sequence[Any]) -> int:
    if name not in names:
        close = nearest(str(name), [str(one) for one in names])
        raise UsageError(f"quotas name {name!r}, and no row has it; nearest: {close}")
    return names.index(name)


def _count(most: Any) -> int:
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 0:
        raise UsageError(f"a quota must be a whole number of rows, 0 or more, got {most!r}")
    return int(most)
