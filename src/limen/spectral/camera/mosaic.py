"""Which channel each pixel sees: sampling a mosaic, its exact adjoint, and filling it in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError

Array = TypeVar("Array", np.ndarray, Tensor)


@dataclass(frozen=True)
class Mosaic:
    """A block of m x n sub-cells, repeated over the sensor; sub-cell i sees channel pattern[i].

    Args:
        rows: Rows of a block, at least 1.
        columns: Columns of a block, at least 1.
        pattern: The channel under each sub-cell, row after row; 0, 1, 2, ... when left out.

    Raises:
        UsageError: No sub-cell, or a pattern of another length or with a channel missing.

    Example:
        >>> mosaic = Mosaic(1, 2)
        >>> full = np.arange(8.0).reshape(2, 2, 2)
        >>> mosaic.sample(full).tolist()
        [[0.0, 3.0], [4.0, 7.0]]
        >>> mosaic.gather(mosaic.sample(full)).shape
        (2, 1, 2)
    """

    rows: int
    columns: int
    pattern: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise UsageError(
                f"a mosaic must have sub-cells, got {self.rows} x {self.columns}; give both sides"
            )
        cells = self.rows * self.columns
        pattern = tuple(int(c) for c in self.pattern) or tuple(range(cells))
        if len(pattern) != cells or sorted(set(pattern)) != list(range(max(pattern) + 1)):
            raise UsageError(
                f"pattern must name each of its channels from 0 in {cells} sub-cells, got "
                f"{list(pattern)}; mend it"
            )
        object.__setattr__(self, "pattern", pattern)

    @property
    def cells(self) -> int:
        """Sub-cells of a block."""
        return self.rows * self.columns

    @property
    def count(self) -> int:
        """Channels that the pattern names."""
        return max(self.pattern) + 1

    def check(self, height: int, width: int) -> None:
        """Refuse a frame that blocks do not tile, and name the crop that they do.

        Args:
            height: Rows of the frame.
            width: Columns of the frame.

        Raises:
            UsageError: The block does not divide the frame.
        """
        if height % self.rows or width % self.columns:
            crop = (height // self.rows * self.rows, width // self.columns * self.columns)
            raise UsageError(
                f"the mosaic of {self.rows} x {self.columns} must divide the frame, got {height} x "
                f"{width}; crop it to {crop[0]} x {crop[1]}"
            )

    def sample(self, full: Array) -> Array:
        """Each pixel's own channel: (..., y, x, channel) to (..., y, x).

        Args:
            full: All channels at all pixels.

        Returns:
            One plane.
        """
        self._fits(full.shape[-1])
        plane = _empty(full, full.shape[:-1])
        for i, j, channel in self._cells():
            plane[..., i :: self.rows, j :: self.columns] = full[
                ..., i :: self.rows, j :: self.columns, channel
            ]
        return plane

    def scatter(self, plane: Array) -> Array:
        """The exact adjoint of `sample`: (..., y, x) to (..., y, x, channel), zero elsewhere.

        Args:
            plane: One value for each pixel.

        Returns:
            The values under their channels.
        """
        full = _empty(plane, (*plane.shape, self.count))
        full[...] = 0
        for i, j, channel in self._cells():
            full[..., i :: self.rows, j :: self.columns, channel] = plane[
                ..., i :: self.rows, j :: self.columns
            ]
        return full

    def averaged(self, frames: Array) -> Array:
        """Means over blocks: (..., y, x, band) to (..., y / m, x / n, band).

        Args:
            frames: Values with bands or channels last; blocks must tile them.

        Returns:
            What a decoder of super-pixels can hope for.
        """
        *lead, height, width, last = frames.shape
        self.check(height, width)
        m, n = self.rows, self.columns
        return frames.reshape(*lead, height // m, m, width // n, n, last).mean((-4, -2))

    def gather(self, plane: Array) -> Array:
        """Sub-cells side by side: (..., y, x) to (..., y / m, x / n, sub-cell).

        Args:
            plane: One value for each pixel; blocks must tile it.

        Returns:
            One vector for each super-pixel, in the order of the pattern.
        """
        self.check(plane.shape[-2], plane.shape[-1])
        parts = [plane[..., i :: self.rows, j :: self.columns] for i, j, _ in self._cells()]
        if isinstance(plane, Tensor):
            return torch.stack(parts, dim=-1)
        return np.stack(parts, axis=-1)

    def spread(self, blocks: Array) -> Array:
        """The inverse of `gather`, and its adjoint: (..., Y, X, sub-cell) to (..., Y m, X n).

        Args:
            blocks: One vector for each super-pixel.

        Returns:
            One plane.
        """
        *lead, height, width, _ = blocks.shape
        plane = _empty(blocks, (*lead, height * self.rows, width * self.columns))
        for place, (i, j, _) in enumerate(self._cells()):
            plane[..., i :: self.rows, j :: self.columns] = blocks[..., place]
        return plane

    def demosaic(self, plane: Float[Tensor, "*lead y x"]) -> Float[Tensor, "*lead y x channels"]:
        """Fill in every channel everywhere, from its neighbours by distance; samples stay exact.

        Normalised convolution with a tent as wide as the block: on the frame's inside bilinear
        interpolation, at its rim the mean of what is near.

        Args:
            plane: One value for each pixel; blocks must tile it.

        Returns:
            All channels at all pixels.
        """
        self.check(plane.shape[-2], plane.shape[-1])
        full, seen = self.scatter(plane), self.scatter(torch.ones_like(plane))
        tent = _tent(self.rows, plane)[:, None] * _tent(self.columns, plane)[None, :]
        pad = (self.rows - 1, self.columns - 1)

        def blurred(of: Tensor) -> Tensor:
            planes = of.movedim(-1, -3).reshape(-1, 1, *plane.shape[-2:])
            out = torch.nn.functional.conv2d(planes, tent[None, None], padding=pad)
            return out.reshape(*plane.shape[:-2], self.count, *plane.shape[-2:]).movedim(-3, -1)

        return torch.where(seen > 0, full, blurred(full) / blurred(seen))

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe."""
        return {"rows": self.rows, "columns": self.columns, "pattern": list(self.pattern)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Mosaic":
        """The inverse of `to_dict`."""
        return cls(int(data["rows"]), int(data["columns"]), tuple(data["pattern"]))

    def _cells(self) -> list[tuple[int, int, int]]:
        return [(n // self.columns, n % self.columns, c) for n, c in enumerate(self.pattern)]

    def _fits(self, channels: int) -> None:
        if channels != self.count:
            raise UsageError(
                f"the mosaic names {self.count} channels and must get as many, got {channels}; "
                "give as many filters as sub-cells, or a pattern"
            )


def _empty(like: Array, shape: tuple[int, ...]) -> Array:
    if isinstance(like, Tensor):
        return like.new_empty(shape)
    return np.empty(shape, dtype=like.dtype)


def _tent(side: int, like: Tensor) -> Tensor:
    distance = torch.arange(1 - side, side, dtype=like.dtype, device=like.device).abs()
    return 1 - distance / side
