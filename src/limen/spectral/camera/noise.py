"""What a pixel adds to the light: shot, read and pattern noise, and the digitiser."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt16
from torch import Tensor

from limen._core.errors import UsageError
from limen.spectral.camera.counter import Places, normal, poisson, uniform

_MOST = 1e15  # electrons, far above any well, and whole numbers in float64


@dataclass(frozen=True)
class Noise:
    """A sensor's noise in electrons; `Noise.off()` is the ideal one.

    Electrons are Poisson around s (1 + PRNU), plus a normal read noise and a frozen offset, cut at
    the full well; variance = s + read^2 + K^2/12 with K electrons for each step of the digitiser.

    Args:
        full_well: Electrons that a pixel holds, above 0.
        read: Standard deviation of the read noise in electrons, at least 0.
        prnu: Relative spread of the pixels' gains, frozen for a sensor, at least 0.
        dsnu: Spread of the pixels' offsets in electrons, frozen for a sensor, at least 0.
        dark: Dark electrons collected in one exposure, at least 0.
        black: Level added before digitising, in steps, so that noise around zero is kept.
        shot: False for light without photons.
        sensor: Number of the sensor: which frozen pattern.

    Raises:
        UsageError: A negative or infinite number, or no well.

    Reference:
        EMVA, "Standard 1288: Standard for Characterization of Image Sensors and Cameras", Release
        4.0, 2021: the linear camera model. The frozen patterns are drawn as normals.

    Example:
        >>> Noise(read=2.0).variance(100.0, bits=12)
        104.51...
    """

    full_well: float = 10_000.0
    read: float = 2.0
    prnu: float = 0.01
    dsnu: float = 1.0
    dark: float = 0.0
    black: int = 64
    shot: bool = True
    sensor: int = 0

    def __post_init__(self) -> None:
        for name in ("full_well", "read", "prnu", "dsnu", "dark", "black"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0) or (name == "full_well" and value == 0):
                raise UsageError(f"{name} must be finite and not negative, got {value}; mend it")

    @classmethod
    def off(cls, *, full_well: float = 10_000.0, black: int = 0) -> "Noise":
        """No noise at all; the full well and the digitiser remain.

        Args:
            full_well: Electrons that a pixel holds.
            black: Level added before digitising.

        Returns:
            The ideal sensor.

        Example:
            >>> Noise.off().variance(100.0, bits=None)
            0.0
        """
        return cls(full_well, read=0, prnu=0, dsnu=0, black=black, shot=False)

    def step(self, bits: int) -> float:
        """Electrons for each step of a digitiser of so many bits: FW / (2^bits - 1 - black).

        Args:
            bits: Depth, 1 to 16.

        Returns:
            Electrons.

        Raises:
            UsageError: Bits outside 1 to 16, or a black level that leaves no step.
        """
        if not 1 <= bits <= 16:
            raise UsageError(f"bits must be 1 to 16, got {bits}; values are kept in uint16")
        if self.black >= 2**bits - 1:
            raise UsageError(
                f"black={self.black} must leave steps of {bits} bits; give a lower one"
            )
        return self.full_well / (2**bits - 1 - self.black)

    def variance(self, electrons: Any, *, bits: int | None) -> Any:
        """Temporal variance in electrons^2 at a mean of so many: shot + read + quantisation.

        Args:
            electrons: Mean electrons, float, array or tensor.
            bits: Depth of the digitiser, None for none.

        Returns:
            The variance, of the same kind.
        """
        steps = 0.0 if bits is None else self.step(bits) ** 2 / 12
        return (electrons if self.shot else 0.0 * electrons) + self.read**2 + steps

    def electrons(
        self, mean: Float[np.ndarray, "*shape"], places: Places, *, seed: int
    ) -> Float[np.ndarray, "*shape"]:
        """One noisy exposure, before the digitiser; may fall below zero by read noise.

        Args:
            mean: Expected electrons without dark current, axes as `places`, time first.
            places: Coordinates along each axis, on which alone the numbers depend.
            seed: The seed of the exposure.

        Returns:
            Electrons, at most the full well.
        """
        mean = np.asarray(mean, dtype=np.float64) + self.dark
        if self.prnu:
            mean = mean * np.maximum(0, 1 + self.prnu * self._pattern("prnu", places))
        kept = np.minimum(mean, _MOST)
        if self.shot:
            kept = poisson(kept, uniform(places, seed, "shot")).astype(np.float64)
        if self.read:
            kept = kept + self.read * normal(places, seed, "read")
        if self.dsnu:
            kept = kept + self.dsnu * self._pattern("dsnu", places)
        return np.minimum(kept, self.full_well)

    def soft(
        self, mean: Float[Tensor, "*shape"], *, bits: int | None, generator: torch.Generator
    ) -> Float[Tensor, "*shape"]:
        """A differentiable exposure in electrons: s + sqrt(s + read^2) eps, rounded and clamped.

        Gradients flow through both places where s stands, past the rounding as if it were not
        there, and not past the clamps.

        Args:
            mean: Expected electrons without dark current.
            bits: Depth of the digitiser, None for no rounding.
            generator: Draws eps, on the CPU.

        Returns:
            Electrons after the digitiser, dark current taken off.
        """
        mean = mean + self.dark
        eps = torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
        spread = (mean.clamp_min(0) if self.shot else 0 * mean) + self.read**2
        noisy = mean + torch.sqrt(spread.clamp_min(1e-12)) * eps
        if bits is not None:
            step = self.step(bits)
            noisy = noisy + (torch.round(noisy / step) * step - noisy).detach()
            noisy = noisy.clamp(-self.black * step, self.full_well)
        return noisy - self.dark

    def digitise(
        self, electrons: Float[np.ndarray, "*shape"], *, bits: int
    ) -> tuple[UInt16[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"]]:
        """DN = clip(round(e / K) + black, 0, 2^bits - 1), and where the top was reached.

        Args:
            electrons: What the pixel holds.
            bits: Depth, 1 to 16.

        Returns:
            The values and the mask of saturated ones.
        """
        top = 2**bits - 1
        level = np.rint(electrons / self.step(bits)) + self.black
        return np.clip(level, 0, top).astype(np.uint16), level >= top

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Noise":
        """The inverse of `to_dict`."""
        return cls(**data)

    def _pattern(self, name: str, places: Places) -> np.ndarray:
        return normal(places[1:], self.sensor, "sensor", name)
