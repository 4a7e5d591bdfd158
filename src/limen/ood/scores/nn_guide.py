"""Energy guided by the nearest training features."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, of_width, tensor
from limen.ood.scores.kept import Kept
from limen.ood.scores.nearest import best


@dataclass(eq=False)
class NNGuide(Kept):
    """Minus the log-sum-exp times its guidance by neighbours; higher = more outlying.

    `-s(x) (1/k) sum_{the k largest} s(g) (g . f)`, with `s = log sum_k exp z_k`, and f and the
    training features g divided by their lengths. A confident input must also resemble training
    inputs on which the network is confident.

    Args:
        k: How many neighbours, at least 1.

    Raises:
        UsageError: `k` below 1 or above the number of training rows; not fitted; not finite.

    Reference:
        J. Park, Y. G. Jung and A. B. J. Teoh, "Nearest neighbor guidance for out-of-distribution
        detection", ICCV 2023. There a random part of the training set may be kept; here all that is
        given is.

    Example:
        >>> import numpy as np
        >>> features, logits = np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([[3.0], [1.0]])
        >>> NNGuide(k=1).fit(features, logits)(np.array([[5.0, 0.0]]), np.array([[2.0]]))
        array([-6.])
    """

    k: int = 10
    sees: ClassVar[tuple[str, ...]] = ("features", "logits")
    fits: ClassVar[tuple[str, ...]] = ("features", "logits")
    points: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k={self.k} must be at least 1")

    @torch.no_grad()
    def fit(
        self, features: Float[Array, "rows width"], logits: Float[Array, "rows classes"]
    ) -> "NNGuide":
        """Keep the directions of the training features, weighted by the network's confidence.

        Args:
            features: Of inliers, at least k rows.
            logits: Of the same rows.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Fewer than k rows, or not finite.
        """
        x, z = tensor("features", features), tensor("logits", logits)
        if len(x) < self.k:
            raise UsageError(f"features must have at least k={self.k} rows, got {len(x)}; lower k")
        self.points = normalize(x) * z.logsumexp(1, keepdim=True)
        return self

    @torch.no_grad()
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
            UsageError: Not fitted; another width, or not finite.
        """
        x = tensor("features", features)
        (points,) = self._held("points", to=x.device)
        x = normalize(of_width("features", x, points.shape[1]).to(points))
        lowest, _ = best(x, points, points.new_zeros(len(points)), k=self.k)
        return like(lowest.mean(1) * tensor("logits", logits).logsumexp(1), features)
