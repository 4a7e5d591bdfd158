"""Nearest points of balls: what a search may spend."""

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError


def project_l2(rows: Float[Tensor, "rows width"], radius: float) -> Float[Tensor, "rows width"]:
    """The nearest point of the ball `||x||_2 <= radius` to each row.

    Args:
        rows: Points.
        radius: At least 0.

    Returns:
        The points; those inside the ball as they came.

    Raises:
        UsageError: `radius` is negative or not a number.

    Example:
        >>> project_l2(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0)
        tensor([[0.6000, 0.8000],
                [0.3000, 0.4000]])
    """
    _check(radius)
    length = rows.norm(dim=-1, keepdim=True)
    return torch.where(length > radius, rows * (radius / length.clamp(min=_tiny(rows))), rows)


def project_l1_mean(
    rows: Float[Tensor, "rows width"], radius: float
) -> Float[Tensor, "rows width"]:
    """The nearest point (in the Euclidean sense) of `mean_j |x_j| <= radius` to each row.

    The answer is `sign(x) max(|x| - t, 0)` with the one t that spends the budget, found by sorting.

    Args:
        rows: Points.
        radius: At least 0.

    Returns:
        The points; those inside the ball as they came.

    Raises:
        UsageError: `radius` is negative or not a number.

    Reference:
        Duchi, Shalev-Shwartz, Singer, Chandra, Efficient Projections onto the l1-Ball for Learning
        in High Dimensions, ICML 2008, figure 1. There the budget bounds a sum, here a mean.

    Example:
        >>> project_l1_mean(torch.tensor([[3.0, -1.0]]), 1.0).tolist()  # t = 1
        [[2.0, -0.0]]
    """
    _check(radius)
    sizes, budget = rows.abs(), radius * rows.shape[-1]
    ordered = sizes.sort(dim=-1, descending=True).values
    count = torch.arange(1, rows.shape[-1] + 1, device=rows.device)
    threshold = (ordered.cumsum(-1) - budget) / count
    kept = (ordered > threshold).sum(-1, keepdim=True).clamp(min=1)
    shrunk = rows.sign() * (sizes - threshold.gather(-1, kept - 1)).clamp(min=0)
    return torch.where(sizes.sum(-1, keepdim=True) > budget, shrunk, rows)


def to_length(rows: Float[Tensor, "rows width"], radius: float) -> Float[Tensor, "rows width"]:
    """Each row scaled to length `radius`; rows of length 0 stay.

    Args:
        rows: Directions.
        radius: The length.

    Returns:
        The scaled rows.

    Example:
        >>> to_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), 10.0)
        tensor([[6., 8.],
                [0., 0.]])
    """
    return rows * (radius / rows.norm(dim=-1, keepdim=True).clamp(min=_tiny(rows)))


def _tiny(rows: Tensor) -> float:
    """Divides a length of 0 without making nan."""
    return torch.finfo(rows.dtype).tiny ** 0.5


def _check(radius: float) -> None:
    """Refuse what is no radius.

    Raises:
        UsageError: It is negative, or not a number.
    """
    if not radius >= 0:
        raise UsageError(f"radius={radius} must be at least 0")
