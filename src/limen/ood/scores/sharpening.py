"""How much of an activation's sum lies in its largest entries."""

import torch
from torch import Tensor

from limen._core.errors import UsageError


def largest(rows: Tensor, percentile: float) -> tuple[Tensor, Tensor]:
    """Values and columns of the entries above the row's own percentile; at least one.

    Args:
        rows: Activations.
        percentile: Share of each row that is left out, in percent.

    Returns:
        Values and columns, both (rows, kept).

    Example:
        >>> values, columns = largest(torch.tensor([[1.0, 4.0, 2.0, 3.0]]), 50.0)
        >>> values.tolist(), columns.tolist()
        ([[4.0, 3.0]], [[1, 3]])
    """
    width = rows.shape[1]
    values, columns = rows.topk(max(1, width - round(width * percentile / 100)))
    return values, columns


def sharpening(rows: Tensor, kept: Tensor) -> Tensor:
    """`exp(sum of the row / sum of its kept entries)`, (rows, 1); e for a row of zeros.

    Raises:
        UsageError: The kept entries of a row sum to less than nothing.

    Example:
        >>> sharpening(torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([[3.0]])).log().item()
        1.3333333730697632
    """
    whole, part = rows.sum(1, keepdim=True), kept.sum(1, keepdim=True)
    exporting = torch.compiler.is_exporting()  # a graph cannot refuse
    if not exporting and ((part < 0).any() or ((part == 0) & (whole != 0)).any()):
        raise UsageError(
            "features must be activations whose largest entries sum to more than 0, as after a "
            "ReLU; use ASH(variant='p') or ReAct for others"
        )
    return torch.where(part > 0, whole / part, 1.0).exp()
