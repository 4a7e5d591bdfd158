"""Light that a lens brings: a cone of angles, whose filters pass shorter waves than at normal."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.run.files import packed, unpacked
from limen.spectral.optics.coupled_modes import CoupledModes
from limen.spectral.optics.curves import Gaussians, Lorentzians
from limen.spectral.optics.thin_film import ThinFilm


@dataclass(frozen=True)
class Cone:
    """Angles under which a lens of f-number F sends light to a pixel, around its chief ray.

    Directions fill the cone up to atan(1 / 2F) with weight sin t cos t, as a lens does that is lit
    evenly; a chief ray at an angle tilts the cone. At F = inf it is the chief ray alone.

    Args:
        f_number: F, above 0; infinite for parallel light.
        angle: Of the chief ray to the normal in radians, from 0; with the cone below pi / 2.
        rings: Angles of the rule along the cone's radius, at least 1; 8 leave less than 0.01 of
            transmission even for peaks of 2 nm at f/1.4.
        spokes: Directions around a tilted cone's axis, at least 1; half a turn, the rest mirrors.

    Raises:
        UsageError: A number out of range.

    Example:
        >>> angles, weights = Cone(2.0).directions()
        >>> round(sum(w * math.sin(a) ** 2 for a, w in zip(angles, weights, strict=True)), 9)
        0.029411765
        >>> round(math.sin(math.atan(1 / 4)) ** 2 / 2, 9)  # half of the rim's
        0.029411765
    """

    f_number: float = math.inf
    angle: float = 0.0
    rings: int = 8
    spokes: int = 8

    def __post_init__(self) -> None:
        if not self.f_number > 0 or min(self.rings, self.spokes) < 1:
            raise UsageError(
                f"f_number must be above 0 and rings and spokes at least 1, got {self.f_number}, "
                f"{self.rings} and {self.spokes}; give the lens's f-number"
            )
        if not (self.angle >= 0 and self.angle + self.half_angle < math.pi / 2):
            raise UsageError(
                f"angle={self.angle} must be at least 0 and, with {self.half_angle:.3g} of the "
                "cone, below pi / 2 radians; give radians"
            )

    @property
    def half_angle(self) -> float:
        """From the chief ray to the rim of the cone, in radians."""
        return math.atan(1 / (2 * self.f_number))

    def directions(self) -> tuple[list[float], list[float]]:
        """Angles to the normal and their weights, by Gauss-Legendre over sin^2 of the cone's angle.

        Returns:
            Angles in radians, and weights that add up to 1.
        """
        if self.half_angle == 0:
            return [self.angle], [1.0]
        nodes, weights = np.polynomial.legendre.leggauss(self.rings)
        off = np.arcsin(np.sqrt((nodes + 1) / 2) * math.sin(self.half_angle))
        if self.angle == 0:
            return off.tolist(), (weights / 2).tolist()
        turn = (np.arange(self.spokes) + 0.5) * math.pi / self.spokes
        cosine = np.cos(off)[:, None] * math.cos(self.angle)
        cosine = cosine + np.sin(off)[:, None] * math.sin(self.angle) * np.cos(turn)
        share = np.repeat(weights / 2 / self.spokes, self.spokes)
        return np.arccos(np.clip(cosine, -1, 1)).ravel().tolist(), share.tolist()


class InCone(nn.Module):
    """A bank as a lens sees it: transmission averaged over a cone of angles.

    Thin films are computed at every angle. Other curves are shifted, `T(l; t) = T(l / s; 0)` with
    `s = sqrt(1 - sin^2 t / n^2)`, n the effective index of what resonates: exact for one cavity of
    high order, an approximation else, without the change of shape and of polarisation. Curves that
    are known on their bands alone are read linearly between them and held at the last band.

    Args:
        filters: The bank; its parameters are the ones trained.
        cone: The cone; the default is light along the normal, which changes nothing.
        index: n, above 1, for every bank but `ThinFilm`; about 1.5 to 2.

    Raises:
        UsageError: No index where one is needed, one not above 1, an index for thin films, or thin
            films with an angle of their own.

    Example:
        >>> from limen.spectral.optics.curves import Gaussians
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bank = InCone(Gaussians([600.0], 10.0), Cone(angle=math.asin(0.6)), index=1.0 / 0.6)
        >>> bands = Wavelengths(np.linspace(500, 620, 121))
        >>> bands.nm[bank(bands)[0].argmax()].item(), round(600 * math.sqrt(1 - 0.36**2), 1)
        (560.0, 559.8)
    """

    def __init__(
        self, filters: nn.Module, cone: Cone | None = None, *, index: float | None = None
    ) -> None:
        super().__init__()
        self.filters, self.cone, self.index = filters, cone or Cone(), index
        if isinstance(filters, ThinFilm):
            if index is not None or filters.angle != 0:
                raise UsageError(
                    f"thin films bend light by their own indices and the cone holds the angle, got "
                    f"index={index} and an angle of {filters.angle}; leave out both"
                )
        elif index is None or not 1 < index < math.inf:
            raise UsageError(
                f"index must be above 1 for filters that are no ThinFilm, got {index}; give the "
                "effective index of what resonates"
            )
        for name in ("clamp_", "redraw_"):  # what the bank cannot do, the bank in a cone cannot
            if hasattr(filters, name):
                setattr(self, name, getattr(filters, name))

    @property
    def count(self) -> int:
        """Channels."""
        return int(self.filters.count)  # type: ignore[arg-type]

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Mean transmission over the cone at the bands.

        Args:
            wavelengths: `Wavelengths`.
        """
        angles, weights = self.cone.directions()
        if isinstance(self.filters, ThinFilm):
            return self.filters.mean_over(wavelengths, angles, weights)
        assert self.index is not None
        nm = np.asarray(wavelengths.nm, dtype=np.float64)
        shifts = [math.sqrt(1 - (math.sin(angle) / self.index) ** 2) for angle in angles]
        parts = list(zip(shifts, weights, strict=True))
        if not isinstance(self.filters, Gaussians | Lorentzians | CoupledModes):
            bands = np.eye(len(nm))
            read = [[w * np.interp(nm / s, nm, row) for row in bands] for s, w in parts]
            curves: Tensor = self.filters(wavelengths)
            return curves @ torch.as_tensor(np.sum(read, axis=0)).to(curves)
        found = [w * self.filters(SimpleNamespace(nm=nm / s)) for s, w in parts]
        return torch.stack(found).sum(dim=0)

    def to_dict(self) -> dict[str, Any]:
        """Bank and cone; an infinite f-number is kept as None."""
        cone = asdict(self.cone)
        if math.isinf(self.cone.f_number):
            cone["f_number"] = None
        return {
            "filters": packed(self.filters),  # type: ignore[arg-type]
            "cone": cone,
            "index": self.index,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "InCone":
        """The inverse of `to_dict`."""
        cone = dict(state["cone"])
        if cone["f_number"] is None:
            cone["f_number"] = math.inf
        return cls(unpacked(state["filters"]), Cone(**cone), index=state["index"])
