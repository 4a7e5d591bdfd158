"""Hyperspectral values as colours for the eye."""

from typing import Any

import numpy as np
from jaxtyping import UInt8

from limen._core.errors import UsageError
from limen.spectral.wavelengths import Wavelengths

# Peak [nm], width below and above the peak [nm], height: the CIE 1931 observer as sums of bells.
_X = ((599.8, 37.9, 31.0, 1.056), (442.0, 16.0, 26.7, 0.362), (501.1, 20.4, 26.2, -0.065))
_Y = ((568.8, 46.9, 40.5, 0.821), (530.9, 16.3, 31.1, 0.286))
_Z = ((437.0, 11.8, 36.0, 1.217), (459.0, 26.0, 13.8, 0.681))
_TO_SRGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)


def to_rgb(values: Any, wavelengths: Any, *, white: float = 1.0) -> UInt8[np.ndarray, "... 3"]:
    """Reflectances as sRGB pixels, the way an eye under even daylight would see them.

    Colour matching functions by piecewise Gaussians, scaled so that a flat spectrum of `white` is
    white; values beyond are clipped, and NaN, where a file has no data, is black. Bands outside 380
    to 780 nm add nothing.

    Args:
        values: (..., band).
        wavelengths: The bands; two or more between 380 and 780 nm.
        white: The value that is white, above 0.

    Returns:
        uint8, (..., 3).

    Raises:
        UsageError: Another number of bands, no visible ones, or white not above 0.

    Reference:
        Wyman, Sloan, Shirley, Simple Analytic Approximations to the CIE XYZ Color Matching
        Functions, Journal of Computer Graphics Techniques, 2013.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> to_rgb(np.ones((1, 31)), Wavelengths(np.linspace(400, 700, 31))).tolist()
        [[255, 255, 255]]
    """
    bands = wavelengths if hasattr(wavelengths, "weights") else Wavelengths(wavelengths)
    found = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    nm = np.asarray(bands.nm, dtype=np.float64)
    if not found.ndim or found.shape[-1] != len(nm):
        raise UsageError(
            f"values must have the {len(nm)} bands of wavelengths last, got {found.shape}"
        )
    if ((nm > 380) & (nm < 780)).sum() < 2 or not white > 0:
        raise UsageError(
            f"two bands or more must lie between 380 and 780 nm and white be above 0; the bands "
            f"reach from {nm[0]:g} to {nm[-1]:g} nm, white={white}"
        )
    curves = np.stack([_curve(nm, bells) for bells in (_X, _Y, _Z)]) * bands.weights
    linear = found @ (_TO_SRGB @ curves).T.astype(np.float32)
    linear = np.clip(linear / (white * (_TO_SRGB @ curves).sum(axis=1)), 0, 1)
    linear = np.nan_to_num(linear)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * coded), dtype=np.uint8)


def _curve(nm: np.ndarray, bells: Any) -> np.ndarray:
    total = np.zeros_like(nm)
    for peak, below, above, height in bells:
        total += height * np.exp(-0.5 * ((nm - peak) / np.where(nm < peak, below, above)) ** 2)
    return total
