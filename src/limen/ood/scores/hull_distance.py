"""Distance to the convex hull of the training features."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import Array, class_labels, like, of_width, tensor
from limen.measure.hull import Hull
from limen.ood.scores.kept import Kept
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class HullDistance(Kept):
    """Distance to the convex hull of the training features; higher = more outlying.

    `min_w ||sum_j w_j g_j - f||` over weights w >= 0 that sum to 1, by `limen.measure.Hull`: how
    far an input is from everything that mixes training inputs. In many dimensions almost every
    fresh inlier lies outside, and so the features are first projected on their directions of most
    variance.

    Args:
        dim: How many directions of most variance; None takes the features as they are.
        per_class: The nearest of one hull for each class, instead of one hull of all.

    Raises:
        UsageError: `dim` below 1; not fitted; features not finite; labels not 0..C-1.

    Reference:
        No paper's score; the hull as the edge of what training covers is the idea of work on data
        mixtures under distribution shift.

    Example:
        >>> import numpy as np
        >>> corners = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> HullDistance().fit(corners)(np.array([[1.0, 1.0], [3.0, 1.0]])).round(6)
        array([0., 1.])
    """

    dim: int | None = 16
    per_class: bool = False
    sees: ClassVar[tuple[str, ...]] = ("features",)
    mean: Tensor | None = field(default=None, init=False, repr=False)
    basis: Tensor | None = field(default=None, init=False, repr=False)
    points: Tensor | None = field(default=None, init=False, repr=False)
    classes: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.dim is not None and self.dim < 1:
            raise UsageError(f"dim={self.dim} must be at least 1, or None for all")

    @property
    def fits(self) -> tuple[str, ...]:
        """The arrays that `fit` takes: labels only where each class has its hull."""
        return ("features", "labels") if self.per_class else ("features",)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        labels: Integer[Array, " rows"] | None = None,
    ) -> "HullDistance":
        """Project the training features, and keep them.

        Args:
            features: Of inliers.
            labels: Their classes, 0..C-1, where `per_class`.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Features not finite; labels missing or not 0..C-1.
        """
        x = tensor("features", features)
        if self.per_class and labels is None:
            raise UsageError("per_class=True needs labels: fit(features, labels)")
        names = class_labels(labels, rows=len(x)) if self.per_class else torch.zeros(len(x)).long()
        total = moments_of(features).total
        vectors = torch.linalg.eigh(total.covariance).eigenvectors
        whole = self.dim is None or self.dim >= x.shape[1]
        self.mean, self.classes = total.mean[0], names
        self.basis = torch.eye(x.shape[1]).to(vectors) if whole else vectors[:, -(self.dim or 0) :]
        self.points = (x.double() - self.mean) @ self.basis
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
        x = tensor("features", features).detach()
        mean, basis, points, names = self._held("mean", "basis", "points", "classes", to=x.device)
        seen = (of_width("features", x, len(mean)).double() - mean) @ basis
        hulls = [Hull(points[names == name]) for name in names.unique()]
        return like(torch.stack([hull.distance(seen) for hull in hulls]).amin(0), features)
