"""Where the sub-cells of a real mosaic fall on the sensor behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import atan2, cos, degrees, hypot, isfinite, radians, sin
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError


@dataclass(frozen=True)
class Alignment:
    """Cell (i, j) lies at origin + pitch R (i, j) on the sensor, in pixels of row and column.

    Sampled bilinearly: a pitch is seldom whole, and the nearest pixel is then wrong by up to half.

    Args:
        origin: Row and column of the centre of cell (0, 0).
        pitch: Sensor pixels from cell to cell, above 0.
        rotation_degrees: Turn of the cells' grid from rows towards columns.

    Raises:
        UsageError: A pitch that is not positive, or a number that is not finite.

    Example:
        >>> frame = np.arange(16.0).reshape(4, 4)
        >>> Alignment(origin=(0.5, 0.0), pitch=2.0).sample(frame, shape=(2, 2)).tolist()
        [[2.0, 4.0], [10.0, 12.0]]
    """

    origin: tuple[float, float]
    pitch: float
    rotation_degrees: float = 0.0

    def __post_init__(self) -> None:
        numbers = (*self.origin, self.pitch, self.rotation_degrees)
        if not all(isfinite(number) for number in numbers) or not self.pitch > 0:
            raise UsageError(
                f"origin, pitch and rotation_degrees must be finite and pitch above 0, got "
                f"{numbers}; mend them"
            )

    @classmethod
    def fit(
        cls, cells: Float[np.ndarray, "points 2"], places: Float[np.ndarray, "points 2"]
    ) -> "Alignment":
        """The least-squares alignment from cells whose places were found.

        Args:
            cells: Row and column of each cell in the grid.
            places: Row and column of its centre on the sensor.

        Returns:
            The alignment.

        Raises:
            UsageError: Fewer than two different cells, or another number of places.

        Example:
            >>> cells = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
            >>> found = Alignment.fit(cells, 5.0 * cells + 3.0)
            >>> [round(number, 6) for number in (*found.origin, found.pitch)]
            [3.0, 3.0, 5.0]
        """
        if cells.shape != places.shape or len(np.unique(cells, axis=0)) < 2:
            raise UsageError(
                f"cells and places must pair up and hold two different cells, got {cells.shape} "
                f"and {places.shape}; find more"
            )
        # rows and columns as complex numbers: a turn and a scale are one factor
        z, w = cells[:, 0] + 1j * cells[:, 1], places[:, 0] + 1j * places[:, 1]
        centred = z - z.mean()
        factor = (centred.conj() @ (w - w.mean())) / (centred.conj() @ centred)
        origin = w.mean() - factor * z.mean()
        return cls(
            (float(origin.real), float(origin.imag)),
            hypot(factor.real, factor.imag),
            degrees(atan2(factor.imag, factor.real)),
        )

    def places(self, shape: tuple[int, int]) -> Float[np.ndarray, "rows columns 2"]:
        """Row and column on the sensor of each cell of a grid.

        Args:
            shape: Cells down and across.

        Returns:
            The places.
        """
        i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
        turn = radians(self.rotation_degrees)
        down = self.origin[0] + self.pitch * (cos(turn) * i - sin(turn) * j)
        across = self.origin[1] + self.pitch * (sin(turn) * i + cos(turn) * j)
        return np.stack([down, across], axis=-1)

    def sample(
        self, frame: Float[np.ndarray, "*lead y x"], *, shape: tuple[int, int]
    ) -> Float[np.ndarray, "*lead rows columns"]:
        """The light under each cell, as a plane that a `Mosaic` gathers.

        Args:
            frame: Sensor frames.
            shape: Cells down and across.

        Returns:
            One value a cell.

        Raises:
            UsageError: A cell outside the frame.
        """
        places = self.places(shape)
        limit = np.array(frame.shape[-2:]) - 1
        if (places < -1e-9).any() or (places > limit + 1e-9).any():
            raise UsageError(
                f"all {shape[0]} x {shape[1]} cells must lie on the frame of {frame.shape[-2]} x "
                f"{frame.shape[-1]}, and some do not; ask for fewer or mend the alignment"
            )
        places = np.clip(places, 0, limit)
        low = np.minimum(places.astype(int), np.maximum(limit - 1, 0))
        part = places - low
        y, x = low[..., 0], low[..., 1]
        below, right = np.minimum(y + 1, limit[0]), np.minimum(x + 1, limit[1])
        v, u = part[..., 0], part[..., 1]
        top = (1 - u) * frame[..., y, x] + u * frame[..., y, right]
        bottom = (1 - u) * frame[..., below, x] + u * frame[..., below, right]
        return (1 - v) * top + v * bottom

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe."""
        return {
            "origin": list(self.origin),
            "pitch": self.pitch,
            "rotation_degrees": self.rotation_degrees,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Alignment":
        """The inverse of `to_dict`."""
        origin = tuple(data["origin"])
        return cls((origin[0], origin[1]), data["pitch"], data["rotation_degrees"])
