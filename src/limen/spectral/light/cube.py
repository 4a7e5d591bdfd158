"""A hyperspectral cube that need not fit into memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.spectral.light.resample import resample
from limen.spectral.wavelengths import Wavelengths

_BLOCK = 64 << 20  # bytes that a pass over a cube holds at once


class Cube:
    """Radiance or reflectance (y, x, band) with its wavelengths; rows are read when asked for.

    Args:
        values: (y, x, band): an array, a memory map, or anything with a shape that is sliced as
            one and reads what is asked for.
        wavelengths: The bands.
        name: What messages and pages call it.
        scale: What values are multiplied by when they are read, for instance 1e-4 for reflectance
            stored as whole numbers.

    Raises:
        UsageError: No wavelengths, another number of bands, other axes, values that are no real
            numbers, or a scale not above 0.

    Example:
        >>> cube = Cube(np.full((2, 2, 2), 5000, dtype=np.int16), Wavelengths([500.0, 600.0]),
        ...             scale=1e-4)
        >>> cube.shape, cube.rows(0, 1).tolist()
        ((2, 2, 2), [[[0.5, 0.5], [0.5, 0.5]]])
    """

    ndim = 3

    def __init__(self, values: Any, wavelengths: Any, *, name: str = "", scale: float = 1.0):
        if wavelengths is None:
            raise UsageError("a cube must come with wavelengths; bands are never guessed")
        self.wavelengths = (
            wavelengths if hasattr(wavelengths, "weights") else Wavelengths(wavelengths)
        )
        shape = tuple(getattr(values, "shape", np.shape(values)))
        if len(shape) != 3 or 0 in shape:
            raise UsageError(f"a cube must be (y, x, band), not empty; got {shape}")
        if shape[2] != len(self.wavelengths):
            raise UsageError(
                f"the cube has {shape[2]} bands and {len(self.wavelengths)} wavelengths were "
                "given; give those of its bands"
            )
        if not isinstance(scale, int | float | np.number) or not 0 < scale < float("inf"):
            raise UsageError(f"scale={scale!r} must be a number above 0")
        self._stored = values if hasattr(values, "shape") else np.asarray(values)
        if getattr(getattr(self._stored, "dtype", None), "kind", "f") not in "iufb":
            raise UsageError(f"a cube must hold real numbers, got {self._stored.dtype}")
        self.shape = shape
        self.name, self.scale = name, scale

    @property
    def values(self) -> "Cube":
        """The values, which are sliced as an array is and read then."""
        return self

    def __getitem__(self, key: Any) -> Any:
        found = np.asarray(self._stored[key])
        if self.scale == 1.0 and found.dtype.kind == "f":
            return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))
        return found.astype(np.float32) * np.float32(self.scale)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def rows(self, start: int, stop: int) -> Float[np.ndarray, "rows x band"]:
        """Some rows, read from the file.

        Args:
            start: First row.
            stop: The row after the last.

        Returns:
            (rows, x, band).
        """
        return np.asarray(self[start:stop])

    def blocks(self) -> Iterator[Float[np.ndarray, "rows x band"]]:
        """All rows in order, in blocks of 64 MB at most; one row where that is more."""
        step = max(1, _BLOCK // (4 * self.shape[1] * self.shape[2]))
        return (self.rows(at, at + step) for at in range(0, self.shape[0], step))

    def check(self) -> "Cube":
        """Look at every value once.

        Returns:
            The cube.

        Raises:
            UsageError: A value that is negative or not finite.
        """
        row = 0
        for block in self.blocks():
            bad = ~(block >= 0) | ~np.isfinite(block)  # NaN is not >= 0
            if bad.any():
                y, x, band = np.argwhere(bad)[0]
                raise UsageError(
                    f"{self.name or 'the cube'} must hold light of 0 or more; {int(bad.sum())} "
                    f"values are not, first {block[y, x, band]:g} at row {row + y}, column {x}, "
                    f"band {band}: mask or clip them"
                )
            row += len(block)
        return self

    def resampled(self, wavelengths: Any, *, fwhm: Any = None) -> "Cube":
        """The cube on other bands, in memory; see `resample`.

        Args:
            wavelengths: The bands asked for.
            fwhm: Widths of their responses in nm, one or one a band; None interpolates.

        Returns:
            A cube of the same size.
        """
        target = wavelengths if hasattr(wavelengths, "weights") else Wavelengths(wavelengths)
        parts = [resample(block, self.wavelengths, target, fwhm=fwhm) for block in self.blocks()]
        return Cube(np.concatenate(parts), target, name=self.name)

    def __repr__(self) -> str:
        height, width, _ = self.shape
        return f"Cube({self.name or 'unnamed'}: {height} x {width}, {self.wavelengths!r})"
