"""Labelled rows from several environments, as remedies take them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers
from limen.shift.rules.quotas import named

Predict = Callable[[Any], Float[np.ndarray, "rows classes"]]
"""Inputs in, logits out."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Inputs with a class and an environment each.

    Args:
        inputs: (rows, ...): features or pictures.
        labels: Class 0..C-1 of each row.
        environments: Environment 0..E-1 of each row.
        classes: C; a class may be absent.

    Example:
        >>> rows = Rows.of(np.zeros((3, 2)), ["a", "b", "a"], ["x", "x", "y"])
        >>> rows.classes, rows.at(np.array([True, False, True])).environments.tolist()
        (2, [0, 1])
    """

    inputs: Float[np.ndarray, "rows ..."]
    labels: Int64[np.ndarray, " rows"]
    environments: Int64[np.ndarray, " rows"]
    classes: int

    @classmethod
    def of(cls, inputs: Any, labels: Any, environments: Any) -> "Rows":
        """Rows from whatever the user holds.

        Args:
            inputs: (rows, ...), finite numbers.
            labels: Integers or strings.
            environments: Integers or strings.

        Returns:
            The rows, with codes for labels and environments in sorted order.

        Raises:
            UsageError: Inputs that are not finite rows, other lengths, or one class only.
        """
        found = finite("inputs", numbers("inputs", inputs))
        if found.ndim < 2 or not found.size:
            raise UsageError(f"inputs must be (rows, ...), got shape {found.shape}")
        classes = named("labels", labels, len(found))
        places = named("environments", environments, len(found))
        if classes is None or places is None or len(classes.names) < 2:
            raise UsageError("labels of two classes or more and environments must be given")
        return cls(found, classes.code, places.code, len(classes.names))

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, kept: Any) -> "Rows":
        """Some of the rows, with the same classes and environments.

        Args:
            kept: Booleans, or places.

        Returns:
            New rows.
        """
        return Rows(self.inputs[kept], self.labels[kept], self.environments[kept], self.classes)

    def groups(self, by: str) -> Int64[np.ndarray, " rows"]:
        """Codes of the rows' classes, environments, or pairs of both.

        Args:
            by: "class", "environment" or "group".

        Returns:
            0..G-1, every code with a row.

        Raises:
            UsageError: Another word.
        """
        joint = self.environments * self.classes + self.labels
        known = {"class": self.labels, "environment": self.environments, "group": joint}
        if by not in known:
            raise UsageError(f"by={by!r} must be one of {', '.join(known)}")
        return np.unique(known[by], return_inverse=True)[1].astype(np.int64)


@runtime_checkable
class Remedy(Protocol):
    """Any function that learns from rows of several environments."""

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """A predictor trained on the rows."""
