"""The bands of a spectrum: centres, widths and quadrature weights in nanometres."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

from limen._core.errors import UsageError
from limen.measure._numbers import numbers

_LEAST = 20.0  # nm; below lies nothing that a filter or a camera here is made for


class Wavelengths:
    """Centres of bands in nm, strictly increasing, that travel with every array of spectra.

    An integral over the spectrum is `sum_b weights_b f_b`, by the trapezoid rule: exact where f
    runs straight from band to band, whatever their distances. A band's width runs from halfway to
    the one before to halfway to the next.

    Args:
        nm: Centres, (bands,), two or more.

    Raises:
        UsageError: Fewer than two, not finite or not increasing; or so small that they are
            micrometres or metres.

    Example:
        >>> bands = Wavelengths([400.0, 500.0, 700.0])
        >>> bands.weights.tolist(), bands.widths.tolist()
        ([50.0, 150.0, 100.0], [100.0, 150.0, 200.0])
    """

    def __init__(self, nm: Any):
        found = np.array(numbers("nm", nm), dtype=np.float64)
        if found.ndim != 1 or len(found) < 2 or not np.isfinite(found).all():
            raise UsageError(
                f"wavelengths must be two finite numbers or more, in nm; got shape {found.shape}"
            )
        if found.max() < _LEAST:
            unit, factor = ("micrometres", 1e3) if found.max() > 1e-2 else ("metres", 1e9)
            raise UsageError(
                f"wavelengths must be in nm; {found.min():g} to {found.max():g} look like {unit}: "
                f"multiply them by {factor:g}"
            )
        if found.min() <= 0 or not (np.diff(found) > 0).all():
            row = int(np.argmin(np.diff(found) > 0)) + 1
            raise UsageError(
                f"wavelengths must be positive and increase from band to band; band {row} has "
                f"{found[row]:g} nm after {found[row - 1]:g}: sort the bands and drop doubles"
            )
        found.flags.writeable = False
        self._nm = found

    @property
    def nm(self) -> Float64[np.ndarray, " bands"]:
        """Centres in nm."""
        return self._nm

    @property
    def weights(self) -> Float64[np.ndarray, " bands"]:
        """Trapezoid weights in nm; they add up to the last centre less the first."""
        gaps = np.diff(self._nm) / 2
        return np.concatenate([gaps, [0.0]]) + np.concatenate([[0.0], gaps])

    @property
    def widths(self) -> Float64[np.ndarray, " bands"]:
        """Widths of the bands in nm; the outer ones reach as far out as in."""
        gaps = np.diff(self._nm)
        return (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2

    def to_dict(self) -> dict[str, Any]:
        """The centres, for `limen.save`."""
        return {"nm": self._nm}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Wavelengths":
        """The inverse of `to_dict`."""
        return cls(state["nm"])

    def __len__(self) -> int:
        return len(self._nm)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wavelengths) and np.array_equal(self._nm, other._nm)

    def __hash__(self) -> int:
        return hash(self._nm.tobytes())

    def __repr__(self) -> str:
        return f"Wavelengths({len(self)} bands, {self._nm[0]:g} to {self._nm[-1]:g} nm)"
