"""Filters made of thin films: what a foundry can deposit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral.optics.materials import Material
from limen.spectral.optics.stack import stack_power

_DIELECTRIC, _METAL = (20.0, 600.0), (8.0, 40.0)


class ThinFilm(nn.Module):
    """A stack of films for each channel, its thicknesses to be trained; 0 <= T <= 1 by physics.

    All channels have the same materials in the same order and thicknesses of their own, which is
    what one deposition with steps gives. Training moves thicknesses in nm; `clamp_` brings them
    back to what can be made. With `error` each pass in training mode deposits every layer that
    share too thick or too thin, at random, so that the design bears it.

    Args:
        thickness: In nm, (channels, layers).
        materials: One for each layer, in the order in which light meets them; names that
            `Material.named` knows, or `Material`.
        behind: What the films lie on.
        angle: Of incidence in radians.
        limits: Thinnest and thickest of each layer in nm; None: 20 to 600 for dielectrics, 8 to 40
            where k is above 1 somewhere, the usual limits of fabrication.
        error: Relative standard deviation of a layer's thickness in training.
        seed: Of these errors.

    Raises:
        UsageError: Another number of materials than layers, thicknesses not finite or below 0,
            limits that do not rise, or an error that is no share.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bank = ThinFilm([[0.0]], [Material.constant(2.0)], behind=Material.constant(1.5))
        >>> round(bank(Wavelengths([500.0, 600.0]))[0, 0].item(), 12)    # glass alone: 1 - 0.04
        0.96
    """

    def __init__(
        self,
        thickness: Any,
        materials: Sequence[str | Material],
        *,
        behind: str | Material = "SiO2",
        angle: float = 0.0,
        limits: Any = None,
        error: float = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        start = torch.as_tensor(np.array(thickness, dtype=np.float64))
        if start.ndim != 2 or start.shape[1] != len(materials) or start.shape[0] < 1:
            raise UsageError(
                f"thickness must be (channels, layers) with a column for each of {len(materials)} "
                f"materials; got {tuple(start.shape)}"
            )
        if not torch.isfinite(start).all() or (start < 0).any():
            raise UsageError("thickness must be finite and at least 0 nm")
        if not 0 <= error < 1:
            raise UsageError(f"error={error} must be a share from 0 to below 1")
        self.thickness = nn.Parameter(start)
        self.materials = [_material(one) for one in materials]
        self.behind, self.angle, self.error, self.seed = _material(behind), angle, error, seed
        found = [_METAL if one.index.imag.max() > 1 else _DIELECTRIC for one in self.materials]
        self.limits = np.array(found if limits is None else limits, dtype=np.float64)
        if (
            self.limits.shape != (len(self.materials), 2)
            or not ((self.limits[:, 0] >= 0) & (self.limits[:, 0] <= self.limits[:, 1])).all()
        ):
            raise UsageError(
                f"limits must be (thinnest, thickest) for each of {len(self.materials)} layers, "
                f"from 0 up; got {self.limits.tolist()}"
            )
        self._draws = 0

    @classmethod
    def random(
        cls,
        channels: int,
        materials: Sequence[str | Material],
        *,
        seed: int,
        behind: str | Material = "SiO2",
        angle: float = 0.0,
        limits: Any = None,
        error: float = 0.0,
    ) -> "ThinFilm":
        """Stacks whose thicknesses are drawn evenly within the limits.

        Args:
            channels: How many stacks.
            materials: Of the layers.
            seed: Of the draw, and of the errors.
            behind: What the films lie on.
            angle: Of incidence in radians.
            limits: As for `ThinFilm`.
            error: Relative standard deviation of a layer's thickness in training.

        Returns:
            The bank.
        """
        start = np.ones((channels, len(materials)))
        bank = cls(
            start, materials, behind=behind, angle=angle, limits=limits, error=error, seed=seed
        )
        bank.redraw_(seed)
        return bank

    @property
    def count(self) -> int:
        """Channels."""
        return int(self.thickness.shape[0])

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Transmission of each channel at the bands, in float64.

        Args:
            wavelengths: `Wavelengths`.

        Raises:
            UsageError: A band outside what is known of a material.
        """
        return self.mean_over(wavelengths, [self.angle], [1.0])

    def mean_over(
        self, wavelengths: Any, angles: Sequence[float], weights: Sequence[float]
    ) -> Float[Tensor, "channels bands"]:
        """Transmission summed over angles of incidence with weights, of one and the same films.

        Args:
            wavelengths: `Wavelengths`.
            angles: In radians, from 0 to below pi / 2; they take the place of `angle`.
            weights: Of the angles, which add up to 1.

        Returns:
            The transmission, in float64.
        """
        device = self.thickness.device
        nm = torch.as_tensor(np.array(wavelengths.nm), device=device)
        indices = [torch.as_tensor(one.at(wavelengths), device=device) for one in self.materials]
        layers = torch.stack(indices) if indices else torch.zeros(0, len(nm), dtype=torch.cfloat)
        behind = torch.as_tensor(self.behind.at(wavelengths), device=device)
        count = len(angles)  # all in one call: each angle has the wavelengths for itself
        turned = torch.tensor(angles, dtype=torch.float64, device=device)
        power = stack_power(
            nm.repeat(count),
            layers.repeat(1, count),
            self._deposited(),
            behind=behind.repeat(count),
            angle=turned.repeat_interleave(len(nm)),
        )
        share = torch.tensor(weights, dtype=torch.float64, device=device)
        return torch.einsum("cab,a->cb", power.transmitted.unflatten(1, (count, len(nm))), share)

    @torch.no_grad()
    def redraw_(self, seed: int) -> None:
        """Draw every thickness evenly within its limits, as `random` does; 0 nm stays no layer.

        Args:
            seed: Of the draw.
        """
        low, high = self.limits.T
        drawn = numpy_stream(seed, "thin films").uniform(low, high, tuple(self.thickness.shape))
        kept = self.thickness == 0
        fresh = torch.as_tensor(drawn).to(self.thickness)
        self.thickness.copy_(torch.where(kept, self.thickness, fresh))

    @torch.no_grad()
    def clamp_(self) -> None:
        """Bring every thickness to within its limits; those of 0 nm stay: no layer."""
        low, high = (torch.as_tensor(part).to(self.thickness) for part in self.limits.T)
        kept = self.thickness == 0
        self.thickness.copy_(torch.where(kept, self.thickness, self.thickness.clamp(low, high)))

    def to_dict(self) -> dict[str, Any]:
        """Thicknesses, materials and settings."""
        return {
            "thickness": self.thickness.detach().cpu().numpy(),
            "materials": [one.to_dict() for one in self.materials],
            "behind": self.behind.to_dict(),
            "angle": self.angle, "limits": self.limits, "error": self.error, "seed": self.seed,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "ThinFilm":
        """The inverse of `to_dict`."""
        held = dict(state)
        held["materials"] = [Material.from_dict(one) for one in held["materials"]]
        held["behind"] = Material.from_dict(held["behind"])
        return cls(held.pop("thickness"), held.pop("materials"), **held)

    def _deposited(self) -> Tensor:
        if not self.training or self.error == 0:
            return self.thickness
        self._draws += 1
        draw = numpy_stream(self.seed, "deposition", self._draws)
        scale = 1 + self.error * draw.standard_normal(tuple(self.thickness.shape))
        return self.thickness * torch.as_tensor(scale.clip(0)).to(self.thickness)


def _material(one: str | Material) -> Material:
    return Material.named(one) if isinstance(one, str) else one
