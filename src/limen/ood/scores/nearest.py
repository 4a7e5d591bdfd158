"""The k best of many points for each query, by blocks of products."""

import torch
from torch import Tensor

GROUP = 32
ROWS, COLUMNS = 512, 1 << 16  # of one block of products: 128 MB in float32


def best(queries: Tensor, points: Tensor, offset: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest of `offset_j - q . p_j` for each query q, in ascending order.

    Args:
        queries: Rows.
        points: Rows of the same width and precision.
        offset: One number for each point; half its squared length finds the nearest points.
        k: How many, at most the number of points.

    Returns:
        Values and columns, both (queries, k).

    Example:
        >>> points = torch.tensor([[0.0], [3.0], [4.0]])
        >>> best(torch.tensor([[3.4]]), points, points.square().sum(1) / 2, k=2)[1].tolist()
        [[1, 2]]
    """
    held = queries.new_empty(min(ROWS, len(queries)) * min(COLUMNS, len(points)))  # written over
    found = []
    for part in queries.split(ROWS):
        parts = []
        for start in range(0, len(points), COLUMNS):
            block = points[start : start + COLUMNS]
            out = held[: len(part) * len(block)].view(len(part), len(block))
            torch.addmm(offset[start : start + COLUMNS], part, block.T, alpha=-1, out=out)
            values, columns = smallest(out, min(k, len(block)))
            parts.append((values, columns + start))
        values, columns = (torch.cat(both, 1) for both in zip(*parts, strict=True))
        ahead = values.topk(k, largest=False)
        found.append((ahead.values, columns.gather(1, ahead.indices)))
    values, columns = (torch.cat(both) for both in zip(*found, strict=True))
    return values, columns


def smallest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest entries of each row and their columns, in ascending order.

    Every entry among the k smallest lies in one of the k groups of columns with the smallest
    minima (else k groups would hold smaller ones), so the minimum of each group of 32, one pass
    over the memory, leaves only k groups to select from.

    Args:
        values: Rows.
        k: How many, at most the number of columns.

    Returns:
        Values and columns, both (rows, k).

    Example:
        >>> found, columns = smallest(torch.tensor([[3.0, 1.0, 2.0]]), 2)
        >>> found.tolist(), columns.tolist()
        ([[1.0, 2.0]], [[1, 2]])
    """
    width = values.shape[1]
    if width < 4 * k * GROUP:
        found = values.topk(k, largest=False)
        return found.values, found.indices
    whole = width - width % GROUP  # the columns after that stand for themselves
    grouped = values[:, :whole].unflatten(1, (-1, GROUP))
    groups = grouped.amin(2).topk(k, largest=False, sorted=False).indices
    inside = grouped.gather(1, groups[..., None].expand(-1, -1, GROUP)).flatten(1)
    found = torch.cat([inside, values[:, whole:]], 1).topk(k, largest=False)
    place = found.indices
    within = groups.gather(1, (place // GROUP).clamp(max=k - 1)) * GROUP + place % GROUP
    return found.values, torch.where(place < k * GROUP, within, whole + place - k * GROUP)
