"""Filters: what share of the light passes at each wavelength."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.optics.curves import FreeForm, Gaussians, Lorentzians
    from limen.spectral.optics.materials import Material
    from limen.spectral.optics.stack import StackPower, stack_power
    from limen.spectral.optics.thin_film import ThinFilm

__all__ = [
    "FreeForm",
    "Gaussians",
    "Lorentzians",
    "Material",
    "StackPower",
    "ThinFilm",
    "stack_power",
]
__getattr__, __dir__ = lazy(__name__, __file__)
