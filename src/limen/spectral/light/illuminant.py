"""Lights by their names."""

from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError, nearest
from limen.spectral.wavelengths import Wavelengths

_C2 = 1.4388e7  # nm K, the second radiation constant
_A = 2856.0  # K; the CIE writes 2848 with an older constant
_LIGHTS = ("equal", "A", "blackbody:T", "led")


def illuminant(name: str, wavelengths: Any) -> Float[np.ndarray, " bands"]:
    """Relative spectral power at the bands, with mean 1: "equal", "A", "blackbody:5500", "led".

    "A" and black bodies are Planck's law, `l^-5 / (exp(c2 / l T) - 1)`; A has 2856 K. "led" is a
    white light-emitting diode of ours, a blue peak (450 nm, 20 nm wide) and a phosphor (560 nm, 120
    nm), no standard. For measured lights use `read_spectra` and their `resampled` values.

    Args:
        name: One of these.
        wavelengths: The bands.

    Returns:
        Power at each band, for `Camera(illuminant=...)`.

    Raises:
        UsageError: Another name, or a temperature not above 0.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> red, blue = illuminant("A", Wavelengths([450.0, 650.0]))[::-1]
        >>> bool(red > 3 * blue)
        True
    """
    bands = wavelengths if hasattr(wavelengths, "nm") else Wavelengths(wavelengths)
    nm = np.asarray(bands.nm, dtype=np.float64)
    if name == "equal":
        power = np.ones(len(nm))
    elif name == "led":
        power = np.exp(-0.5 * ((nm - 450) / 20 * 2.355) ** 2)
        power += 0.8 * np.exp(-0.5 * ((nm - 560) / 120 * 2.355) ** 2)
    elif name == "A":
        power = _planck(nm, _A)
    elif name.startswith("blackbody:"):
        power = _planck(nm, _kelvin(name))
    else:
        raise UsageError(f"illuminant {name!r} is not known; nearest: {nearest(name, _LIGHTS)}")
    return np.asarray(power / power.mean())


def _kelvin(name: str) -> float:
    try:
        found = float(name.partition(":")[2])
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise UsageError(f"illuminant {name!r} must give a temperature in kelvin above 0")
    return found


def _planck(nm: np.ndarray, kelvin: float) -> np.ndarray:
    x = _C2 / (nm * kelvin)
    logarithm = -5 * np.log(nm) - x - np.log(-np.expm1(-x))  # e^x itself overflows for cold bodies
    return np.asarray(np.exp(logarithm - logarithm.max()))
