"""Stay close to the model before."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError

MASKS = ("answer", "attended", "all")


@dataclass(frozen=True)
class KL:
    """Divergence of the model from what it was, on the retain rows; lower is closer.

    `L = mean_t KL(p_before(.|t) || p_now(.|t))`, the model before first, over the positions that
    predict an answer token. Computed from logits in float32; 0 with zero gradient while nothing
    has changed.

    Args:
        mask: "answer" averages over answer positions; "attended" over prompt and answer; "all"
            over every position of the padded batch, as the released codes do. With a published
            coefficient c use `KL("all")`, or `KL()` with about c * N / (B * T), where N counts
            answer tokens in a batch of B rows padded to T: the unmasked mean is diluted by that.

    Raises:
        UsageError: `mask` is none of the three.

    Reference:
        Maini et al., TOFU: A Task of Fictitious Unlearning for LLMs, COLM 2024 (the KL baseline);
        departure: masked.

    Example:
        >>> before = torch.tensor([[0.0, 0.0]])
        >>> KL()(before, before).item(), round(KL()(torch.tensor([[1.0, 0.0]]), before).item(), 4)
        (0.0, 0.1201)
    """

    mask: str = "answer"

    def __post_init__(self) -> None:
        if self.mask not in MASKS:
            raise UsageError(f"mask={self.mask!r} must be one of {', '.join(MASKS)}")

    def __call__(
        self, now: Float[Tensor, "positions vocab"], before: Float[Tensor, "positions vocab"]
    ) -> Float[Tensor, ""]:
        """The loss.

        Args:
            now: Logits of the model that trains.
            before: Logits of the model before, at the same positions.

        Returns:
            The scalar loss.
        """
        wide = torch.promote_types(now.dtype, torch.float32)
        log_now = now.to(wide).log_softmax(-1)
        log_before = before.detach().to(wide).log_softmax(-1)
        total = (log_before.exp() * (log_before - log_now)).sum()
        return total / max(len(now), 1)
