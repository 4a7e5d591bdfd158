"""The head learned anew with every group weighing the same."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.shift.head import Head
from limen.shift.remedies.balanced import balancing
from limen.shift.repairs.grouped import Grouped, warn_of_tied


class LastLayerBalance:
    """A logistic head on all rows, each weighed by one over the rows of its class and group.

    Minimises the mean over cells (class and group) of the mean cross-entropy within the cell, plus
    `decay / 2 ||W||^2`. The features of a network that leans on a background usually hold the
    object too: it is the head that listens to the wrong one, because in the training rows the two
    agree. Weighed so, they no longer do. All rows are used, where `DFR` throws most away.

    Args:
        decay: Of the weights, on columns of variance 1; above 0.

    Raises:
        UsageError: `decay` not positive.

    Reference:
        Limen's own in this form; the weights are those of H. Shimodaira, "Improving predictive
        inference under covariate shift by weighting the log-likelihood function", Journal of
        Statistical Planning and Inference, 2000, with the share of each cell for its density.

    Example:
        >>> x = [[1.0, 1.0], [1.0, 1.1], [1.0, -1.0], [-1.0, -1.0], [-1.0, -1.1], [-1.0, 1.0]]
        >>> head = LastLayerBalance().fit(x, [0, 0, 0, 1, 1, 1], list("aabbba"))
        >>> head.predict([[1.0, -3.0], [-1.0, 3.0]]).tolist()    # the first column decides
        [0, 1]
    """

    def __init__(self, decay: float = 1e-3) -> None:
        Head(decay)
        self.decay = decay
        self.head: Head | None = None

    def fit(self, features: Any, labels: Any, groups: Any) -> "LastLayerBalance":
        """Learn.

        Args:
            features: (rows, width).
            labels: Class 0..C-1 of each row.
            groups: Group of each row, integers or strings.

        Returns:
            This head, fitted.

        Raises:
            UsageError: Bad rows, labels or groups.

        Warns:
            UserWarning: A class comes with one group only.
        """
        rows = Grouped.of(features, labels, groups)
        warn_of_tied(rows)
        weights = balancing(rows.cells)
        self.head = Head(self.decay).fit(rows.features, rows.labels, weights=weights)
        return self

    def logits(self, features: Any) -> Float[np.ndarray, "rows classes"]:
        """Logits of rows.

        Args:
            features: (rows, width).

        Returns:
            One column for each class.

        Raises:
            UsageError: Not fitted yet, another width, or not finite.
        """
        return fitted(self.head, self).logits(features)

    def predict(self, features: Any) -> Int64[np.ndarray, " rows"]:
        """The class of each row.

        Args:
            features: (rows, width).

        Returns:
            0..C-1.

        Raises:
            UsageError: As `logits`.
        """
        return fitted(self.head, self).predict(features)

    def to_dict(self) -> dict[str, Any]:
        """Everything fitted, for `limen.save`."""
        return {"decay": self.decay, "head": None if self.head is None else self.head.to_dict()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "LastLayerBalance":
        """Rebuild what `to_dict` gave."""
        found = cls(float(state["decay"]))
        found.head = None if state["head"] is None else Head.from_dict(state["head"])
        return found


def fitted(head: Head | None, repair: object) -> Head:
    """The head, which must be there.

    Args:
        head: What `fit` made.
        repair: Whose.

    Returns:
        It.

    Raises:
        UsageError: There is none yet.
    """
    if head is None:
        name = type(repair).__name__
        raise UsageError(f"the repair must be fitted first: {name}().fit(features, labels, groups)")
    return head
