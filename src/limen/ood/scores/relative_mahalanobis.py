"""Mahalanobis distance to the nearest class, less the distance to all data."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from limen.measure.arrays import Array, like, of_width, tensor
from limen.ood.scores.kept import Kept
from limen.ood.scores.mahalanobis import nearest_class, whitened_classes
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class RelativeMahalanobis(Kept):
    """Distance to the nearest class less distance to the background; higher = more outlying.

    `min_c (f - mu_c)^T S^-1 (f - mu_c) - (f - mu_0)^T S_0^-1 (f - mu_0)`, mu_0 and S_0 the mean and
    covariance of all rows. What lies far out in directions that tell no class from another is
    far from everything, and cancels.

    Args:
        ridge: Added to both covariances, relative to their mean variance.

    Raises:
        UsageError: Not fitted; features not finite; labels not 0..C-1 or of one class.

    Reference:
        J. Ren, S. Fort, J. Liu, A. G. Roy, S. Padhy and B. Lakshminarayanan, "A simple fix to
        Mahalanobis distance for improving near-OOD detection", 2021. The ridge is ours.

    Example:
        >>> import numpy as np
        >>> features = np.array([[-1.0], [1.0], [9.0], [11.0]])    # S = 1, S_0 = 26, mu_0 = 5
        >>> score = RelativeMahalanobis(ridge=0.0).fit(features, np.array([0, 0, 1, 1]))
        >>> score(np.array([[5.0]]))
        array([25.])
    """

    ridge: float = 1e-6
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features", "labels")
    origin: Tensor | None = field(default=None, init=False, repr=False)
    white: Tensor | None = field(default=None, init=False, repr=False)
    centres: Tensor | None = field(default=None, init=False, repr=False)
    all_origin: Tensor | None = field(default=None, init=False, repr=False)
    all_white: Tensor | None = field(default=None, init=False, repr=False)
    all_centres: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def fit(
        self, features: Float[Array, "rows width"], labels: Integer[Array, " rows"]
    ) -> "RelativeMahalanobis":
        """Find the means and both covariances, in one pass.

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
        total = whitened_classes(moments.total, ridge=self.ridge)
        self.all_origin, self.all_white, self.all_centres = total
        return self

    def __call__(self, features: Float[Array, "rows width"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.

        Returns:
            One for each row, of either sign, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width, or not finite.
        """
        x = tensor("features", features)
        known = self._held("origin", "white", "centres", to=x.device)
        background = self._held("all_origin", "all_white", "all_centres", to=x.device)
        x = of_width("features", x, len(known[0]))
        return like(nearest_class(x, known) - nearest_class(x, background), features)
