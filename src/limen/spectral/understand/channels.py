"""What every reader of a scene is given: encoded channels, last axis, without decoding."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.spectral.camera.counts import Counts


def channels_of(frame: Any, *, count: int | None = None) -> Float[np.ndarray, "..."]:
    """Channels of a capture, or an array that holds them.

    Args:
        frame: `Counts`, or (..., channel).
        count: How many channels there must be; None takes any.

    Returns:
        Real numbers, (..., channel).

    Raises:
        UsageError: Another number of channels, or values that are not finite.

    Example:
        >>> channels_of(np.array([[1, 2]], dtype=np.uint16)).tolist()
        [[1.0, 2.0]]
    """
    found = frame.channels() if isinstance(frame, Counts) else frame
    if isinstance(found, Tensor):
        found = found.detach().cpu().numpy()
    found = np.asarray(found)
    if found.dtype.kind != "f":
        found = found.astype(np.float32)
    if not found.ndim or (count is not None and found.shape[-1] != count):
        raise UsageError(f"channels must be (..., {count or 'channel'}), got {found.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        whole = bool(np.isfinite(found.sum()))  # one pass; only a bad or huge sum needs another
    if not whole and not np.isfinite(found).all():
        raise UsageError("channels must be finite; mask bad pixels before they are read")
    return found


def labelled(
    frames: Any, masks: Any, *, ignore: int = -1
) -> tuple[Float[np.ndarray, "pixels channels"], np.ndarray]:
    """Pixels that have a class, from frames of channels and masks on the same grid.

    Args:
        frames: `Counts` or (..., channel), or a list of either.
        masks: Classes (...), or a list of them; whole numbers.
        ignore: Pixels to leave out.

    Returns:
        Channels and classes, one row a pixel.

    Raises:
        UsageError: Another grid, classes below 0, or no pixel left.

    Example:
        >>> x, y = labelled(np.zeros((2, 2, 3)), np.array([[0, 1], [-1, 1]]))
        >>> x.shape, y.tolist()
        ((3, 3), [0, 1, 1])
    """
    several = isinstance(frames, list | tuple)
    rows, names = [], []
    pairs = zip(frames, masks, strict=True) if several else [(frames, masks)]
    for frame, mask in pairs:
        x, y = channels_of(frame), np.asarray(mask)
        if x.shape[:-1] != y.shape or y.dtype.kind not in "iu":
            raise UsageError(
                f"a mask must give a whole number for each of {x.shape[:-1]} pixels, got {y.dtype} "
                f"{y.shape}; gather it to the camera's super-pixels (`pure_cells`)"
            )
        kept = y != ignore
        rows.append(x[kept])
        names.append(y[kept].astype(np.int64))
    x, y = np.concatenate(rows), np.concatenate(names)
    if not len(y) or y.min() < 0:
        raise UsageError(f"masks must name classes from 0 up, other pixels {ignore}; none is left")
    return x, y


def pure_cells(mask: Any, side: int, *, mixed: int = -1) -> np.ndarray:
    """A mask on the grid of super-pixels; cells of more than one class get `mixed`.

    Args:
        mask: Classes (..., y, x), sides multiples of `side`.
        side: Of the mosaic's block.
        mixed: What cells at borders get.

    Returns:
        (..., y / side, x / side).

    Raises:
        UsageError: Sides that are no multiples.

    Example:
        >>> pure_cells(np.array([[1, 1, 2, 2], [1, 1, 2, 3]]), 2).tolist()
        [[1, -1]]
    """
    found = np.asarray(mask)
    height, width = found.shape[-2:]
    if height % side or width % side:
        raise UsageError(
            f"mask {found.shape[-2:]} must have sides that are multiples of {side}; crop it to "
            f"{height - height % side} x {width - width % side}"
        )
    lead = found.shape[:-2]
    cells = found.reshape(*lead, height // side, side, width // side, side)
    cells = np.moveaxis(cells, -3, -2).reshape(*lead, height // side, width // side, side * side)
    same = (cells == cells[..., :1]).all(axis=-1)
    return np.where(same, cells[..., 0].astype(np.int64), mixed)


def as_tensor(rows: np.ndarray) -> Tensor:
    """Float64 rows for linear algebra.

    Example:
        >>> as_tensor(np.zeros((1, 2), dtype=np.float32)).dtype
        torch.float64
    """
    return torch.from_numpy(np.asarray(rows, dtype=np.float64))
