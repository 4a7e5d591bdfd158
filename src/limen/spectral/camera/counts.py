"""What the sensor delivers: digital numbers, and all that is needed to read them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt16

from limen.spectral.camera.exposure import Exposure
from limen.spectral.camera.mosaic import Mosaic


@dataclass(frozen=True, eq=False)
class Counts:
    """Digital numbers of one capture.

    Attributes:
        values: The numbers: full frames have a channel axis at the end, mosaic planes have none.
        mask: True where the top of the digitiser was reached.
        exposure: The rule of exposure that was used.
        gain: Electrons for each unit of encoded light.
        step: Electrons for each step of the digitiser.
        black: The level of no electrons.
        dark: Mean dark electrons, which `signal` takes off.
        mosaic: The mosaic of a plane; None for full frames.

    Example:
        >>> counts = Counts(np.array([[64, 164]], np.uint16), np.array([[False, False]]),
        ...                 Exposure(), gain=1000.0, step=2.0, black=64)
        >>> counts.signal().tolist(), counts.saturated
        ([[0.0, 0.2...]], 0.0)
    """

    values: UInt16[np.ndarray, "..."]
    mask: Bool[np.ndarray, "..."]
    exposure: Exposure
    gain: float
    step: float
    black: int
    dark: float = 0.0
    mosaic: Mosaic | None = None

    @property
    def saturated(self) -> float:
        """Share of the values at the top of the digitiser: light that was not measured."""
        return float(self.mask.mean())

    def signal(self) -> Float[np.ndarray, "..."]:
        """Encoded light A l in its own unit: ((DN - black) K - dark) / g, float32.

        Returns:
            The estimate, of the shape of `values`; noise may leave it below zero.
        """
        electrons = (self.values.astype(np.float32) - self.black) * self.step - self.dark
        return np.asarray(electrons / self.gain, dtype=np.float32)

    def channels(self) -> Float[np.ndarray, "..."]:
        """The signal with a channel axis: planes are gathered into super-pixels.

        Returns:
            (..., y, x, channel); a mosaic's y and x are shorter by the sides of its block. Where a
            pattern repeats a channel, its sub-cells are averaged.
        """
        signal = self.signal()
        if self.mosaic is None:
            return signal
        cells = self.mosaic.gather(signal)
        pattern = np.array(self.mosaic.pattern)
        planes = [cells[..., pattern == c].mean(axis=-1) for c in range(self.mosaic.count)]
        return np.stack(planes, axis=-1)
