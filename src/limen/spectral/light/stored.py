"""Arrays on disk that are sliced as (y, x, band), whatever their own order of axes."""

from collections.abc import Callable
from typing import Any

import numpy as np


class Stored:
    """An array with its axes in another order; slices are read, never the whole.

    Args:
        source: Has three axes and is sliced as an array.
        axes: Where y, x and band are among them.

    Example:
        >>> planes = np.arange(12).reshape(3, 2, 2)  # band, y, x
        >>> Stored(planes, (1, 2, 0))[0:1, 0].tolist()
        [[0, 4, 8]]
    """

    ndim = 3

    def __init__(self, source: Any, axes: tuple[int, int, int]):
        self._source, self._axes = source, axes
        self.shape = tuple(source.shape[axis] for axis in axes)
        self.dtype = source.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = list(key) if isinstance(key, tuple) else [key]
        keys += [slice(None)] * (3 - len(keys))
        inner: list[Any] = [slice(None)] * 3
        for axis, part in zip(self._axes, keys, strict=True):
            inner[axis] = slice(part, part + 1 or None) if isinstance(part, int) else part
        read = np.asarray(self._source[tuple(inner)]).transpose(self._axes)
        flat = tuple(0 if isinstance(part, int) else slice(None) for part in keys)
        return np.asarray(read[flat])


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
        bands = range(self.shape[0])[keys[0]]
        return np.stack([self._read(band)[keys[1], keys[2]] for band in bands])


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
        keys = key if isinstance(key, tuple) else (key,)
        read = np.asarray(self._source[keys[:2]])[..., self._bands]
        return np.asarray(read[..., keys[2]] if len(keys) > 2 else read)
