"""Complex refractive indices of materials, in closed form or from a table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex128

from limen._core.errors import UsageError, nearest

# Of n^2 = a + sum of B l^2 / (l^2 - C^2), l in micrometres: a, all B and C, the range in nm.
_SELLMEIER: dict[str, tuple[float, tuple[tuple[float, float], ...], tuple[float, float]]] = {
    "SiO2": (1.0, ((0.6961663, 0.0684043), (0.4079426, 0.1162414), (0.8974794, 9.896161)),
             (210.0, 6700.0)),
    "Si3N4": (1.0, ((2.8939, 0.13967),), (207.0, 1240.0)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Material:
    """n + ik against wavelength, k >= 0: light fades as exp(-2 pi k z / lambda) per amplitude.

    A table is read linearly between its rows and refused outside: an index is never guessed.

    Args:
        name: What messages call it.
        nm: Wavelengths of the table in nm, increasing; a single one holds everywhere.
        index: n + ik at them.

    Raises:
        UsageError: Wavelengths that do not increase, another number of indices, or k below 0.

    Reference:
        I. H. Malitson, "Interspecimen comparison of the refractive index of fused silica", Journal
        of the Optical Society of America 1965, for "SiO2"; H. R. Philipp, "Optical properties of
        silicon nitride", Journal of the Electrochemical Society 1973, for "Si3N4". Tables from 350
        to 1100 nm, thinned until n or k between their rows is off by 0.001: P. B. Johnson and R. W.
        Christy, "Optical constants of the noble metals", Physical Review B 1972, for "Ag" (every
        row); T. Siefke et al., "Materials pushing the application limits of wire grid polarizers
        further into the deep ultraviolet spectral range", Advanced Optical Materials 2016, for
        "TiO2"; R. Boidin et al., "Pulsed laser deposited alumina thin films", Ceramics
        International 2016, for "Al2O3", taken as clear; L. Gao, F. Lemarchand, M. Lequime,
        "Exploitation of multiple incidences spectrometric measurements for thin film reverse
        engineering", Optics Express 2012, for "Ta2O5". All by way of refractiveindex.info (CC0).

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> glass = Material.named("SiO2")
        >>> glass.at(Wavelengths([400.0, 587.6]))[1].real.round(4).item()
        1.4585
    """

    name: str
    nm: Any
    index: Any

    def __post_init__(self) -> None:
        nm = np.atleast_1d(np.array(self.nm, dtype=np.float64))
        index = np.atleast_1d(np.array(self.index, dtype=np.complex128))
        if nm.shape != index.shape or nm.ndim != 1 or not (np.diff(nm) > 0).all():
            raise UsageError(
                f"{self.name} must have one index for each of its wavelengths, which increase; got "
                f"{index.shape} for {nm.shape}"
            )
        if not np.isfinite(index).all() or index.imag.min() < 0 or index.real.min() < 0:
            raise UsageError(f"{self.name} must have a finite n and k, both at least 0")
        object.__setattr__(self, "nm", nm)
        object.__setattr__(self, "index", index)

    @classmethod
    def constant(cls, index: complex, name: str = "constant") -> "Material":
        """The same index at every wavelength.

        Args:
            index: n + ik.
            name: What messages call it.

        Returns:
            The material, known at all wavelengths.
        """
        return cls(name, [1.0], [index])

    @classmethod
    def named(cls, name: str) -> "Material":
        """A material with a closed form or a table of its own, or "air".

        Args:
            name: "SiO2", "Si3N4", "TiO2", "Ta2O5", "Al2O3", "Ag" or "air".

        Returns:
            The material.

        Raises:
            UsageError: No such name.
        """
        if name == "air":
            return cls.constant(1.0, "air")
        if name in _tables():
            table = _tables()[name]
            return cls(name, table["nm"], np.array(table["n"]) + 1j * np.array(table["k"]))
        if name not in _SELLMEIER:
            close = nearest(name, ["air", *_SELLMEIER, *_tables()])
            raise UsageError(f"no material {name!r} is built in; the nearest: {close}")
        base, terms, (low, high) = _SELLMEIER[name]
        nm = np.linspace(low, high, 4000)
        squared = (nm / 1e3) ** 2
        index = np.sqrt(base + sum(b * squared / (squared - c**2) for b, c in terms))
        return cls(name, nm, index)

    def at(self, wavelengths: Any) -> Complex128[np.ndarray, " bands"]:
        """The index at the bands.

        Args:
            wavelengths: `Wavelengths`.

        Returns:
            n + ik at each.

        Raises:
            UsageError: A band outside the table.
        """
        bands = np.asarray(wavelengths.nm, dtype=np.float64)
        if len(self.nm) == 1:
            return np.full(len(bands), self.index[0])
        if bands.min() < self.nm[0] or bands.max() > self.nm[-1]:
            raise UsageError(
                f"{self.name} is known from {self.nm[0]:g} to {self.nm[-1]:g} nm and the bands "
                f"reach from {bands.min():g} to {bands.max():g} nm; crop them or bring a table"
            )
        real, imag = (np.interp(bands, self.nm, p) for p in (self.index.real, self.index.imag))
        return np.asarray(real + 1j * imag)

    def to_dict(self) -> dict[str, Any]:
        """Name and table."""
        return {"name": self.name, "nm": self.nm, "n": self.index.real, "k": self.index.imag}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Material":
        """The inverse of `to_dict`."""
        return cls(state["name"], state["nm"], np.asarray(state["n"]) + 1j * np.asarray(state["k"]))


@cache
def _tables() -> dict[str, dict[str, Any]]:
    """Measured n and k that are shipped: facts, each with the paper it is from."""
    found: dict[str, dict[str, Any]] = json.loads(
        Path(__file__).with_name("nk.json").read_text(encoding="utf-8")
    )
    return found
