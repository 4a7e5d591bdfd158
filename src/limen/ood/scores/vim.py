"""Virtual-logit matching."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor
from limen.measure.moments import chunks
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.residual import least_space, residual_length


@dataclass(eq=False)
class ViM(Kept):
    """Residual as a virtual logit, less the energy's log-sum; higher = more outlying.

    `alpha ||R^T (f - o)|| - log sum_k exp z_k`, with R and o of `Residual`, and alpha such that on
    the training set the virtual logit is as large as the largest logit on average. It joins what
    the head sees with what it cannot see.

    Args:
        dim: Directions of the principal space; by width D: 1000 from D = 1500, 512 from 768, else
            D / 2 (these bounds on D are ours).

    Raises:
        UsageError: Not fitted; `dim` not between 1 and D - 1; not finite; no residual to scale.

    Reference:
        H. Wang, Z. Li, L. Feng and W. Zhang, "ViM: out-of-distribution with virtual-logit
        matching", CVPR 2022. Ranking by this is ranking by the softmax of the virtual logit there.

    Example:
        >>> import numpy as np
        >>> features = np.array([[3.0, 0.1], [-3.0, -0.1], [3.0, -0.1], [-3.0, 0.1]])
        >>> weight = np.array([[1.0, 0.0], [-1.0, 0.0]])    # logits 3, -3; alpha = 3 / 0.1
        >>> score = ViM(dim=1).fit(features, weight, np.zeros(2))
        >>> score(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]])).round(4)    # 30 - log 2
        array([29.3069])
    """

    dim: int | None = None
    sees: ClassVar[tuple[str, ...]] = ("features", "logits")
    fits: ClassVar[tuple[str, ...]] = ("features", "weight", "bias")
    origin: Tensor | None = field(default=None, init=False, repr=False)
    rest: Tensor | None = field(default=None, init=False, repr=False)
    alpha: float | None = field(default=None, init=False)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        weight: Float[Array, "classes width"],
        bias: Float[Array, " classes"] | None,
    ) -> "ViM":
        """Find the origin, the directions of least variance, and alpha.

        Args:
            features: Of inliers.
            weight: Of the last layer.
            bias: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: `dim` not between 1 and D - 1; not finite; no residual to scale.
        """
        origin, rest = least_space(features, weight, bias, dim=self.dim)
        rows = tensor("features", features)
        length = residual_length(rows, origin, rest).mean()
        if not length > 0:
            raise UsageError("features must vary outside the principal space; take a smaller dim")
        w, b = head(weight, bias)
        largest = torch.cat([linear(x.to(w), w, b).amax(1) for (x,) in chunks(rows)]).mean()
        self.origin, self.rest, self.alpha = origin, rest, float(largest / length)
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
            UsageError: Not fitted; another width, or not finite.
        """
        x = tensor("features", features)
        origin, rest = self._held("origin", "rest", to=x.device)
        virtual = (self.alpha or 0.0) * residual_length(x, origin, rest)
        return like(virtual - tensor("logits", logits).double().logsumexp(-1), features)
