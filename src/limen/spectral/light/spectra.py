"""A library of named spectra on the same bands."""

import csv
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError, nearest
from limen.spectral.light import envi
from limen.spectral.light.resample import resample
from limen.spectral.wavelengths import Wavelengths

_BROKEN = (ValueError, IndexError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
_STATED = ("wavelengths", "wavelength", "nm")


class Spectra:
    """Named spectra, (spectra, bands), with their wavelengths.

    Args:
        values: (spectra, bands).
        wavelengths: The bands.
        names: One for each spectrum.

    Raises:
        UsageError: No wavelengths, shapes that do not fit, values that are not finite, or no name
            for each.

    Example:
        >>> bands = Wavelengths([500.0, 600.0])
        >>> library = Spectra([[0.1, 0.9], [0.5, 0.5]], bands, ["leaf", "road"])
        >>> library["leaf"].tolist(), library.like("ro").names
        ([0.1, 0.9], ('road',))
    """

    def __init__(self, values: Any, wavelengths: Any, names: Sequence[str]):
        if wavelengths is None:
            raise UsageError("spectra must come with wavelengths; bands are never guessed")
        try:
            self.values: Float[np.ndarray, "spectra bands"] = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as wrong:
            raise UsageError(f"values must be numbers, (spectra, bands): {wrong}") from None
        self.wavelengths = (
            wavelengths if hasattr(wavelengths, "weights") else Wavelengths(wavelengths)
        )
        self.names = tuple(names)
        if self.values.shape != (len(self.names), len(self.wavelengths)):
            raise UsageError(
                f"values must be ({len(self.names)} names, {len(self.wavelengths)} bands), got "
                f"{self.values.shape}"
            )
        if not np.isfinite(self.values).all():
            raise UsageError("spectra must be finite; drop those with gaps")

    def __getitem__(self, name: str) -> Float[np.ndarray, " bands"]:
        if name not in self.names:
            raise UsageError(f"no spectrum {name!r}; nearest: {nearest(name, self.names)}")
        return np.asarray(self.values[self.names.index(name)])

    def __len__(self) -> int:
        return len(self.names)

    def like(self, part: str) -> "Spectra":
        """The spectra whose name contains a text, whatever its case.

        Args:
            part: The text.

        Returns:
            Those spectra, in their order.

        Raises:
            UsageError: None does.
        """
        rows = [i for i, name in enumerate(self.names) if part.lower() in name.lower()]
        if not rows:
            raise UsageError(f"no spectrum is called like {part!r}; see .names")
        return Spectra(self.values[rows], self.wavelengths, [self.names[i] for i in rows])

    def resampled(self, wavelengths: Any, *, fwhm: Any = None) -> "Spectra":
        """The spectra on other bands; see `resample`.

        Args:
            wavelengths: The bands asked for.
            fwhm: Widths of their responses in nm; None interpolates.

        Returns:
            As many spectra, of the same names.
        """
        target = wavelengths if hasattr(wavelengths, "weights") else Wavelengths(wavelengths)
        found = resample(self.values, self.wavelengths, target, fwhm=fwhm)
        return Spectra(found, target, self.names)

    def __repr__(self) -> str:
        return f"Spectra({len(self)} spectra, {self.wavelengths!r})"


def read_spectra(path: str | Path, *, wavelengths: Any = None) -> Spectra:
    r"""Spectra from a file: ENVI spectral library (.sli or its .hdr), .csv, or .npz.

    A .csv has wavelengths in nm in its first column and a spectrum in each further one, named by
    the first line. An .npz has "spectra" (spectra, bands), "wavelengths" in nm and, if it likes,
    "names". Spectra with gaps (not finite) are left out.

    Args:
        path: The file.
        wavelengths: Bands in nm; they go before those of the file.

    Returns:
        The library.

    Raises:
        UsageError: No such file, another kind, one that is cut off, no wavelengths, not one name
            for each spectrum, nothing that is a number, or gaps in every spectrum.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "two.csv"
        >>> _ = place.write_text("nm,leaf,road\n500,0.1,0.5\n600,0.9,0.5\n")
        >>> read_spectra(place).names
        ('leaf', 'road')
    """
    where = Path(path)
    if not where.is_file():
        raise UsageError(f"{where} must be a file with spectra; there is none")
    ending = where.suffix.lower()
    readers = {".csv": _csv, ".npz": _npz, ".sli": _sli, ".hdr": _sli}
    if ending not in readers:
        raise UsageError(f"{where} must end in {', '.join(readers)}")
    try:
        values, stated, names = readers[ending](where)
    except UsageError:
        raise
    except _BROKEN as wrong:
        raise UsageError(f"{where} must hold spectra as numbers, whole: {wrong}") from None
    if values.ndim != 2 or len(names) != len(values):
        raise UsageError(
            f"{where} must hold (spectra, bands) and a name for each; got {values.shape} and "
            f"{len(names)} names"
        )
    bands = stated if wavelengths is None else wavelengths
    if bands is None:
        raise UsageError(f"{where} states no wavelengths; give them in nm by wavelengths=")
    bands = bands if hasattr(bands, "weights") else Wavelengths(bands)
    whole = np.isfinite(values).all(axis=1)
    if not whole.any():
        raise UsageError(f"{where} must hold a spectrum without gaps; of {len(values)} none is")
    kept = [name for name, good in zip(names, whole, strict=True) if good]
    return Spectra(values[whole], bands, kept)


_Read = tuple[np.ndarray, Any, list[str]]


def _csv(where: Path) -> _Read:
    """A column of wavelengths and one for each spectrum.

    Raises:
        UsageError: No names in the first line.
    """
    with where.open(encoding="utf-8-sig", newline="") as file:
        head, *lines = [row for row in csv.reader(file) if row]
    if _number(head[0]):
        raise UsageError(
            f"{where} must name its columns in the first line, such as nm,leaf,road; it begins "
            f"with {head[0]}"
        )
    table = np.array([[float(cell or "nan") for cell in row] for row in lines])
    return table[:, 1:].T, Wavelengths(table[:, 0]), head[1:]


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _npz(where: Path) -> _Read:
    with where.open("rb") as file, np.load(file, allow_pickle=False) as held:
        values = np.atleast_2d(held["spectra"]).astype(np.float64)
        stated = next((held[name] for name in _STATED if name in held.files), None)
        names = [str(x) for x in held["names"]] if "names" in held.files else None
    return values, stated, names or [str(i) for i in range(len(values))]


def _sli(where: Path) -> _Read:
    header = envi.header_of(where)
    if header is None:
        raise UsageError(f"{where} must have its ENVI header beside it")
    known = envi.fields(header)
    mapped, _ = envi.mapped(known, header, data=None if header == where else where)
    values = np.array(mapped, dtype=np.float64).reshape(int(known["lines"]), -1)
    names = [name.strip() for name in known.get("spectra names", "").split(",")]
    if len(names) != len(values):
        names = [str(i) for i in range(len(values))]
    return values, envi.stated(known, header), names
