"""Light and matter: cubes, spectra, illuminants, refractive indices."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.light.cube import Cube
    from limen.spectral.light.illuminant import illuminant
    from limen.spectral.light.read_cube import read_cube
    from limen.spectral.light.read_material import read_material
    from limen.spectral.light.resample import resample
    from limen.spectral.light.spectra import Spectra, read_spectra
    from limen.spectral.light.write_cube import write_cube

__all__ = [
    "Cube",
    "Spectra",
    "illuminant",
    "read_cube",
    "read_material",
    "read_spectra",
    "resample",
    "write_cube",
]
__getattr__, __dir__ = lazy(__name__, __file__)
