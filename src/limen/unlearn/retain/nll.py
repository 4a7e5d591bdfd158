"""Negative log-likelihood."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from limen.unlearn.objectives.token_weight import weighted_log_p


@dataclass(frozen=True)
class NLL:
    """The usual language-model loss on the retain answers; lower is remembered better.

    `L = -(1/N) sum_ik log p_ik`, the mean over all answer tokens of the batch.

    Example:
        >>> import torch
        >>> half = torch.tensor([[0.5, 0.5]]).log()
        >>> round(NLL()(half, torch.ones(1, 2, dtype=torch.bool)).item(), 4)
        0.6931
    """

    needs_reference: ClassVar[bool] = False
    mean_over: ClassVar[str] = "tokens"

    def __call__(
        self,
        log_p: Float[Tensor, "rows tokens"],
        mask: Bool[Tensor, "rows tokens"],
        log_q: Float[Tensor, "rows tokens"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss.

        Args:
            log_p: Log-probability of each answer token.
            mask: True at answer tokens.
            log_q: Not used.

        Returns:
            The scalar loss.
        """
        return -weighted_log_p(log_p, mask)
