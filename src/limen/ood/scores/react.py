"""Energy after clipping large activations."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from limen.measure.arrays import Array, like, tensor
from limen.ood.scores.energy import energy
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.percentile import check_percent, percentile


@dataclass(eq=False)
class ReAct(Kept):
    """Energy of the logits of clipped features; higher = more outlying.

    `energy(W min(f, c) + b)`, c a percentile of all activations of the training set. Outliers fire
    a few units abnormally high, and those make the network overconfident.

    Args:
        percentile: Where c lies, in percent; 100 clips only what the training set never reached.

    Raises:
        UsageError: `percentile` outside 0 to 100; not fitted; not finite.

    Reference:
        Y. Sun, C. Guo and Y. Li, "ReAct: out-of-distribution detection with rectified activations",
        NeurIPS 2021.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0, 1.0], [2.0, 3.0]])    # clipped at their median, 1.5
        >>> score = ReAct(percentile=50).fit(features, np.ones((1, 2)), np.zeros(1))
        >>> score(np.array([[9.0, 1.0]]))
        array([-2.5])
    """

    percentile: float = 90.0
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features", "weight", "bias")
    weight: Tensor | None = field(default=None, init=False, repr=False)
    bias: Tensor | None = field(default=None, init=False, repr=False)
    clip: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        check_percent("percentile", self.percentile)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        weight: Float[Array, "classes width"],
        bias: Float[Array, " classes"] | None,
    ) -> "ReAct":
        """Find c.

        Args:
            features: Of inliers.
            weight: Of the last layer.
            bias: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite, or the widths differ.
        """
        x = tensor("features", features)
        self.weight, self.bias = head(weight, bias, width=x.shape[1])
        self.clip = percentile(x, self.percentile)
        return self

    def __call__(self, features: Float[Array, "rows width"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.

        Returns:
            One for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width, or not finite.
        """
        x, weight, bias = self._at_head(features)
        return like(energy(linear(x.clamp(max=self.clip), weight, bias)), features)
