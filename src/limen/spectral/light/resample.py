"""Spectra on other bands."""

from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import numbers
from limen.spectral.wavelengths import Wavelengths

_WIDTH = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum of a Gaussian of deviation 1


def resample(
    values: Float[np.ndarray, "*lead bands"], source: Any, target: Any, *, fwhm: Any = None
) -> Float[np.ndarray, "*lead others"]:
    """Values at other bands: straight lines between bands, or a sensor's Gaussian responses.

    With `fwhm`, `x'_j = sum_b w_b g_j(l_b) x_b / sum_b w_b g_j(l_b)` with the source's trapezoid
    weights w and a Gaussian g_j about band j. Either way a constant stays the same constant.
    Nothing is extrapolated, and NaN reaches only the bands that are made of it.

    Args:
        values: Spectra, bands last.
        source: Their bands.
        target: The bands asked for, within the source's.
        fwhm: Full widths at half maximum in nm, one or one for each band asked for; None
            interpolates.

    Returns:
        Spectra of the kind of `values`, bands last.

    Raises:
        UsageError: Another number of bands, bands beyond the source's, or widths not above 0.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bands = Wavelengths([400.0, 500.0, 600.0])
        >>> resample(np.array([0.0, 1.0, 2.0]), bands, Wavelengths([450.0, 525.0])).tolist()
        [0.5, 1.25]
    """
    source, target = (
        bands if hasattr(bands, "weights") else Wavelengths(bands) for bands in (source, target)
    )
    found = np.asarray(values)
    if not found.ndim or found.shape[-1] != len(source.nm):
        raise UsageError(
            f"values must have the source's {len(source.nm)} bands last, got {found.shape}"
        )
    matrix = _matrix(source, target, fwhm)
    kind = found.dtype if found.dtype.kind == "f" else np.dtype(np.float64)
    weights = matrix.T.astype(kind)
    none = np.isnan(found)
    if not none.any():
        return np.asarray(found @ weights)
    reached = np.asarray(none @ (weights != 0))
    return np.where(reached, kind.type(np.nan), np.where(none, 0, found) @ weights)


def _matrix(source: Any, target: Any, fwhm: Any) -> np.ndarray:
    """(target bands, source bands); rows sum to 1.

    Raises:
        UsageError: Bands beyond the source's, or widths not above 0 or not one for each band.
    """
    have, want = np.asarray(source.nm), np.asarray(target.nm)
    if want[0] < have[0] or want[-1] > have[-1]:
        raise UsageError(
            f"bands are known from {have[0]:g} to {have[-1]:g} nm and asked for from {want[0]:g} "
            f"to {want[-1]:g} nm; ask within"
        )
    if fwhm is None:
        return np.stack([np.interp(want, have, row) for row in np.eye(len(have))], axis=1)
    given = numbers("fwhm", fwhm)
    if given.shape not in ((), want.shape):
        raise UsageError(f"fwhm must be one width or one for each of {len(want)} bands, got "
                         f"{given.shape}")  # fmt: skip
    widths = np.broadcast_to(given, want.shape)
    if not (widths > 0).all():
        raise UsageError(f"fwhm must be above 0 nm, got {widths.min():g}")
    away = (have - want[:, None]) * _WIDTH / widths[:, None]
    response = source.weights * np.exp(-0.5 * away**2)
    if not (response.sum(axis=1) > 0).all():
        raise UsageError("fwhm is too narrow for the source's bands; interpolate, or widen it")
    return np.asarray(response / response.sum(axis=1, keepdims=True))
