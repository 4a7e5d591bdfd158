"""Training as if every class, environment or pair of both had as many rows."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from limen.shift.remedies.rows import Predict, Rows
from limen.shift.remedies.training import Training, cross_entropy


@dataclass(frozen=True)
class Balanced:
    """ERM with weights 1 / (rows of the same group), so that each group weighs the same in all.

    Simple, and often as good on the worst group as anything that is not.

    Args:
        by: What a group is: "class", "environment", or "group" for pairs of both.
        training: Network and optimiser.

    Example:
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> Balanced(training=Training(steps=20))(rows, seed=0)(np.array([[3.0]])).shape
        (1, 2)
    """

    by: str = "group"
    training: Training = field(default_factory=Training)

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor.

        Raises:
            UsageError: `by` is none of the three.
        """
        weights = balancing(rows.groups(self.by))
        return self.training.run(rows, cross_entropy, seed=seed, weights=weights)


def balancing(groups: Int64[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """Weights, mean 1, with which every group weighs the same in all.

    Args:
        groups: Code of each row.

    Returns:
        One for each row.

    Example:
        >>> balancing(np.array([0, 0, 0, 1])).round(3).tolist()
        [0.667, 0.667, 0.667, 2.0]
    """
    _, code, count = np.unique(groups, return_inverse=True, return_counts=True)
    return len(groups) / (len(count) * count[code])
