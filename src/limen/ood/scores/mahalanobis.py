"""Mahalanobis distance to the nearest class."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from limen.measure.arrays import Array, like, of_width, tensor
from limen.measure.moments import Moments, chunks, squared_distances, whitening
from limen.ood.scores.kept import Kept
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class Mahalanobis(Kept):
    """Squared Mahalanobis distance to the nearest class mean; higher = more outlying.

    `min_c (f - mu_c)^T S^-1 (f - mu_c)`, S the covariance within classes, shared by all. Features
    are whitened once in float64 and met with all class means in one matrix product.

    Args:
        ridge: Added to S, relative to its mean variance; see `limen.measure.whitening`.

    Raises:
        UsageError: Not fitted; features not finite; labels not 0..C-1 or of one class.

    Reference:
        K. Lee, K. Lee, H. Lee and J. Shin, "A simple unified framework for detecting
        out-of-distribution samples and adversarial attacks", NeurIPS 2018, eqs. 1 and 2. Of the
        penultimate layer only, without input noise and without an ensemble that outliers tune; the
        ridge is ours.

    Example:
        >>> import numpy as np
        >>> features = np.array([[-1.0], [1.0], [9.0], [11.0]])    # means 0 and 10, variance 1
        >>> score = Mahalanobis(ridge=0.0).fit(features, np.array([0, 0, 1, 1]))
        >>> score(np.array([[3.0], [10.0]]))
        array([9., 0.])
    """

    ridge: float = 1e-6
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features", "labels")
    origin: Tensor | None = field(default=None, init=False, repr=False)
    white: Tensor | None = field(default=None, init=False, repr=False)
    centres: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def fit(
        self, features: Float[Array, "rows width"], labels: Integer[Array, " rows"]
    ) -> "Mahalanobis":
        """Find the class means and the shared covariance.

        Args:
            features: Of inliers.
            labels: Their classes, 0..C-1.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Features not finite; labels not 0..C-1 or of one class.
        """
        moments = moments_of(features, labels)
        self.origin, self.white, self.centres = whitened_classes(moments, ridge=self.ridge)
        return self

    def __call__(self, features: Float[Array, "rows width"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.

        Returns:
            At least 0, one for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width, or not finite.
        """
        x = tensor("features", features)
        known = self._held("origin", "white", "centres", to=x.device)
        x = of_width("features", x, len(known[0]))
        return like(nearest_class(x, known), features)


def whitened_classes(moments: Moments, *, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where to centre features, how to whiten them, and the class means so treated.

    Example:
        >>> moments = Moments.of([[-1.0], [1.0], [9.0], [11.0]], [0, 0, 1, 1])
        >>> [part.flatten().tolist() for part in whitened_classes(moments, ridge=0.0)]
        [[5.0], [1.0], [-5.0, 5.0]]
    """
    origin = moments.mean.mean(0)
    white = whitening(moments.covariance, ridge=ridge)
    return origin, white, (moments.mean - origin) @ white


def nearest_class(rows: Tensor, known: tuple[Tensor, ...]) -> Tensor:
    """The smallest squared Mahalanobis distance of each row to a class, in float64, in chunks.

    Example:
        >>> moments = Moments.of([[-1.0], [1.0], [9.0], [11.0]], [0, 0, 1, 1])
        >>> nearest_class(torch.tensor([[3.0]]), whitened_classes(moments, ridge=0.0)).item()
        9.0
    """
    origin, white, centres = known
    parts = [
        squared_distances((part.double() - origin) @ white, centres).amin(1)
        for (part,) in chunks(rows, per_row=max(centres.shape))
    ]
    return torch.cat(parts)
