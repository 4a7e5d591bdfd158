"""The fast baseline of understanding: each pixel by a linear rule on its channels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.spectral.understand.channels import channels_of, labelled


class LinearPixels:
    """Linear discriminant analysis of channels: class of each pixel, by one matrix product.

    With class means m_c and the covariance S within classes, shrunk by `ridge` of its mean
    variance: logits `s . S^-1 m_c - m_c . S^-1 m_c / 2 + log pi_c`, the log posterior of Gaussian
    classes up to a constant.

    Args:
        ridge: Share of the mean variance added to each channel's, at least 0.
        balanced: Give every class the same prior pi, not its share of the training pixels.

    Raises:
        UsageError: A ridge below 0.

    Reference:
        R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics,
        1936.

    Example:
        >>> rows = np.array([[0.0, 0.1], [0.1, 0.0], [1.0, 0.9], [0.9, 1.1]])
        >>> LinearPixels().fit(rows, np.array([0, 0, 1, 1]))(np.array([[0.0, 0.0], [1.0, 1.0]]))
        array([0, 1])
    """

    def __init__(self, *, ridge: float = 1e-6, balanced: bool = True):
        if not ridge >= 0:
            raise UsageError(f"ridge={ridge} must be at least 0")
        self.ridge, self.balanced = ridge, balanced
        self.weights: np.ndarray | None = None
        self.bias: np.ndarray | None = None

    def fit(self, frames: Any, masks: Any) -> "LinearPixels":
        """Learn from labelled pixels of the training split.

        Args:
            frames: `Counts` or (..., channel), or a list of either.
            masks: Classes on the same grid, from 0; -1 for pixels to leave out.

        Returns:
            self.

        Raises:
            UsageError: Other grids, or fewer than two classes.
        """
        x, y = labelled(frames, masks)
        present = np.unique(y)
        if len(present) < 2:
            raise UsageError(f"masks must name two classes or more, got only {present.tolist()}")
        x = x.astype(np.float64)
        classes = int(y.max()) + 1
        means = np.zeros((classes, x.shape[1]))
        within = np.zeros((x.shape[1], x.shape[1]))
        for one in present:
            rows = x[y == one]
            means[one] = rows.mean(axis=0)
            away = rows - means[one]
            within += away.T @ away
        within /= max(1, len(x) - len(present))
        within += (self.ridge * np.trace(within) / len(within) + 1e-300) * np.eye(len(within))
        counts = np.bincount(y, minlength=classes)
        prior = (counts > 0) / len(present) if self.balanced else counts / counts.sum()
        self.weights = np.linalg.solve(within, means.T)
        with np.errstate(divide="ignore"):
            self.bias = np.log(prior) - 0.5 * (means * self.weights.T).sum(axis=1)
        return self

    @property
    def classes(self) -> int:
        """Classes that it tells apart, those without training pixels among them."""
        return self._ready()[0].shape[1]

    def logits(self, frame: Any) -> Float[np.ndarray, "... classes"]:
        """Log posteriors up to a constant; higher = likelier.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (..., class), of the channels' precision; minus infinity for classes never seen.
        """
        weights, bias = self._ready()
        x = channels_of(frame, count=len(weights))
        return np.asarray(x @ weights.astype(x.dtype) + bias.astype(x.dtype))

    def __call__(self, frame: Any) -> Int64[np.ndarray, "..."]:
        """The likeliest class of each pixel.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...).
        """
        return np.asarray(self.logits(frame).argmax(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Settings, weights and biases."""
        weights, bias = self._ready()
        return {"ridge": self.ridge, "balanced": self.balanced, "weights": weights, "bias": bias}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LinearPixels":
        """The inverse of `to_dict`."""
        found = cls(ridge=data["ridge"], balanced=data["balanced"])
        found.weights, found.bias = np.asarray(data["weights"]), np.asarray(data["bias"])
        return found

    def _ready(self) -> tuple[np.ndarray, np.ndarray]:
        if self.weights is None or self.bias is None:
            raise UsageError("LinearPixels must be fitted first: fit(frames, masks)")
        return self.weights, self.bias
