"""Energy after cutting small activations and clipping large ones."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, of_width, tensor
from limen.ood.scores.energy import energy
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.percentile import check_percent, percentile


@dataclass(eq=False)
class VRA(Kept):
    """Energy of the logits of activations rectified on both sides; higher = more outlying.

    Each activation f becomes 0 below a, c above c, and `f + shift` between, with a and c two
    percentiles of all activations of the training set; the score is `energy(W f + b)`. Outliers
    have too many very large activations, and too many small ones that add up.

    Args:
        lower: Where a lies, in percent.
        upper: Where c lies, in percent, at least `lower`.
        shift: Added to what lies between, at least 0; above 0 is the paper's VRA+.

    Raises:
        UsageError: Percentages out of order or outside 0 to 100; not fitted; not finite.

    Reference:
        M. Xu, Z. Lian, B. Liu and J. Tao, "VRA: variational rectified activation for
        out-of-distribution detection", NeurIPS 2023.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0, 1.0, 2.0, 3.0, 4.0]])    # 25 %: 1, 75 %: 3
        >>> score = VRA(lower=25, upper=75).fit(features, np.ones((1, 5)), np.zeros(1))
        >>> score(np.array([[0.5, 1.0, 2.0, 3.0, 9.0]]))    # 0 + 1 + 2 + 3 + 3
        array([-9.])
    """

    lower: float = 60.0
    upper: float = 95.0
    shift: float = 0.0
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features", "weight", "bias")
    weight: Tensor | None = field(default=None, init=False, repr=False)
    bias: Tensor | None = field(default=None, init=False, repr=False)
    edges: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_percent("lower", self.lower)
        check_percent("upper", self.upper)
        if self.lower > self.upper or self.shift < 0:
            raise UsageError(
                f"lower={self.lower} must not exceed upper={self.upper}, and "
                f"shift={self.shift} must be 0 or more"
            )

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        weight: Float[Array, "classes width"],
        bias: Float[Array, " classes"] | None,
    ) -> "VRA":
        """Find both percentiles.

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
        edges = [percentile(x, self.lower), percentile(x, self.upper)]
        self.edges = torch.tensor(edges, dtype=torch.float64)
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
        x = tensor("features", features)
        weight, bias, (cut, clip) = self._held("weight", "bias", "edges", to=x)
        x = of_width("features", x, weight.shape[1])
        shaped = torch.where(x > clip, clip, x + self.shift).masked_fill(x < cut, 0.0)
        return like(energy(linear(shaped, weight, bias)), features)
