"""Arrays on disk that are sliced as (y, x, band), whatever their own order of axes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from limen._core.errors import UsageError

_Part = int | slice | np.ndarray


def parts(key: Any, shape: tuple[int, ...]) -> list[_Part]:
    """One whole number, slice or row of positions for each axis, as NumPy would read the key.

    Args:
        key: What stands between the brackets.
        shape: Of the array.

    Raises:
        UsageError: Another kind of key, such as a mask of pixels, or two lists.
        IndexError: A place beyond the array.

    Example:
        >>> parts((..., -1), (4, 5, 6))
        [slice(None, None, None), slice(None, None, None), 5]
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [at for at, part in enumerate(keys) if part is Ellipsis]
    if len(dots) == 1:
        keys[dots[0] : dots[0] + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
    if len(keys) > len(shape) or len(dots) > 1:
        raise IndexError(f"{key!r} has more parts than there are axes, {len(shape)}")
    keys += [slice(None)] * (len(shape) - len(keys))
    found = [_part(part, size) for part, size in zip(keys, shape, strict=True)]
    if sum(isinstance(part, np.ndarray) for part in found) > 1:
        raise UsageError("a cube on the disk takes one list between brackets; slice it twice")
    return found


def _part(part: Any, size: int) -> _Part:
    if isinstance(part, slice):
        return part
    places = np.asarray(part)
    if places.dtype == np.bool_ and places.shape == (size,):
        places = np.flatnonzero(places)
    if places.ndim > 1 or (places.size and places.dtype.kind not in "iu"):
        raise UsageError(
            "a cube on the disk is sliced by whole numbers, slices and a list of them; for other "
            "keys read it by np.asarray(cube) first"
        )
    places = places.astype(np.intp)
    if ((places < -size) | (places >= size)).any():
        raise IndexError(f"index {part} is out of bounds for {size}")
    places = places % max(size, 1)
    return places if places.ndim else int(places)


class Stored:
    """An array with its axes in another order; slices are read, never the whole.

    Args:
        source: Has three axes and is read by slices that go upward and by sorted lists.
        axes: Where y, x and band are among them.
        name: Of its file, for messages.

    Example:
        >>> planes = np.arange(12).reshape(3, 2, 2)  # band, y, x
        >>> Stored(planes, (1, 2, 0))[0:1, 0].tolist()
        [[0, 4, 8]]
    """

    ndim = 3

    def __init__(self, source: Any, axes: tuple[int, int, int], *, name: str = "the file"):
        self._source, self._axes, self._name = source, axes, name
        self.shape = tuple(source.shape[axis] for axis in axes)
        self.dtype = source.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        inner: list[Any] = [slice(None)] * 3
        after: list[Any] = []
        for axis, part, size in zip(self._axes, parts(key, self.shape), self.shape, strict=True):
            inner[axis], then = _upward(part, size)
            after.append(then)
        try:
            read = np.asarray(self._source[tuple(inner)])
        except Exception as wrong:  # noqa: BLE001  a broken file ends in any of them
            raise UsageError(
                f"{self._name} must be whole to be read; it is cut off or damaged: {wrong}"
            ) from None
        return np.asarray(read.transpose(self._axes)[tuple(after)])


def _upward(part: _Part, size: int) -> tuple[Any, Any]:
    """What is read, upward and without an axis lost, and what is then taken of it."""
    if isinstance(part, int):
        return slice(part, part + 1), 0
    if isinstance(part, np.ndarray):
        unique, back = np.unique(part, return_inverse=True)
        return (unique if len(unique) else slice(0, 0)), back
    places = range(size)[part]
    if places.step > 0 or not len(places):
        return slice(places.start, places.stop, abs(places.step)), slice(None)
    return slice(places[-1], places[0] + 1, -places.step), slice(None, None, -1)


class Pages:
    """Planes (band, y, x) that are read one by one.

    Args:
        read: Gives plane b.
        shape: Bands, height, width.
        dtype: Of the values.

    Example:
        >>> Pages(lambda b: np.full((1, 2), b), (3, 1, 2), np.dtype(int))[1:, :, 0].tolist()
        [[[1]], [[2]]]
    """

    ndim = 3

    def __init__(self, read: Callable[[int], np.ndarray], shape: tuple[int, int, int], dtype: Any):
        self._read, self.shape, self.dtype = read, shape, dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = list(key) if isinstance(key, tuple) else [key]
        keys += [slice(None)] * (3 - len(keys))
        keys = [slice(k, k + 1 or None) if isinstance(k, int) else k for k in keys]
        planes = [self._plane(int(b))[keys[1], keys[2]] for b in np.arange(self.shape[0])[keys[0]]]
        empty = np.empty(self.shape, dtype=self.dtype)[:0, keys[1], keys[2]]
        return np.stack(planes) if planes else empty

    def _plane(self, band: int) -> np.ndarray:
        plane = self._read(band)
        if plane.shape != self.shape[1:]:
            raise ValueError(f"plane {band} is {plane.shape}, not {self.shape[1:]}")
        return plane


class Picked:
    """Some bands of an array (y, x, band), in another order.

    Args:
        source: The array.
        bands: Which of its bands, in order.

    Example:
        >>> Picked(np.array([[[5, 6, 7]]]), np.array([2, 0]))[:].tolist()
        [[[7, 5]]]
    """

    ndim = 3

    def __init__(self, source: Any, bands: np.ndarray):
        self._source, self._bands = source, bands
        self.shape = (*source.shape[:2], len(bands))
        self.dtype = source.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, after = _rows(self._source, key, self.shape)
        return np.asarray(rows[..., self._bands][after])


class Meant:
    """What stored numbers stand for: gain times number plus offset by band, NaN where no data.

    Args:
        source: The array (y, x, band).
        gain: One for each band.
        offset: One for each band.
        missing: The stored number that stands for no data; None where there is none.

    Example:
        >>> meant = Meant(np.array([[[3, -1]]]), np.array([2.0, 1.0]), np.zeros(2), missing=-1)
        >>> meant[0, 0].tolist()
        [6.0, nan]
    """

    ndim = 3

    def __init__(
        self, source: Any, gain: np.ndarray, offset: np.ndarray, *, missing: float | None = None
    ):
        self._source, self._gain, self._offset = source, gain, offset
        self._missing = missing
        self.shape = source.shape
        self.dtype = np.dtype(np.float64 if source.dtype == np.float64 else np.float32)

    def __getitem__(self, key: Any) -> np.ndarray:
        read, after = _rows(self._source, key, self.shape)
        found = (read * self._gain + self._offset).astype(self.dtype)
        if self._missing is None:
            return np.asarray(found[after])
        none = read == np.asarray(self._missing).astype(read.dtype)
        return np.asarray(np.where(none, self.dtype.type(np.nan), found)[after])


def _rows(source: Any, key: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, Any]:
    """All bands of the pixels that a key names, and what is then taken of them."""
    y, x, band = parts(key, shape)
    (down, then_y), (across, then_x) = _upward(y, shape[0]), _upward(x, shape[1])
    return np.asarray(source[down, across]), (then_y, then_x, band)
