"""What every reader of a scene is given: encoded channels, last axis, without decoding."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.moments import Moments
from limen.spectral.camera.counts import Counts

_BLOCK = 1 << 15  # pixels worked on at once: their float64 copies stay in the cache


def channels_of(frame: Any, *, count: int | None = None) -> Float[np.ndarray, "..."]:
    """Channels of a capture, or an array that holds them.

    Args:
        frame: `Counts`, or (..., channel).
        count: How many channels there must be; None takes any.

    Returns:
        Real numbers, (..., channel).

    Raises:
        UsageError: No numbers, another number of channels, or values that are not finite.

    Example:
        >>> channels_of(np.array([[1, 2]], dtype=np.uint16)).tolist()
        [[1.0, 2.0]]
    """
    found = frame.channels() if isinstance(frame, Counts) else frame
    if isinstance(found, Tensor):
        found = found.detach().cpu().numpy()
    try:
        found = np.asarray(found)
        if found.dtype.kind != "f":
            found = found.astype(np.float32)
    except (TypeError, ValueError) as none:
        raise UsageError(f"channels must be numbers, (..., channel): {none}") from none
    if not found.ndim or (count is not None and found.shape[-1] != count):
        raise UsageError(f"channels must be (..., {count or 'channel'}), got {found.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        whole = bool(np.isfinite(found.sum()))  # one pass; only a bad or huge sum needs another
    if not whole and not np.isfinite(found).all():
        raise UsageError("channels must be finite; mask bad pixels before they are read")
    return found


def rows_of(frames: Any, *, count: int) -> Float[np.ndarray, "pixels channels"]:
    """All pixels of a frame, or of several.

    Args:
        frames: `Counts` or (..., channel), or a list of either.
        count: How many channels there must be.

    Returns:
        One row a pixel.

    Raises:
        UsageError: An empty list.

    Example:
        >>> rows_of([np.zeros((2, 2, 3)), np.ones((1, 3))], count=3).shape
        (5, 3)
    """
    if not isinstance(frames, list | tuple):
        return channels_of(frames, count=count).reshape(-1, count)
    if not frames:
        raise UsageError("frames must hold at least one, got an empty list")
    return np.concatenate([channels_of(one, count=count).reshape(-1, count) for one in frames])


def moments_of(rows: Float[np.ndarray, "pixels channels"]) -> Moments:
    """Mean and scatter of pixels, some at a time, so that their float64 copies stay in the cache.

    Args:
        rows: One a pixel, at least one.

    Returns:
        The moments of one class.

    Example:
        >>> moments_of(np.array([[1.0], [3.0]])).covariance.item()
        1.0
    """
    found = Moments.of(rows[:_BLOCK])
    for start in range(_BLOCK, len(rows), _BLOCK):
        found = found.merge(Moments.of(rows[start : start + _BLOCK]))
    return found


def in_blocks(
    values: Float[np.ndarray, "..."],
    of: Callable[[np.ndarray], np.ndarray],
    *,
    dtype: Any = np.float64,
) -> np.ndarray:
    """A function of rows at every pixel, some pixels at a time, so that memory stays bounded.

    Args:
        values: (..., channel).
        of: From (pixels, channel) to (pixels, ...).
        dtype: Of the result.

    Returns:
        What it gives, with the leading axes of `values`.

    Example:
        >>> in_blocks(np.ones((2, 3, 4)), lambda rows: rows.sum(axis=1)).tolist()
        [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]
    """
    rows = values.reshape(-1, values.shape[-1])
    shape = of(rows[:0]).shape[1:]
    out = np.empty((len(rows), *shape), dtype=dtype)
    for start in range(0, len(rows), _BLOCK):
        out[start : start + _BLOCK] = of(rows[start : start + _BLOCK])
    return out.reshape((*values.shape[:-1], *shape))


def paired(frames: Any, masks: Any) -> list[tuple[Float[np.ndarray, "..."], np.ndarray]]:
    """Frames of channels with their masks, which lie on the same grid.

    Args:
        frames: `Counts` or (..., channel), or a list of either.
        masks: Classes (...), or a list of them; whole numbers from 0, or -1.

    Returns:
        Channels and classes of each frame.

    Raises:
        UsageError: Another number of masks, another grid, other channels from frame to frame, or
            classes below -1.

    Example:
        >>> [(x.shape, y.shape) for x, y in paired(np.zeros((2, 2, 3)), np.zeros((2, 2), int))]
        [((2, 2, 3), (2, 2))]
    """
    several = isinstance(frames, list | tuple)
    listed = list(frames) if several else [frames]
    named = list(masks) if several else [masks]
    if len(listed) != len(named) or not listed:
        raise UsageError(
            f"masks must be as many as frames, and some; got {len(named)} for {len(listed)}"
        )
    found = []
    for frame, mask in zip(listed, named, strict=True):
        x, y = channels_of(frame), np.asarray(mask)
        if x.shape[:-1] != y.shape or y.dtype.kind not in "iu":
            raise UsageError(
                f"a mask must give a whole number for each of {x.shape[:-1]} pixels, got {y.dtype} "
                f"{y.shape}; gather it to the camera's super-pixels (`pure_cells`)"
            )
        if y.size and int(y.min()) < -1:
            raise UsageError(f"masks must name classes from 0, or -1; the least is {y.min()}")
        found.append((x, y))
    counts = {x.shape[-1] for x, _ in found}
    if len(counts) > 1:
        raise UsageError(f"frames must have the same channels, got {sorted(counts)}")
    return found


def labelled(
    frames: Any, masks: Any
) -> tuple[Float[np.ndarray, "pixels channels"], Int64[np.ndarray, " pixels"]]:
    """Pixels that have a class, from frames of channels and masks on the same grid.

    Args:
        frames: `Counts` or (..., channel), or a list of either.
        masks: Classes (...), or a list of them; whole numbers, -1 for pixels to leave out.

    Returns:
        Channels and classes, one row a pixel.

    Raises:
        UsageError: Another grid, or no pixel left.

    Example:
        >>> x, y = labelled(np.zeros((2, 2, 3)), np.array([[0, 1], [-1, 1]]))
        >>> x.shape, y.tolist()
        ((3, 3), [0, 1, 1])
    """
    pairs = paired(frames, masks)
    x = np.concatenate([frame[mask >= 0] for frame, mask in pairs])
    y = np.concatenate([mask[mask >= 0].astype(np.int64) for _, mask in pairs])
    if not len(y):
        raise UsageError("masks must name a class of some pixel, and all are -1; none is left")
    return x, y


def pure_cells(mask: Any, side: int, *, mixed: int = -1) -> np.ndarray:
    """A mask on the grid of super-pixels; cells of more than one class get `mixed`.

    Args:
        mask: Classes (..., y, x), sides multiples of `side`.
        side: Of the mosaic's block, at least 1.
        mixed: What cells at borders get.

    Returns:
        (..., y / side, x / side).

    Raises:
        UsageError: No mask of whole numbers, no block, or sides that are no multiples.

    Example:
        >>> pure_cells(np.array([[1, 1, 2, 2], [1, 1, 2, 3]]), 2).tolist()
        [[1, -1]]
    """
    found = np.asarray(mask)
    if found.ndim < 2 or found.dtype.kind not in "iub" or side < 1:
        raise UsageError(
            f"mask must be whole numbers (..., y, x) and side 1 or more, got {found.dtype} "
            f"{found.shape} and {side}"
        )
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
