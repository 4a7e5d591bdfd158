"""What a selection rule is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int64

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers, row
from limen.shift.rules.quotas import NO_LIMIT, cells_of, limits_of, named


class Order(NamedTuple):
    """Rows in the order chosen, and what the rule knows of them."""

    rows: Int64[np.ndarray, " budget"]
    """Indices into the pool, each once."""
    weights: Float[np.ndarray, " budget"]
    """Above 0, mean 1; for training on the rows."""
    heights: Float[np.ndarray, " budget"]
    """The rule's own figure of each row when it was taken: distance, loss, probability."""
    told: tuple[str, ...] = ()
    """What the user should know, in sentences."""


class Room:
    """Which rows may still be taken, cell by cell."""

    def __init__(self, cells: Int64[np.ndarray, " rows"], limits: Int64[np.ndarray, " cells"]):
        self.cells = cells
        self.left = limits.copy()
        self.open: Bool[np.ndarray, " rows"] = self.left[cells] > 0

    def take(self, chosen: int) -> None:
        """Close a row, and its whole cell when that was the last one.

        Args:
            chosen: The row.
        """
        cell = self.cells[chosen]
        self.left[cell] -= 1
        self.open[chosen] = False
        if not self.left[cell]:
            self.open[self.cells == cell] = False


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows to choose from: features, and beside them whatever a rule may look at.

    Args:
        features: (rows, width), finite.
        labels: Class code 0..C-1 of each row, or None.
        environments: Environment code 0..E-1 of each row, or None.
        losses: A loss of each row under some model, higher = harder, or None.
        cells: The quota cell of each row.
        limits: The most rows of each cell.
        seed: Decides every random number of a rule.

    Example:
        >>> pool = Pool.of([[0.0], [1.0], [2.0]], labels=["a", "b", "b"])
        >>> pool.labels.tolist(), pool.first(np.array([2, 1, 0]), 2).tolist()
        ([0, 1, 1], [2, 1])
    """

    features: Float[np.ndarray, "rows width"]
    labels: Int64[np.ndarray, " rows"] | None
    environments: Int64[np.ndarray, " rows"] | None
    losses: Float[np.ndarray, " rows"] | None
    cells: Int64[np.ndarray, " rows"]
    limits: Int64[np.ndarray, " cells"]
    seed: int = 0

    @classmethod
    def of(
        cls,
        features: Any,
        *,
        labels: Any = None,
        environments: Any = None,
        losses: Any = None,
        quotas: "Mapping[Any, int] | int | str | None" = None,
        budget: int | None = None,
        seed: int = 0,
    ) -> "Pool":
        """A pool from whatever the user holds.

        Args:
            features: (rows, width), an array or a tensor.
            labels: Class of each row: integers or strings.
            environments: Environment of each row: integers or strings.
            losses: Loss of each row, higher = harder.
            quotas: As for `select`.
            budget: How many rows will be asked for; the quotas must leave room for them.
            seed: Decides every random number.

        Returns:
            The pool, checked.

        Raises:
            UsageError: Features that are not finite rows; labels, environments or losses of
                another length; quotas that name no cell or leave too little room.
        """
        rows = finite("features", numbers("features", features))
        if rows.ndim != 2 or not rows.size:
            raise UsageError(f"features must be (rows, width), got shape {rows.shape}")
        named_labels = named("labels", labels, len(rows))
        named_environments = named("environments", environments, len(rows))
        cells = cells_of(len(rows), named_labels, named_environments)
        limits = limits_of(quotas, cells, budget)
        found = None if losses is None else row("losses", losses)
        if found is not None and len(found) != len(rows):
            raise UsageError(f"losses must be {len(rows)}, one for each row, got {len(found)}")
        return cls(
            rows,
            None if named_labels is None else named_labels.code,
            None if named_environments is None else named_environments.code,
            found,
            cells.code,
            limits,
            seed,
        )

    def __len__(self) -> int:
        return len(self.features)

    def room(self, budget: int = 1) -> Room:
        """A fresh count of what may be taken.

        Args:
            budget: How many will be.

        Returns:
            The count.

        Raises:
            UsageError: Fewer than one asked for, or more than there is room for.
        """
        held = np.bincount(self.cells, minlength=len(self.limits))
        most = int(np.minimum(held, self.limits).sum())
        if not 1 <= budget <= most:
            raise UsageError(f"budget={budget} must be 1 to {most}, what pool and quotas allow")
        return Room(self.cells, self.limits)

    def first(
        self, ranking: Int64[np.ndarray, " ranked"], budget: int
    ) -> Int64[np.ndarray, " taken"]:
        """The first rows of a ranking that their cells have room for.

        Args:
            ranking: Rows, best first.
            budget: At most so many.

        Returns:
            Rows, best first.
        """
        if (self.limits >= NO_LIMIT).all():
            return ranking[:budget]
        cell = self.cells[ranking]
        grouped = np.argsort(cell, kind="stable")
        starts = np.searchsorted(cell[grouped], cell[grouped])
        place = np.empty(len(ranking), dtype=np.int64)
        place[grouped] = np.arange(len(ranking)) - starts
        return ranking[place < self.limits[cell]][:budget]


@runtime_checkable
class Rule(Protocol):
    """Any function of a pool and a budget; the files beside this one are such."""

    def __call__(self, pool: Pool, budget: int) -> Order:
        """`budget` rows of the pool, no more than `pool.room()` allows in any cell."""


def ranked(
    pool: Pool,
    budget: int,
    height: Float[np.ndarray, " rows"],
    *,
    told: tuple[str, ...] = (),
) -> Order:
    """The order of a rule that gives every row a figure: highest first, the earlier of equals.

    Args:
        pool: The rows.
        budget: How many.
        height: The figure.
        told: What the user should know.

    Returns:
        The order, with equal weights.

    Raises:
        UsageError: More rows than there is room for.
    """
    pool.room(budget)
    rows = pool.first(np.argsort(-height, kind="stable"), budget)
    return Order(rows, np.ones(len(rows)), height[rows], told)
