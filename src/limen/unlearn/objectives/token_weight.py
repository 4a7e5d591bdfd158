"""The family that most unlearning objectives belong to: a weight for each token's log p."""

from jaxtyping import Bool, Float
from torch import Tensor

from limen._core.errors import UsageError


def weighted_log_p(
    log_p: Float[Tensor, "rows tokens"],
    mask: Bool[Tensor, "rows tokens"],
    weight: Float[Tensor, "rows tokens"] | float = 1.0,
) -> Float[Tensor, ""]:
    """`(1/N) sum_ik sg[w_ik] log p_ik` over the N masked tokens; going down lowers log p.

    Args:
        log_p: Log-probability of each answer token.
        mask: True at answer tokens; what stands elsewhere never counts.
        weight: w, detached here, so that it carries no gradient.

    Returns:
        The scalar loss.
    """
    if isinstance(weight, Tensor):
        weight = weight.detach().masked_fill(~mask, 0.0)
    return (weight * log_p.masked_fill(~mask, 0.0)).sum() / mask.sum().clamp(min=1)


def not_negative(**values: float) -> None:
    """Check exponents and temperatures.

    Raises:
        UsageError: A value is negative or not finite.
    """
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise UsageError(f"{name}={value} must be finite and not negative")
