"""Spectra that look the same to one camera and are not."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import numbers


@dataclass(frozen=True, eq=False)
class Metamers:
    """Spectra and their partners, alike to a camera.

    Attributes:
        spectra: (spectra, bands), as they were given.
        partners: The same shape; rows without a partner repeat the spectrum.
        found: Which rows have a partner.
        difference: Root mean square difference of spectrum and partner over the bands.

    Example:
        >>> one = Metamers(np.zeros((1, 2)), np.ones((1, 2)), np.array([True]), np.array([1.0]))
        >>> one.found.tolist()
        [True]
    """

    spectra: Float[np.ndarray, "spectra bands"]
    partners: Float[np.ndarray, "spectra bands"]
    found: Bool[np.ndarray, " spectra"]
    difference: Float[np.ndarray, " spectra"]


def metamers(
    spectra: Float[np.ndarray, "spectra bands"],
    matrix: Any,
    *,
    limits: tuple[float, float] = (0.02, 0.98),
    least: float = 0.01,
    tries: int = 32,
    seed: int = 0,
) -> Metamers:
    """For each spectrum another one that the camera of this matrix cannot tell from it.

    `x' = x + t d` with `A d = 0`: d is a sum of a few slow cosines over the bands, less its part in
    the row space of A, so that partners are as smooth as reflectances are; t is the longest step
    that stays within `limits`. Of the directions tried, the one with the largest difference wins.

    Args:
        spectra: Reflectances, 0 to 1.
        matrix: Encoding matrix of the camera to be deceived, with fewer channels than bands, such
            as `camera.matrix(wavelengths)`.
        limits: Smallest and largest reflectance of a partner.
        least: Root mean square difference below which there is no partner.
        tries: Directions for each spectrum.
        seed: Of the directions.

    Returns:
        Spectra, partners, and which were found: none for a spectrum that itself leaves `limits`.

    Raises:
        UsageError: Another number of bands, no null space, or limits out of order.

    Example:
        >>> grey, sums = np.full((1, 8), 0.5), np.ones((1, 8))
        >>> pair = metamers(grey, sums)
        >>> bool(pair.found[0]), bool(abs(pair.partners.sum() - 4.0) < 1e-12)
        (True, True)
    """
    x, a = numbers("spectra", spectra), numbers("matrix", matrix)
    if x.ndim != 2 or a.ndim != 2 or x.shape[1] != a.shape[1]:
        raise UsageError(
            f"spectra (spectra, bands) and matrix (channels, bands) must share their bands; got "
            f"{x.shape} and {a.shape}"
        )
    if len(a) >= a.shape[1]:
        raise UsageError(
            f"matrix must have fewer channels than bands, or nothing deceives it; got {a.shape}"
        )
    low, high = limits
    if not low < high:
        raise UsageError(f"limits must increase, got {limits}")
    best = np.zeros(len(x))
    partners = x.copy()
    able = ((x >= low) & (x <= high)).all(axis=1)
    for direction in _directions(a, tries=tries, seed=seed):
        step = _longest(x, direction, low=low, high=high)
        gain = np.abs(step) * np.sqrt((direction**2).mean())
        better = able & (gain > best)
        partners[better] = x[better] + step[better, None] * direction
        best[better] = gain[better]
    found = best >= least
    partners[~found] = x[~found]
    return Metamers(x, partners, found, np.where(found, best, 0.0))


def _directions(a: np.ndarray, *, tries: int, seed: int) -> np.ndarray:
    """Smooth directions that the matrix maps to nothing, (tries, bands)."""
    bands = a.shape[1]
    slow = min(bands, len(a) + 8)
    at = (np.arange(bands) + 0.5) / bands
    cosines = np.cos(np.pi * np.arange(slow)[:, None] * at)
    mixed = numpy_stream(seed, "metamers").normal(size=(tries, slow)) @ cosines
    basis = np.linalg.qr(a.T)[0]
    for _ in range(2):  # twice, for the last digits
        mixed = mixed - (mixed @ basis) @ basis.T
    return np.asarray(mixed)


def _longest(x: np.ndarray, d: np.ndarray, *, low: float, high: float) -> np.ndarray:
    """For each spectrum the longest step along d, either way, within the limits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(d > 0, (high - x) / d, np.where(d < 0, (low - x) / d, np.inf)).min(axis=1)
        down = np.where(d > 0, (low - x) / d, np.where(d < 0, (high - x) / d, -np.inf)).max(axis=1)
    return np.where(up >= -down, up, down)
