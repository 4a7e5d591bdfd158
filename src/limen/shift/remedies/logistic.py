"""A logistic head on features: the remedy that is trained in a moment."""

from dataclasses import dataclass

from limen.shift.head import Head
from limen.shift.remedies.balanced import balancing
from limen.shift.remedies.rows import Predict, Rows


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression on cached features; nothing in it is random.

    Args:
        by: "class", "environment" or "group" makes each of these weigh the same in all; None
            weighs every row alike.
        decay: Of the weights.

    Example:
        >>> import numpy as np
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> Logistic()(rows, seed=0)(np.array([[-3.0], [3.0]])).argmax(1).tolist()
        [0, 1]
    """

    by: str | None = None
    decay: float = 1e-3

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Changes nothing.

        Returns:
            The predictor.

        Raises:
            UsageError: `by` is none of the three, or features that are not (rows, width).
        """
        weights = None if self.by is None else balancing(rows.groups(self.by))
        head = Head(self.decay)
        return head.fit(rows.inputs, rows.labels, weights=weights, classes=rows.classes).logits
