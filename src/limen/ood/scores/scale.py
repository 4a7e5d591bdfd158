"""Energy after scaling the activations of each input."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from limen.measure.arrays import Array, like
from limen.ood.scores.energy import energy
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.percentile import check_percent
from limen.ood.scores.sharpening import largest, sharpening


@dataclass(eq=False)
class SCALE(Kept):
    """Energy of the logits of scaled features; higher = more outlying.

    `energy(W (r f) + b)` with `r = exp(s_1 / s_2)`: s_1 the sum of an input's activations, s_2 of
    its largest (100 - percentile) %. ASH-S without the pruning, which costs accuracy and gains
    nothing; the class that wins stays the same where there is no bias.

    Args:
        percentile: Share of each input's activations that s_2 leaves out, in percent, below 100.

    Raises:
        UsageError: `percentile` outside 0 to 100; not fitted; not finite; no activations.

    Reference:
        K. Xu, R. Chen, G. Franchi and A. Yao, "Scaling for training time and post-hoc
        out-of-distribution detection enhancement", ICLR 2024.

    Example:
        >>> import numpy as np
        >>> score = SCALE(percentile=50).fit(np.ones((1, 4)), np.zeros(1))
        >>> score(np.array([[0.0, 0.0, 1.0, 1.0]])).round(4)    # 2 e
        array([-5.4366])
    """

    percentile: float = 85.0
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Tensor | None = field(default=None, init=False, repr=False)
    bias: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_percent("percentile", self.percentile)

    @torch.no_grad()
    def fit(
        self, weight: Float[Array, "classes width"], bias: Float[Array, " classes"] | None
    ) -> "SCALE":
        """Keep the last layer.

        Args:
            weight: Of the last layer.
            bias: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite, or the shapes do not fit.
        """
        self.weight, self.bias = head(weight, bias)
        return self

    def __call__(self, features: Float[Array, "rows width"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.

        Returns:
            One for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width, not finite, or no activations.
        """
        x, weight, bias = self._at_head(features)
        kept, _ = largest(x, self.percentile)
        return like(energy(linear(x * sharpening(x, kept), weight, bias)), features)
