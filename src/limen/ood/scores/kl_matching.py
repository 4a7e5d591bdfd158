"""Distance of a prediction to the typical predictions."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from limen.measure.arrays import Array, like, of_width, tensor
from limen.ood.scores.kept import Kept


@dataclass(eq=False)
class KLMatching(Kept):
    """KL divergence to the nearest typical prediction; higher = more outlying.

    `min_k KL(p || d_k)`, with d_k the mean softmax of the training rows that the network predicts
    as class k. An inlier makes the usual mistakes of its class, an outlier others. Classes that are
    never predicted have no d_k. In float64.

    Raises:
        UsageError: Not fitted, or logits that are not finite.

    Reference:
        D. Hendrycks, S. Basart, M. Mazeika, A. Zou, J. Kwon, M. Mostajabi, J. Steinhardt and
        D. Song, "Scaling out-of-distribution detection for real-world settings", ICML 2022. There
        d_k comes from held-out inliers.

    Example:
        >>> import numpy as np
        >>> p = np.array([[0.9, 0.1], [0.1, 0.9]])
        >>> KLMatching().fit(np.log(p))(np.log([[0.5, 0.5]])).round(6)    # .5 log .25/.09
        array([0.510826])
    """

    sees: ClassVar[tuple[str, ...]] = ("logits",)
    fits: ClassVar[tuple[str, ...]] = ("logits",)
    typical: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def fit(self, logits: Float[Array, "rows classes"]) -> "KLMatching":
        """Average the predictions of each predicted class.

        Args:
            logits: Of inliers; no labels are needed.

        Returns:
            This score, fitted.

        Raises:
            UsageError: `logits` are not finite.
        """
        p = tensor("logits", logits).double().softmax(-1)
        guess = p.argmax(-1)
        count = torch.bincount(guess, minlength=p.shape[1])
        sums = p.new_zeros(p.shape[1], p.shape[1]).index_add_(0, guess, p)
        self.typical = sums[count > 0] / count[count > 0, None]
        return self

    def __call__(self, logits: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            logits: One row for each input.

        Returns:
            At least 0, one for each row, of the kind of `logits`.

        Raises:
            UsageError: Not fitted; another number of classes, or not finite.
        """
        z = tensor("logits", logits)
        (typical,) = self._held("typical", to=z.device)
        log_p = of_width("logits", z, typical.shape[1]).double().log_softmax(-1)
        log_d = typical.clamp(min=torch.finfo(torch.float64).tiny).log()
        p = log_p.exp()
        kl = (p * log_p).sum(-1) - (p @ log_d.T).amax(-1)
        return like(kl.clamp(min=0), logits)
