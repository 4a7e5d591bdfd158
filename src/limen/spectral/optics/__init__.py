"""Filters: what share of the light passes at each wavelength."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.optics.cone import Cone, InCone
    from limen.spectral.optics.coupled_modes import CoupledModes, scattering_matrix
    from limen.spectral.optics.curves import FreeForm, Gaussians, Lorentzians
    from limen.spectral.optics.materials import Material
    from limen.spectral.optics.presets import bragg_cavity, fabry_perot
    from limen.spectral.optics.principal_components import PrincipalComponents
    from limen.spectral.optics.stack import StackPower, stack_power
    from limen.spectral.optics.thin_film import ThinFilm

__all__ = [
    "Cone",
    "CoupledModes",
    "FreeForm",
    "Gaussians",
    "InCone",
    "Lorentzians",
    "Material",
    "PrincipalComponents",
    "StackPower",
    "ThinFilm",
    "bragg_cavity",
    "fabry_perot",
    "scattering_matrix",
    "stack_power",
]
__getattr__, __dir__ = lazy(__name__, __file__)
