"""Training on everything alike: what every remedy is compared with."""

from dataclasses import dataclass, field

from limen.shift.remedies.rows import Predict, Rows
from limen.shift.remedies.training import Training, cross_entropy


@dataclass(frozen=True)
class ERM:
    """Empirical risk minimisation: the mean loss of all rows, wherever they come from.

    Args:
        training: Network and optimiser.

    Example:
        >>> import numpy as np
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> ERM(Training(steps=20))(rows, seed=0)(np.array([[3.0]])).shape
        (1, 2)
    """

    training: Training = field(default_factory=Training)

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor.
        """
        return self.training.run(rows, cross_entropy, seed=seed)
