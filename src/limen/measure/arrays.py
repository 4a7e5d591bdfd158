"""Rows of numbers as tensors, and the answer in the kind that came in."""

import warnings
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from limen._core.errors import UsageError

Array = TypeVar("Array", Tensor, np.ndarray)


def tensor(name: str, values: Any, *, columns: int | None = None) -> Tensor:
    """`values` as a floating-point tensor where it is, copied only out of half precision.

    Arithmetic in half precision would lose what separates inliers from outliers, so it becomes
    float32 here, and stays so: a distance may be larger than half precision can hold.

    Args:
        name: The argument that an error speaks of.
        values: Rows of real numbers, a tensor or an array.
        columns: How wide the rows must be, where that is known.

    Returns:
        A float32 or float64 tensor of the same shape; an array's memory is shared, never written.

    Raises:
        UsageError: Empty, another width, or not finite.

    Example:
        >>> tensor("features", np.ones((2, 3), dtype=np.float16)).dtype
        torch.float32
    """
    found = values if isinstance(values, Tensor) else _shared(np.asarray(values))
    if not found.is_floating_point() or found.dtype.itemsize < 4:
        found = found.float()
    if not found.numel():
        raise UsageError(f"{name} must hold at least one row, got shape {tuple(found.shape)}")
    if columns is not None:
        of_width(name, found, columns)
    if not torch.isfinite(found.detach().sum()):  # one pass; a sum that overflows is looked into
        _refuse_infinite(name, found)
    return found


def of_width(name: str, rows: Tensor, columns: int) -> Tensor:
    """`rows` themselves, which must be so wide; what `tensor` has looked at is not read again.

    Raises:
        UsageError: Another width.

    Example:
        >>> of_width("features", torch.ones(2, 3), 3).shape[0]
        2
    """
    if rows.shape[-1] != columns:
        raise UsageError(
            f"{name} must have {columns} columns as in fit, got {rows.shape[-1]}; "
            "use outputs of the same model"
        )
    return rows


def like(scores: Tensor, values: Array) -> Array:
    """`scores` in the kind (tensor or array) of `values`: float64 for float64, else float32.

    Example:
        >>> like(torch.ones(2), np.ones((2, 3)))
        array([1., 1.])
    """
    if isinstance(values, Tensor):
        return scores.to(torch.float64 if values.dtype == torch.float64 else torch.float32)
    wanted = np.float64 if values.dtype == np.float64 else np.float32
    return scores.detach().cpu().numpy().astype(wanted)


def class_labels(labels: Any, *, rows: int, classes: int | None = None) -> Tensor:
    """`labels` as int64, checked: one for each row, of classes 0..C-1, at least two of them.

    Args:
        labels: Integers.
        rows: How many there must be.
        classes: C where it is known, and then a class may be absent; else every class up to the
            largest label must have a row.

    Returns:
        The labels.

    Raises:
        UsageError: Not so.

    Example:
        >>> class_labels([0, 1, 1], rows=3)
        tensor([0, 1, 1])
    """
    found = labels if isinstance(labels, Tensor) else _shared(np.asarray(labels))
    if found.is_floating_point() or found.dtype == torch.bool or found.shape != (rows,):
        raise UsageError(
            f"labels must be {rows} integers, one for each row, got {tuple(found.shape)} "
            f"of {found.dtype}"
        )
    present = found.long().unique()
    lowest, highest = int(present[0]), int(present[-1])
    if len(present) < 2:
        raise UsageError(f"labels must name at least two classes, got only class {lowest}")
    if lowest < 0 or (classes is not None and highest >= classes):
        most = "C" if classes is None else classes
        raise UsageError(f"labels must be 0..{most}-1, got {lowest} to {highest}; renumber them")
    if classes is None and highest >= len(present):
        raise UsageError(
            "labels must be 0..C-1 with at least one row for each class, got only "
            f"{len(present)} classes of 0..{highest}; renumber them"
        )
    return found.long()


def _shared(values: np.ndarray) -> Tensor:
    with warnings.catch_warnings():  # a memory map that cannot be written: nothing here writes
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values)


def _refuse_infinite(name: str, found: Tensor) -> None:
    bad = ~torch.isfinite(found).reshape(found.shape[0], -1).all(1)
    if bad.any():
        raise UsageError(
            f"{name} must be finite, got NaN or infinity in {int(bad.sum())} of {len(bad)} rows, "
            f"row {int(bad.nonzero()[0])} first; drop or mend them"
        )
