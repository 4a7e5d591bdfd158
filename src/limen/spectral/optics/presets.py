"""Banks of thin films with a plan: cavities between metals, and between Bragg mirrors."""

from math import isfinite
from types import SimpleNamespace
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.spectral.optics.materials import Material
from limen.spectral.optics.thin_film import ThinFilm


def fabry_perot(
    count: int,
    *,
    metal: str | Material = "Ag",
    cavity: str | Material = "SiO2",
    metal_nm: float = 25.0,
    cavity_nm: tuple[float, float] = (80.0, 480.0),
    behind: str | Material = "SiO2",
    angle: float = 0.0,
) -> ThinFilm:
    """Metal, dielectric, metal: broad peaks where a round trip of the cavity is whole waves.

    The cavity's thickness rises evenly from channel to channel, as one deposition in steps gives.
    Thin cavities pass one order, thick ones several; the metal swallows part of the light.

    Args:
        count: Channels, at least 1.
        metal: Of both mirrors.
        cavity: Between them.
        metal_nm: Thickness of each mirror in nm; training keeps it from 8 to 40.
        cavity_nm: Thinnest and thickest cavity in nm; training keeps them from 20 to 600.
        behind: What the films lie on.
        angle: Of incidence in radians.

    Returns:
        The bank, its thicknesses to be trained.

    Raises:
        UsageError: No channel, or thicknesses that are none.

    Example:
        >>> fabry_perot(3).thickness.tolist()
        [[25.0, 80.0, 25.0], [25.0, 280.0, 25.0], [25.0, 480.0, 25.0]]
    """
    low, high = cavity_nm
    if count < 1 or not 0 < low <= high or not metal_nm > 0 or not isfinite(high + metal_nm):
        raise UsageError(
            f"count must be at least 1 and thicknesses above 0 and rising, got {count}, "
            f"{metal_nm:g} and {low:g} to {high:g} nm; mend them"
        )
    spacers = np.linspace(low, high, count)
    mirrors = np.full(count, float(metal_nm))
    thickness = np.stack([mirrors, spacers, mirrors], axis=1)
    return ThinFilm(thickness, [metal, cavity, metal], behind=behind, angle=angle)


def bragg_cavity(
    count: int,
    *,
    between: tuple[float, float] = (450.0, 700.0),
    high: str | Material = "TiO2",
    low: str | Material = "SiO2",
    pairs: int = 2,
    order: int = 1,
    behind: str | Material = "SiO2",
    angle: float = 0.0,
) -> ThinFilm:
    """A cavity of whole half waves between Bragg mirrors: one narrow peak inside a stop band.

    Mirrors are `pairs` of quarter waves, high index first; the cavity is `order` half waves of the
    high index. All is made for the channel's own centre, where layers cancel two by two and light
    passes as through the bare substrate. Outside the stop band, of relative width (4 / pi)
    asin((nH - nL) / (nH + nL)), light passes again: block it, or let a decoder use it.

    Args:
        count: Channels, at least 1; one alone lies midway.
        between: Centres of the first and the last channel in nm, evenly spaced.
        high: Material of the high index.
        low: Material of the low index.
        pairs: Of quarter waves in each mirror, at least 1; more give narrower peaks.
        order: Half waves in the cavity, at least 1; more give narrower peaks, closer together.
        behind: What the films lie on.
        angle: Of incidence in radians; the stack is made for 0.

    Returns:
        The bank, its thicknesses to be trained.

    Raises:
        UsageError: No channel, pair or order, or centres that do not rise.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bank = bragg_cavity(2, between=(550.0, 650.0), behind=Material.constant(1.5))
        >>> round(bank(Wavelengths([550.0, 600.0]))[0, 0].item(), 4)  # the bare substrate's
        0.96
    """
    first, last = between
    if min(count, pairs, order) < 1 or not 0 < first <= last:
        raise UsageError(
            f"count, pairs and order must be at least 1 and between rise, got {count}, {pairs}, "
            f"{order} and {first:g} to {last:g} nm; mend them"
        )
    centres = np.linspace(first, last, count) if count > 1 else np.array([(first + last) / 2])
    quarter = {name: centres / 4 / _real(of, centres) for name, of in (("H", high), ("L", low))}
    mirror = "HL" * pairs
    plan = [*mirror, "C", *reversed(mirror)]
    quarter["C"] = 2 * order * quarter["H"]
    thickness = np.stack([quarter[layer] for layer in plan], axis=1)
    materials = [low if layer == "L" else high for layer in plan]
    return ThinFilm(thickness, materials, behind=behind, angle=angle)


def _real(of: str | Material, nm: np.ndarray) -> Any:
    material = Material.named(of) if isinstance(of, str) else of
    return material.at(SimpleNamespace(nm=nm)).real
