"""A logistic head on features: the model that is trained again and again while data change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers, row
from limen.measure.arrays import class_labels

_ITERATIONS = 1000


class Head:
    """Multinomial logistic regression on features; `losses` are cross-entropies, lower is better.

    Minimises `sum_i w_i loss_i / sum_i w_i + decay / 2 ||W||^2` over the weights W and biases, on
    columns brought to mean 0 and variance 1. The problem is convex: every run ends at the same
    answer, and nothing is drawn at random.

    Args:
        decay: Of the weights, not of the biases; above 0.

    Raises:
        UsageError: `decay` not positive.

    Example:
        >>> head = Head(decay=0.01).fit([[-1.0], [-2.0], [1.0], [2.0]], [0, 0, 1, 1])
        >>> head.predict([[-3.0], [3.0]]).tolist()
        [0, 1]
    """

    def __init__(self, decay: float = 1e-3) -> None:
        if not 0 < decay < float("inf"):
            raise UsageError(f"decay={decay} must be above 0")
        self.decay = decay
        self.middle = self.width = np.zeros(0)
        self.weight = np.zeros((0, 0))
        self.bias = np.zeros(0)

    def fit(
        self, features: Any, labels: Any, *, weights: Any = None, classes: int | None = None
    ) -> "Head":
        """Fit to rows.

        Args:
            features: (rows, width).
            labels: Class 0..C-1 of each row.
            weights: Of each row, 0 or more; None weighs all alike.
            classes: C, where a class may be absent.

        Returns:
            This head, fitted.

        Raises:
            UsageError: Features that are not finite rows, bad labels, weights that do not fit.
        """
        rows = finite("features", numbers("features", features))
        names = class_labels(np.asarray(labels), rows=len(rows), classes=classes).numpy()
        shares = _shares(weights, len(rows))
        self.middle, self.width = rows.mean(0), rows.std(0)
        self.width = np.where(self.width > 0, self.width, 1.0)
        seen = np.column_stack([(rows - self.middle) / self.width, np.ones(len(rows))])
        wanted = np.eye(classes or int(names.max()) + 1)[names]
        found = _solved(seen, wanted, shares=shares, decay=self.decay)
        self.weight, self.bias = found[:-1], found[-1]
        return self

    def logits(self, features: Any) -> Float[np.ndarray, "rows classes"]:
        """Logits of rows.

        Args:
            features: (rows, width).

        Returns:
            One column for each class.

        Raises:
            UsageError: Not fitted yet, or another width.
        """
        rows = finite("features", numbers("features", features))
        if not self.weight.size or rows.ndim != 2 or rows.shape[1] != len(self.weight):
            raise UsageError(
                f"features must have the {len(self.weight)} columns of fit, got shape {rows.shape}"
            )
        return (rows - self.middle) / self.width @ self.weight + self.bias

    def predict(self, features: Any) -> Int64[np.ndarray, " rows"]:
        """The class of each row.

        Args:
            features: (rows, width).

        Returns:
            0..C-1.

        Raises:
            UsageError: Not fitted yet, or another width.
        """
        return self.logits(features).argmax(1).astype(np.int64)

    def losses(self, features: Any, labels: Any) -> Float[np.ndarray, " rows"]:
        """Cross-entropy of each row, in nats; higher = harder.

        Args:
            features: (rows, width).
            labels: Class 0..C-1 of each row.

        Returns:
            0 or more.

        Raises:
            UsageError: Not fitted yet, or another width.
        """
        logits = self.logits(features)
        total = np.logaddexp.reduce(logits, axis=1)
        return total - logits[np.arange(len(logits)), np.asarray(labels)]

    def to_dict(self) -> dict[str, Any]:
        """Everything fitted, for `limen.save`."""
        return {"decay": self.decay, "middle": self.middle, "width": self.width,
                "weight": self.weight, "bias": self.bias}  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Head":
        """Rebuild what `to_dict` gave."""
        found = cls(float(state["decay"]))
        for name in ("middle", "width", "weight", "bias"):
            setattr(found, name, np.asarray(state[name], dtype=np.float64))
        return found


def _solved(
    seen: Float[np.ndarray, "rows inputs"],
    wanted: Float[np.ndarray, "rows classes"],
    *,
    shares: Float[np.ndarray, " rows"],
    decay: float,
) -> Float[np.ndarray, "inputs classes"]:
    """Weights, the last line the biases, by L-BFGS."""
    from scipy.optimize import minimize

    shape = seen.shape[1], wanted.shape[1]

    def aim(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = flat.reshape(shape)
        logits = seen @ weight
        total = np.logaddexp.reduce(logits, axis=1)
        loss = shares @ (total - (logits * wanted).sum(1)) + decay / 2 * (weight[:-1] ** 2).sum()
        miss = np.exp(logits - total[:, None]) - wanted
        slope = seen.T @ (shares[:, None] * miss)
        slope[:-1] += decay * weight[:-1]
        return float(loss), slope.ravel()

    options = {"maxiter": _ITERATIONS, "ftol": 1e-10, "gtol": 1e-5}
    found = minimize(aim, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x).reshape(shape)


def _shares(weights: Any, rows: int) -> Float[np.ndarray, " rows"]:
    if weights is None:
        return np.full(rows, 1 / rows)
    found = row("weights", weights)
    if len(found) != rows or (found < 0).any() or not found.sum() > 0:
        raise UsageError(f"weights must be {rows}, 0 or more and not all 0, got {len(found)}")
    return found / found.sum()
