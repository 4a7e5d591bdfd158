"""Negative preference optimisation."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from limen._core.errors import UsageError


@dataclass(frozen=True)
class NPO:
    """Negative preference optimisation: GA that stops at each row; lower is forgotten.

    `L = (2/beta) mean_i softplus(beta (log P_i - log Q_i))`, where `log P_i` sums the answer's
    token log-probabilities and Q is the model before unlearning. Its gradient is GA's with the
    weight `2 sigmoid(beta (log P_i - log Q_i))` for each row: 1 at the start, towards 0 once a row
    is forgotten. The log-probabilities under Q are taken once for each forget row; no second
    model is kept.

    Args:
        beta: Inverse temperature, above 0; small is close to GA (on sums over tokens).

    Raises:
        UsageError: `beta` is not positive, or the reference is missing.

    Reference:
        Zhang et al., Negative Preference Optimization: From Catastrophic Collapse to Effective
        Unlearning, COLM 2024.

    Example:
        >>> import torch
        >>> log_q = torch.tensor([[-1.0, -2.0]])
        >>> mask = torch.ones(1, 2, dtype=torch.bool)
        >>> round(NPO(beta=0.1)(log_q - 5.0, mask, log_q).item(), 6)
        6.265234
    """

    beta: float = 0.1
    needs_reference: ClassVar[bool] = True
    mean_over: ClassVar[str] = "rows"

    def __post_init__(self) -> None:
        if not 0 < self.beta < float("inf"):
            raise UsageError(f"beta={self.beta} must be positive and finite")

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
            log_q: The same under the model before unlearning.

        Returns:
            The scalar loss.

        Raises:
            UsageError: `log_q` is missing.
        """
        if log_q is None:
            raise UsageError("NPO needs log_q, the log-probabilities of the model before")
        ratio = (log_p - log_q.detach()).masked_fill(~mask, 0.0).sum(-1)
        return -(2 / self.beta) * logsigmoid(-self.beta * ratio).mean()
