"""What `select` chose, and how much of the pool it covers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen.report.table import Cell, Table

FIGURES = {
    "mean_distance": "mean distance of the other rows to the hull",
    "max_distance": "largest distance to the hull",
    "outside": "share of the other rows outside the hull",
    "radius": "largest distance to the nearest chosen row",
    "logdet": "log-determinant of the covariance",
}


@dataclass(frozen=True, eq=False)
class Selection:
    """Rows of a pool in the order chosen, their weights, and what they cover.

    Attributes:
        rows: Indices into the pool, each once; for a nested rule a prefix is the choice for a
            smaller budget.
        weights: One for each row, above 0, mean 1.
        heights: The rule's figure of each row when it was taken.
        pool: How many rows there were to choose from.
        rule: The rule's name.
        seed: What it was given.
        cover: The figures of `FIGURES`, of the chosen rows: distances of the pool's other rows,
            in at most 16 principal components; lower is better except for `logdet`.
        chance: The same figures of as many random rows.
        told: What the user should know, in sentences.

    Example:
        >>> found = Selection(rows=np.array([2, 0]), weights=np.array([1.5, 0.5]),
        ...                   heights=np.ones(2), pool=4, rule="mine", seed=0, cover={}, chance={})
        >>> round(found.effective, 2), len(found)    # 2^2 / (1.5^2 + 0.5^2)
        (1.6, 2)
    """

    rows: Int64[np.ndarray, " budget"]
    weights: Float[np.ndarray, " budget"]
    heights: Float[np.ndarray, " budget"]
    pool: int
    rule: str
    seed: int
    cover: Mapping[str, float]
    chance: Mapping[str, float]
    told: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def effective(self) -> float:
        """Effective sample size (sum w)^2 / sum w^2: as many equal rows would vary as little."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    def table(self) -> Table:
        """What the rows cover, beside as many at random.

        Returns:
            One line for each figure.
        """
        lines: list[list[Cell]] = [
            [FIGURES[name], float(value), float(self.chance[name])]
            for name, value in self.cover.items()
        ]
        told = "".join(f" {sentence[0].upper()}{sentence[1:]}." for sentence in self.told)
        return Table(
            ["coverage", self.rule, "random"],
            lines,
            title=f"{len(self)} of {self.pool} rows",
            protocol=f"Effective sample size {self.effective:.1f}, seed {self.seed}.{told}",
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `limen.save`."""
        return {
            "rows": self.rows, "weights": self.weights, "heights": self.heights,
            "pool": self.pool, "rule": self.rule, "seed": self.seed,
            "cover": dict(self.cover), "chance": dict(self.chance), "told": list(self.told),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Selection":
        """Rebuild what `to_dict` gave."""
        return cls(
            np.asarray(state["rows"], dtype=np.int64),
            np.asarray(state["weights"], dtype=np.float64),
            np.asarray(state["heights"], dtype=np.float64),
            int(state["pool"]),
            str(state["rule"]),
            int(state["seed"]),
            dict(state["cover"]),
            dict(state["chance"]),
            tuple(state["told"]),
        )
