"""The losses that training with outliers is made of, in closed form."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from limen._core.errors import UsageError

Reduction = Literal["mean", "none"]


def oe(logits: Float[Tensor, "rows classes"], *, reduction: Reduction = "mean") -> Tensor:
    """Cross-entropy from the uniform distribution; lower is less sure of any class.

    `l(z) = -(1/C) sum_k log p_k = logsumexp(z) - mean_k z_k = KL(u || p) + log C`. It is convex in
    z, does not change when a constant is added to z, and its gradient is `p - 1/C`. Its smallest
    value, log C, is reached where all logits are equal.

    Args:
        logits: Logits z of C classes.
        reduction: "mean" over rows, or "none" for a value for each row.

    Returns:
        Nats, at least log C: a scalar, or (rows,).

    Reference:
        Hendrycks, Mazeika, Dietterich, Deep Anomaly Detection with Outlier Exposure, ICLR 2019.

    Example:
        >>> round(oe(torch.tensor([[2.0, 0.0, -1.0]])).item(), 4)  # log(e^2 + 1 + 1/e) - 1/3
        1.8365
    """
    logits = full(logits)
    return _reduced(logits.logsumexp(-1) - logits.mean(-1), reduction)


def scale_gradient(
    logits: Float[Tensor, "rows classes"], *, reduction: Reduction = "mean"
) -> Tensor:
    """How fast `oe` grows when all logits are scaled up; 0 is best.

    `r(z) = d/ds oe(s z) at s = 1 = sum_k p_k z_k - mean_k z_k`. Because `oe(s z)` is convex in s
    with slope 0 at s = 0, where it is log C, `oe(z) - log C <= r(z)`: r bounds what a rescaled
    model could still gain.

    Args:
        logits: Logits z.
        reduction: "mean" over rows, or "none" for a value for each row.

    Returns:
        Nats, at least 0: a scalar, or (rows,).

    Reference:
        Wang et al., Out-of-Distribution Detection with Implicit Outlier Transformation, ICLR 2023.
        The bound is proved above, not taken from there.

    Example:
        >>> round(scale_gradient(torch.tensor([[2.0, 0.0, -1.0]])).item(), 4)
        1.3122
    """
    logits = full(logits)
    return _reduced((logits.softmax(-1) * logits).sum(-1) - logits.mean(-1), reduction)


def supcon(
    features: Float[Tensor, "rows width"],
    labels: Int[Tensor, " rows"],
    *,
    temperature: float = 0.07,
    reduction: Reduction = "mean",
) -> Tensor:
    """Supervised contrastive loss; lower is closer to one's own class, farther from the others.

    With features f scaled to length 1 and `P(i)` the other rows of i's class,
    `L_i = -mean_{j in P(i)} [f_i.f_j / t - logsumexp_{a != i} f_i.f_a / t]`. A row that is alone
    in its class gives 0 and counts in the mean.

    Args:
        features: Any length; scaled to length 1 here.
        labels: Class of each row.
        temperature: t, above 0.
        reduction: "mean" over rows, or "none" for a value for each row.

    Returns:
        Nats, at least 0: a scalar, or (rows,).

    Raises:
        UsageError: `temperature` is not positive.

    Reference:
        Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, equation 2 (one view).

    Example:
        >>> alike = torch.ones(4, 2)  # nothing to tell apart: log 3
        >>> round(supcon(alike, torch.tensor([0, 1, 0, 1])).item(), 4)
        1.0986
    """
    if not 0 < temperature < float("inf"):
        raise UsageError(f"temperature={temperature} must be positive and finite")
    with torch.autocast(features.device.type, enabled=False):  # or the products are halves
        unit = normalize(full(features), dim=-1)
        alike = unit @ unit.T / temperature
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    others = alike.masked_fill(itself, -torch.inf).logsumexp(-1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~itself
    gap = torch.where(positive, others - alike, 0.0)
    return _reduced(gap.sum(-1) / positive.sum(-1).clamp(min=1), reduction)


def full(values: Tensor) -> Tensor:
    """At least single precision: a sum of exponentials in half of it loses two digits.

    Example:
        >>> full(torch.zeros(1, dtype=torch.bfloat16)).dtype, full(torch.zeros(1)).dtype
        (torch.float32, torch.float32)
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _reduced(rows: Tensor, reduction: Reduction) -> Tensor:
    return rows.mean() if reduction == "mean" else rows
