"""The fast baseline of understanding: each pixel by a linear rule on its channels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.measure.moments import Moments, whitening
from limen.spectral.understand.channels import channels_of, in_blocks, labelled


class LinearPixels:
    """Linear discriminant analysis of channels: class of each pixel, by one matrix product.

    With class means m_c, counted from the mean of all, and the covariance S within classes, shrunk
    by `ridge` of its mean variance: logits `s . S^-1 m_c - m_c . S^-1 m_c / 2 + log pi_c`, the log
    posterior of Gaussian classes up to a constant.

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
        if not 0 <= ridge < float("inf"):
            raise UsageError(f"ridge={ridge} must be at least 0 and finite")
        self.ridge, self.balanced = ridge, balanced
        self.centre: np.ndarray | None = None
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
            UsageError: Other grids, fewer than two classes, or channels that do not vary within
                them, or only together where the ridge is 0.
        """
        x, y = labelled(frames, masks)
        present, row = np.unique(y, return_inverse=True)
        if len(present) < 2:
            raise UsageError(f"masks must name two classes or more, got only {present.tolist()}")
        moments = Moments.of(x, row)
        within = moments.scatter / max(1, len(x) - len(present))
        white = whitening(within, ridge=self.ridge).numpy()
        # in single precision, so that to subtract it from single channels is exact
        self.centre = moments.total.mean[0].float().double().numpy()
        means = (moments.mean.numpy() - self.centre) @ white
        classes = int(present[-1]) + 1
        share = moments.count.numpy() / len(x)
        prior = np.full(len(present), 1 / len(present)) if self.balanced else share
        self.weights = np.zeros((x.shape[1], classes))
        self.bias = np.full(classes, -np.inf)
        self.weights[:, present] = white @ means.T
        self.bias[present] = np.log(prior) - 0.5 * (means**2).sum(axis=1)
        return self

    @property
    def classes(self) -> int:
        """Classes that it tells apart, those without training pixels among them."""
        return self._ready()[1].shape[1]

    def logits(self, frame: Any) -> Float[np.ndarray, "... classes"]:
        """Log posteriors up to a constant; higher = likelier.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (..., class), of the channels' precision, single at least; minus infinity for classes
            never seen.
        """
        x, planes = self._planes(frame)
        return in_blocks(x, lambda rows: planes(rows).T, dtype=np.promote_types(x.dtype, "f4"))

    def __call__(self, frame: Any) -> Int64[np.ndarray, "..."]:
        """The likeliest class of each pixel.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...).
        """
        x, planes = self._planes(frame)

        def likeliest(rows: np.ndarray) -> np.ndarray:
            found = planes(rows)
            best, named = found[0].copy(), np.zeros(len(rows), dtype=np.int64)
            for one in range(1, len(found)):  # plane after plane: faster than a short last axis
                np.copyto(named, one, where=found[one] > best)
                np.maximum(best, found[one], out=best)
            return named

        return in_blocks(x, likeliest, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Settings, weights and biases."""
        centre, weights, bias = self._ready()
        return {
            "ridge": self.ridge, "balanced": self.balanced,
            "centre": centre, "weights": weights, "bias": bias,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LinearPixels":
        """The inverse of `to_dict`."""
        found = cls(ridge=data["ridge"], balanced=data["balanced"])
        found.centre = np.asarray(data["centre"])
        found.weights, found.bias = np.asarray(data["weights"]), np.asarray(data["bias"])
        return found

    def _planes(self, frame: Any) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Channels, and what gives logits (class, pixel) of some of their rows."""
        centre, weights, bias = self._ready()
        x = channels_of(frame, count=len(weights))
        kind = np.promote_types(x.dtype, "f4")
        middle, rule, start = (
            centre.astype(kind),
            weights.T.astype(kind),
            bias.astype(kind)[:, None],
        )
        return x, lambda rows: rule @ (rows.astype(kind) - middle).T + start

    def _ready(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self.centre is None or self.weights is None or self.bias is None:
            raise UsageError("LinearPixels must be fitted first: fit(frames, masks)")
        return self.centre, self.weights, self.bias
