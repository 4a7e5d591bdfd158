"""Exact nearest and furthest neighbours by blocks."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limen._core.errors import UsageError

_BLOCK = 1024


class Neighbours(NamedTuple):
    """For each row the numbers of its nearest and of its furthest rows, closest to the end first.

    Example:
        >>> Neighbours(torch.tensor([[1]]), torch.tensor([[2]])).nearest.item()
        1
    """

    nearest: Int[Tensor, "rows count"]
    furthest: Int[Tensor, "rows count"]


def neighbours(features: Float[Tensor, "rows width"], count: int) -> Neighbours:
    """The `count` nearest rows of each row, itself left out, and the `count` furthest.

    Args:
        features: By Euclidean distance.
        count: k, below the number of rows.

    Returns:
        Their numbers.

    Raises:
        UsageError: There are not enough rows.

    Example:
        >>> found = neighbours(torch.tensor([[0.0], [1.0], [3.0], [7.0]]), 1)
        >>> found.nearest.ravel().tolist(), found.furthest.ravel().tolist()
        ([1, 0, 1, 2], [3, 3, 3, 0])
    """
    if not 0 < count < len(features):
        raise UsageError(
            f"count={count} must be at least 1 and below the {len(features)} rows there are"
        )
    near, far = [], []
    for start in range(0, len(features), _BLOCK):
        rows = features[start : start + _BLOCK]
        distances = torch.cdist(rows, features, compute_mode="donot_use_mm_for_euclid_dist")
        far.append(distances.topk(count, dim=1).indices)
        own = torch.arange(len(rows), device=rows.device)
        distances[own, own + start] = float("inf")
        near.append(distances.topk(count, dim=1, largest=False).indices)
    return Neighbours(torch.cat(near), torch.cat(far))
