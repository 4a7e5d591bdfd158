"""Energy with only the weights that matter for the training data."""

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
from limen.ood.scores.percentile import check_percent, percentile
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class DICE(Kept):
    """Energy of the logits of a sparse last layer; higher = more outlying.

    `energy((M * W) f + b)`, where M keeps the weights whose contribution to the logits, `w_cj`
    times the mean of feature j over the training set, lies above the percentile of all of them.
    Units that contribute nothing to inliers only add noise, and outliers speak through them.

    Args:
        percentile: Share of weights left out, in percent; 0 leaves out the smallest one.

    Raises:
        UsageError: `percentile` outside 0 to 100; not fitted; not finite.

    Reference:
        Y. Sun and Y. Li, "DICE: leveraging sparsification for out-of-distribution detection",
        ECCV 2022.

    Example:
        >>> import numpy as np
        >>> weight = np.array([[4.0, 3.0, 2.0, 1.0]])
        >>> score = DICE(percentile=50).fit(np.ones((2, 4)), weight, np.zeros(1))
        >>> score(np.ones((1, 4)))    # the weights 4 and 3 are left
        array([-7.])
    """

    percentile: float = 90.0
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features", "weight", "bias")
    weight: Tensor | None = field(default=None, init=False, repr=False)
    bias: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_percent("percentile", self.percentile)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        weight: Float[Array, "classes width"],
        bias: Float[Array, " classes"] | None,
    ) -> "DICE":
        """Find the weights to keep.

        Args:
            features: Of inliers.
            weight: Of the last layer.
            bias: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite, or the widths differ.
        """
        mean = moments_of(features).total.mean[0]
        w, self.bias = head(weight, bias, width=len(mean))
        contribution = w.double() * mean
        self.weight = w.masked_fill(contribution <= percentile(contribution, self.percentile), 0.0)
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
        return like(energy(linear(x, weight, bias)), features)
