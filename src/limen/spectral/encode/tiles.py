"""The layout the integer path reads in one sweep: eight pixels, bands in pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int16, UInt16

from limen._core.errors import UsageError
from limen.spectral.encode.kernel import LANES

TOP = 32_767


@dataclass(frozen=True, eq=False)
class Tiles:
    """An integer cube cut into tiles of eight pixels, each one contiguous run of memory.

    Attributes:
        values: (tiles, band pairs, 8 pixels, 2 bands); padding is 0.
        shape: Axes of the cube that was cut.
        peak: Its largest value.

    Example:
        >>> tiles = Tiles.cut(np.arange(12, dtype=np.uint16).reshape(2, 2, 3))
        >>> tiles.values.shape, tiles.peak
        ((1, 2, 8, 2), 11)
        >>> bool((tiles.join() == np.arange(12).reshape(2, 2, 3)).all())
        True
    """

    values: Int16[np.ndarray, "tiles pairs 8 2"]
    shape: tuple[int, ...]
    peak: int

    @classmethod
    def cut(cls, cube: UInt16[np.ndarray, "*lead bands"]) -> "Tiles":
        """Bring a pixel-interleaved cube into tiles; done once, timed apart from encoding.

        Args:
            cube: uint16 values of at most 15 bit, bands last.

        Returns:
            The tiles.

        Raises:
            UsageError: Another type, or values above 32767.
        """
        cube = np.asarray(cube)
        if cube.dtype != np.uint16:
            raise UsageError(
                f"cube must be uint16, got {cube.dtype}; scale and round it, or encode floats"
            )
        peak = int(cube.max(initial=0))
        if peak > TOP:
            raise UsageError(
                f"cube must hold at most 15 bit, up to {TOP}, got {peak}; shift it or encode floats"
            )
        bands = cube.shape[-1]
        flat = cube.reshape(-1, bands)
        count, pairs = -(-len(flat) // LANES), -(-bands // 2)
        values = np.empty((count, pairs, LANES, 2), dtype=np.int16)
        block = 4096
        for start in range(0, count, block):
            stop = min(count, start + block)
            part = np.zeros(((stop - start) * LANES, 2 * pairs), dtype=np.int16)
            rows = flat[start * LANES : stop * LANES]
            part[: len(rows), :bands] = rows
            values[start:stop] = part.reshape(-1, LANES, pairs, 2).transpose(0, 2, 1, 3)
        return cls(values, cube.shape, peak)

    def join(self) -> UInt16[np.ndarray, "*lead bands"]:
        """The inverse of `cut`.

        Returns:
            The cube.
        """
        flat = self.values.transpose(0, 2, 1, 3).reshape(-1, 2 * self.values.shape[1])
        count = int(np.prod(self.shape[:-1]))
        return flat[:count, : self.shape[-1]].astype(np.uint16).reshape(self.shape)

    def pixels(
        self, encoded: Int[np.ndarray, "tiles channels 8"]
    ) -> Int[np.ndarray, "*lead channels"]:
        """What `encode_integers` wrote, with the cube's axes and channels last.

        Args:
            encoded: Sums by tile.

        Returns:
            Sums by pixel.
        """
        flat = encoded.transpose(0, 2, 1).reshape(-1, encoded.shape[1])
        return flat[: int(np.prod(self.shape[:-1]))].reshape(*self.shape[:-1], -1)
