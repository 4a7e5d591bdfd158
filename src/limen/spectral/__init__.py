"""How little must be seen: filter, mosaic, noise, decoding and understanding, in one chain."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.wavelengths import Wavelengths

__all__ = ["Wavelengths"]
__getattr__, __dir__ = lazy(__name__, __file__)
