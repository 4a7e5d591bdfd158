"""What of the features lies outside the principal space of the training data."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor
from limen.measure.moments import chunks
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class Residual(Kept):
    """Length of the feature outside the principal space; higher = more outlying.

    `||R^T (f - o)||`, R the directions of least variance of the training features about the origin
    `o = -W^+ b`, where the linear part of the logits is zero. No head is sensitive to what never
    varied in training; this looks at just that.

    Args:
        dim: Directions of the principal space; by width D: 1000 from D = 1500, 512 from 768, else
            D / 2 (these bounds on D are ours).

    Raises:
        UsageError: Not fitted; `dim` not between 1 and D - 1; features not finite.

    Reference:
        H. Wang, Z. Li, L. Feng and W. Zhang, "ViM: out-of-distribution with virtual-logit
        matching", CVPR 2022, where the residual is also a score of its own.

    Example:
        >>> import numpy as np
        >>> features = np.array([[3.0, 0.1], [-3.0, -0.1], [3.0, -0.1], [-3.0, 0.1]])
        >>> score = Residual(dim=1).fit(features, np.eye(2), np.zeros(2))
        >>> score(np.array([[7.0, 2.0]]))
        array([2.])
    """

    dim: int | None = None
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features", "weight", "bias")
    origin: Tensor | None = field(default=None, init=False, repr=False)
    rest: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        weight: Float[Array, "classes width"],
        bias: Float[Array, " classes"] | None,
    ) -> "Residual":
        """Find the origin and the directions of least variance.

        Args:
            features: Of inliers.
            weight: Of the last layer.
            bias: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: `dim` not between 1 and D - 1; features not finite.
        """
        self.origin, self.rest = least_space(features, weight, bias, dim=self.dim)
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
        x = tensor("features", features)
        origin, rest = self._held("origin", "rest", to=x.device)
        return like(residual_length(x, origin, rest), features)


def least_space(features: Any, weight: Any, bias: Any, *, dim: int | None) -> tuple[Tensor, Tensor]:
    """The origin -W^+ b, and the directions of least variance about it, in float64.

    Args:
        features: Of inliers.
        weight: Of the last layer.
        bias: Of the last layer, or None.
        dim: How many directions to leave out, those of most variance; None for the default.

    Returns:
        Origin (width,) and directions (width, width - dim).

    Raises:
        UsageError: `dim` not between 1 and width - 1.

    Example:
        >>> import numpy as np
        >>> origin, rest = least_space(np.diag([2.0, 1.0]), np.eye(2), np.ones(2), dim=1)
        >>> origin.tolist(), tuple(rest.shape)
        ([-1.0, -1.0], (2, 1))
    """
    total = moments_of(features).total
    width = total.mean.shape[1]
    w, b = head(weight, bias, width=width)
    kept = dim if dim is not None else usual_dim(width)
    if not 0 < kept < width:
        raise UsageError(f"dim={kept} must be between 1 and {width - 1}, one less than the width")
    origin = -(torch.linalg.pinv(w.double()) @ b.double()).to(total.mean.device)
    apart = (total.mean - origin)[0]
    about = total.covariance + torch.outer(apart, apart)
    return origin, torch.linalg.eigh(about).eigenvectors[:, : width - kept].contiguous()


def residual_length(rows: Tensor, origin: Tensor, rest: Tensor) -> Tensor:
    """`||R^T (f - o)||` of each row, in float64.

    Example:
        >>> residual_length(torch.tensor([[3.0, 4.0]]), torch.zeros(2), torch.eye(2))
        tensor([5.], dtype=torch.float64)
    """
    rows = tensor("features", rows, columns=len(origin))
    parts = [((part.double() - origin) @ rest.double()).norm(dim=1) for (part,) in chunks(rows)]
    return torch.cat(parts)


def usual_dim(width: int) -> int:
    """The size of the principal space where none is asked for.

    Example:
        >>> usual_dim(2048), usual_dim(768), usual_dim(128)
        (1000, 512, 64)
    """
    if width >= 1500:
        return 1000
    return 512 if width >= 768 else width // 2
