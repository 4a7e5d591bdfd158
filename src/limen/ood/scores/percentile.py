"""A percentile of a whole matrix."""

from torch import Tensor

from limen._core.errors import UsageError


def percentile(values: Tensor, percent: float) -> float:
    """The value that `percent` % of all entries lie below, interpolated linearly.

    By selection, not sorting, and without torch.quantile's limit of 16 million entries.

    Args:
        values: Any shape.
        percent: 0 to 100.

    Returns:
        The percentile.

    Raises:
        UsageError: `percent` outside 0 to 100.

    Example:
        >>> import torch
        >>> percentile(torch.tensor([[0.0, 1.0], [2.0, 3.0]]), 50.0)
        1.5
    """
    check_percent("percentile", percent)
    flat = values.flatten()
    place = (len(flat) - 1) * percent / 100
    low = min(int(place), len(flat) - 1)
    below = flat.kthvalue(low + 1).values.item()
    if place == low:
        return below
    above = flat.kthvalue(low + 2).values.item()
    return below + (place - low) * (above - below)


def check_percent(name: str, percent: float) -> None:
    """Refuse what is no percentage.

    Raises:
        UsageError: `percent` outside 0 to 100.

    Example:
        >>> check_percent("percentile", 90)
    """
    if not 0 <= percent <= 100:
        raise UsageError(f"{name}={percent} must be a percentage from 0 to 100")
