"""Energy after keeping only the largest activations of each input."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like
from limen.ood.scores.energy import energy
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.percentile import check_percent
from limen.ood.scores.sharpening import largest, sharpening


@dataclass(eq=False)
class ASH(Kept):
    """Energy of the logits of pruned features; higher = more outlying.

    Of each input the largest (100 - percentile) % of activations are kept. Variant "p" leaves them
    as they are; "b" gives each the same value, so that their sum is that of the whole input; "s"
    multiplies them by `exp(s_1 / s_2)`, the sums before and after. Then `energy(W f + b)`.

    Args:
        variant: "p" (prune), "b" (binarise) or "s" (scale).
        percentile: Share of each input's activations that is dropped, in percent, below 100.

    Raises:
        UsageError: An unknown variant; `percentile` outside 0 to 100; not fitted; not finite; for
            "s", features that are no activations.

    Reference:
        A. Djurisic, N. Bozanic, A. Ashok and R. Liu, "Extremely simple activation shaping for
        out-of-distribution detection", ICLR 2023. Applied to pooled features.

    Example:
        >>> import numpy as np
        >>> score = ASH(variant="b", percentile=50).fit(np.ones((1, 4)), np.zeros(1))
        >>> score(np.array([[1.0, 2.0, 3.0, 4.0]]))    # two of value 10 / 2
        array([-10.])
    """

    variant: str = "s"
    percentile: float = 90.0
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("weight", "bias")
    weight: Tensor | None = field(default=None, init=False, repr=False)
    bias: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_percent("percentile", self.percentile)
        if self.variant not in ("p", "b", "s"):
            raise UsageError(f"variant={self.variant!r} must be 'p', 'b' or 's'")

    @torch.no_grad()
    def fit(
        self, weight: Float[Array, "classes width"], bias: Float[Array, " classes"] | None
    ) -> "ASH":
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
        values, columns = largest(x, self.percentile)
        if self.variant == "b":
            values = (x.sum(1, keepdim=True) / values.shape[1]).expand_as(values)
        elif self.variant == "s":
            values = values * sharpening(x, values)
        shaped = torch.zeros_like(x).scatter(1, columns, values)
        return like(energy(linear(shaped, weight, bias)), features)
