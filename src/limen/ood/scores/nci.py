"""Alignment with the weight of the predicted class, after neural collapse."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, of_width, tensor
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class NCI(Kept):
    """Minus the alignment with the predicted class's weight, and size; higher = more outlying.

    `-(f - mu) . w_y / ||f - mu|| - alpha ||f||_1`, y the predicted class and mu the mean of the
    training features. Late in training the centred features of a class lie along its weight;
    outliers do not, and lie nearer to the origin.

    Args:
        alpha: Weight of the L1 norm, at least 0. 0 leaves the alignment alone; the paper tunes it
            for each network on validation data.

    Raises:
        UsageError: `alpha` is negative; not fitted; features or logits not finite.

    Reference:
        L. Liu and Y. Qin, "Detecting out-of-distribution through the lens of neural collapse",
        CVPR 2025.

    Example:
        >>> import numpy as np
        >>> score = NCI(alpha=0.1).fit(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.eye(2))
        >>> score(np.array([[3.0, 4.0]]), np.array([[0.0, 1.0]])).round(6)    # -4/5 - 0.1 * 7
        array([-1.5])
    """

    alpha: float = 0.0
    sees: ClassVar[tuple[str, ...]] = ("features", "logits")
    fits: ClassVar[tuple[str, ...]] = ("features", "weight")
    mean: Tensor | None = field(default=None, init=False, repr=False)
    weight: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < float("inf"):
            raise UsageError(f"alpha={self.alpha} must be 0 or more")

    @torch.no_grad()
    def fit(
        self, features: Float[Array, "rows width"], weight: Float[Array, "classes width"]
    ) -> "NCI":
        """Find the mean of the features.

        Args:
            features: Of inliers.
            weight: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite, or the widths differ.
        """
        self.mean = moments_of(features).total.mean[0]
        self.weight, _ = head(weight, None, width=len(self.mean))
        return self

    def __call__(
        self, features: Float[Array, "rows width"], logits: Float[Array, "rows classes"]
    ) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.
            logits: Of the same rows.

        Returns:
            One for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width or number of classes, or not finite.
        """
        x = tensor("features", features)
        mean, weight = self._held("mean", "weight", to=x.device)
        x = of_width("features", x, len(mean)).double()
        guess = tensor("logits", logits, columns=len(weight)).argmax(1)
        centred = x - mean
        aligned = (centred * weight[guess]).sum(1) / centred.norm(dim=1).clamp(min=1e-12)
        return like(-aligned - self.alpha * x.abs().sum(1), features)
