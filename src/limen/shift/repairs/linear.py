"""A head as it stands: the last layer of a network that was trained elsewhere."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers


@runtime_checkable
class Logits(Protocol):
    """Any head on features: fitted repairs, `limen.shift.head.Head`, `Linear`."""

    def logits(self, features: Any) -> Any:
        """One row of logits for each row of features."""


class Linear:
    """logits = features W^T + b, of weights that are given.

    Args:
        weight: (classes, width), as torch's linear layers hold it.
        bias: (classes,); None is 0.

    Raises:
        UsageError: Shapes that do not fit, or not finite.

    Example:
        >>> Linear([[1.0, 0.0], [0.0, 1.0]]).predict([[3.0, 4.0]]).tolist()
        [1]
    """

    def __init__(self, weight: Any, bias: Any = None) -> None:
        self.weight = finite("weight", numbers("weight", weight))
        if self.weight.ndim != 2 or len(self.weight) < 2:
            raise UsageError(
                f"weight must be (classes, width) of two classes or more, got {self.weight.shape}"
            )
        count = len(self.weight)
        self.bias = np.zeros(count) if bias is None else finite("bias", numbers("bias", bias))
        if self.bias.shape != (count,):
            raise UsageError(f"bias must be {count}, one for each class, got {self.bias.shape}")

    def logits(self, features: Any) -> Float[np.ndarray, "rows classes"]:
        """Logits of rows.

        Args:
            features: (rows, width).

        Returns:
            One column for each class.

        Raises:
            UsageError: Another width, or not finite.
        """
        rows = finite("features", numbers("features", features))
        if rows.ndim != 2 or rows.shape[1] != self.weight.shape[1]:
            raise UsageError(
                f"features must have the head's {self.weight.shape[1]} columns, got {rows.shape}"
            )
        return rows @ self.weight.T + self.bias

    def predict(self, features: Any) -> Int64[np.ndarray, " rows"]:
        """The class of each row.

        Args:
            features: (rows, width).

        Returns:
            0..C-1.

        Raises:
            UsageError: As `logits`.
        """
        return self.logits(features).argmax(1).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Weight and bias, for `limen.save`."""
        return {"weight": self.weight, "bias": self.bias}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Linear":
        """Rebuild what `to_dict` gave."""
        return cls(state["weight"], state["bias"])
