"""Generalised entropy."""

from dataclasses import dataclass

import torch
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor


@dataclass(frozen=True)
class GEN:
    """Generalised entropy of the largest probabilities; higher = more outlying.

    `G = sum_{k among the M largest} p_k^gamma (1 - p_k)^gamma`. A small gamma blows up small
    deviations from certainty, which Shannon's entropy hardly sees. `1 - p` of the largest class is
    taken as the sum of the others, in logarithms, so that nothing saturates at p = 1.

    Args:
        gamma: Exponent, above 0 and below 1 in the paper.
        top: M, how many classes count; all of them where there are fewer.

    Raises:
        UsageError: `gamma` or `top` is not positive.

    Reference:
        X. Liu, Y. Lochman and C. Zach, "GEN: pushing the limits of softmax-based
        out-of-distribution detection", CVPR 2023. There -G, higher = inlier.

    Example:
        >>> import numpy as np
        >>> GEN(gamma=0.5)(np.log([[0.8, 0.2]])).round(6)    # sqrt(.8 * .2) twice
        array([0.8])
    """

    gamma: float = 0.1
    top: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.gamma < float("inf") or self.top < 1:
            raise UsageError(f"gamma={self.gamma} must be above 0 and top={self.top} at least 1")

    def __call__(self, logits: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            logits: One row for each input.

        Returns:
            One score for each row, of the kind of `logits`.

        Raises:
            UsageError: `logits` are not finite.
        """
        z = tensor("logits", logits)
        largest, at = z.topk(min(self.top, z.shape[-1]))
        whole = z.logsumexp(-1, keepdim=True)
        others = z.scatter(-1, at[:, :1], -torch.inf).logsumexp(-1, keepdim=True)
        log_p = largest - whole
        log_rest = torch.cat([others - whole, torch.log1p(-log_p[:, 1:].exp())], -1)
        return like((self.gamma * (log_p + log_rest)).exp().sum(-1), logits)
