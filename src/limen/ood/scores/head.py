"""The classifier layer, as fitted scores keep it."""

from typing import Any

import torch
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import tensor


def head(weight: Any, bias: Any, *, width: int | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the last layer as tensors of their own; zeros where there is no bias.

    Args:
        weight: (classes, width).
        bias: (classes,), or None.
        width: Of the features, where they are at hand.

    Returns:
        Weight and bias.

    Raises:
        UsageError: Not finite, or the shapes do not fit.

    Example:
        >>> [part.tolist() for part in head([[1.0], [2.0]], None)]
        [[[1.0], [2.0]], [0.0, 0.0]]
    """
    w = tensor("weight", weight).detach().clone()
    b = torch.zeros_like(w[:, 0]) if bias is None else tensor("bias", bias).detach().clone().to(w)
    if w.ndim != 2 or b.shape != w.shape[:1]:
        raise UsageError(
            f"weight must be (classes, width) and bias (classes,), got {tuple(w.shape)} and "
            f"{tuple(b.shape)}"
        )
    if width is not None and w.shape[1] != width:
        raise UsageError(
            f"weight must have a column for each of the {width} features, got {w.shape[1]}; "
            "use the features that enter this layer"
        )
    return w, b
