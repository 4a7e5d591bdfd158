"""Refractive indices from the files of refractiveindex.info."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.spectral.optics.materials import Material

_POINTS = 4000  # at which a formula is written down


def read_material(path: str | Path, *, name: str | None = None) -> Material:
    r"""A material from a YAML file of refractiveindex.info: tables, and dispersion formulas.

    Tables are kept as they are; a formula (types 1 to 6) is evaluated at 4,000 points of its range.
    Where n and k come apart, both are brought to the wavelengths of the finer one, within the range
    that both have; without k the material is clear.

    Args:
        path: The file.
        name: What messages call it; None takes the file's name.

    Returns:
        The material; it refuses bands outside its range.

    Raises:
        UsageError: No such file, no YAML, a formula that is not known or gives no number, or n
            and k whose wavelengths do not meet.

    Reference:
        M. N. Polyanskiy, "Refractiveindex.info database of optical constants", Scientific Data
        2024, for the types of data and their formulas.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "glass.yml"
        >>> _ = place.write_text("DATA:\n  - type: tabulated nk\n    data: |\n"
        ...                      "        0.4 1.5 0.0\n        0.8 1.4 0.1\n")
        >>> read_material(place).nm.tolist()
        [400.0, 800.0]
    """
    where = Path(path)
    if not where.is_file():
        raise UsageError(f"{where} must be a YAML file of refractiveindex.info; there is none")
    yaml = require("yaml", extra="spectral")
    try:
        data = yaml.safe_load(where.read_text(encoding="utf-8"))["DATA"]
        parts = [_part(entry) for entry in data]
    except UsageError:
        raise
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError) as wrong:
        raise UsageError(
            f"{where} must have DATA with tables of n and k or formulas: {wrong}"
        ) from None
    n = next(((nm, real) for nm, real, _ in parts if real is not None), None)
    k = next(((nm, imag) for nm, _, imag in parts if imag is not None), None)
    if n is None:
        raise UsageError(f"{where} must give n, by a table or a formula; it has k alone")
    if k is not None and (n[0][0] > k[0][-1] or k[0][0] > n[0][-1]):
        raise UsageError(
            f"{where} must give n and k at wavelengths that meet; n has {n[0][0]:g} to "
            f"{n[0][-1]:g} nm and k {k[0][0]:g} to {k[0][-1]:g} nm"
        )
    nm, index = _joined(n, k)
    if not np.isfinite(index).all():
        raise UsageError(
            f"{where} must give an index that is a number all over its range; its formula is none "
            f"at {nm[~np.isfinite(index)][0]:g} nm"
        )
    return Material(name or where.stem, nm, index)


_Part = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


def _part(entry: Mapping[str, Any]) -> _Part:
    """Wavelengths in nm with n, k or both, of one entry.

    Raises:
        UsageError: A kind of entry that is not known.
    """
    kind = str(entry["type"])
    if kind.startswith("tabulated"):
        rows = np.array([[float(x) for x in line.split()] for line in entry["data"].splitlines()
                         if line.strip()])  # fmt: skip
        rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
        nm = 1e3 * rows[:, 0]
        return {
            "tabulated nk": (nm, rows[:, 1], rows[:, -1]),
            "tabulated n": (nm, rows[:, 1], None),
            "tabulated k": (nm, None, rows[:, 1]),
        }[kind]
    low, high = (float(x) for x in str(entry["wavelength_range"]).split())
    given = [float(x) for x in str(entry["coefficients"]).split()]
    um = np.linspace(low, high, _POINTS)
    with np.errstate(invalid="ignore", divide="ignore"):  # told by whoever reads it
        return 1e3 * um, _formula(kind, um, given), None


def _formula(kind: str, um: np.ndarray, c: list[float]) -> np.ndarray:
    """The index n at wavelengths in micrometres, by the database's numbered formulas.

    Raises:
        UsageError: A formula that is not known.
    """
    pairs = list(zip(c[1::2], c[2::2], strict=False))
    square = um**2
    if kind == "formula 1":  # Sellmeier
        return np.sqrt(1 + c[0] + sum(b * square / (square - d**2) for b, d in pairs))
    if kind == "formula 2":
        return np.sqrt(1 + c[0] + sum(b * square / (square - d) for b, d in pairs))
    if kind == "formula 3":  # polynomial
        return np.sqrt(c[0] + sum(b * um**d for b, d in pairs))
    if kind == "formula 4":
        return _formula_4(um, c)
    if kind == "formula 5":  # Cauchy
        return np.asarray(c[0] + sum(b * um**d for b, d in pairs))
    if kind == "formula 6":  # gases
        return np.asarray(1 + c[0] + sum(b / (d - um**-2.0) for b, d in pairs))
    raise UsageError(f"{kind!r} is not read; formulas 1 to 6 and tables are")


def _formula_4(um: np.ndarray, c: list[float]) -> np.ndarray:
    """Two resonances with powers of their own, and a polynomial."""
    total = np.full_like(um, c[0])
    for start in (1, 5):
        if len(c) > start + 3:
            b, e, d, f = c[start : start + 4]
            total += b * um**e / (um**2 - d**f)
    return np.sqrt(total + sum(b * um**d for b, d in zip(c[9::2], c[10::2], strict=False)))


def _joined(
    n: tuple[np.ndarray, np.ndarray], k: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The index n + ik on the finer of both grids, where both are known."""
    if k is None:
        return n[0], n[1] + 0j
    if np.array_equal(n[0], k[0]):
        return n[0], n[1] + 1j * k[1]
    low, high = max(n[0][0], k[0][0]), min(n[0][-1], k[0][-1])
    finer = n[0] if len(n[0]) >= len(k[0]) else k[0]
    grid = np.unique(np.concatenate([[low], finer[(finer > low) & (finer < high)], [high]]))
    return grid, np.interp(grid, *n) + 1j * np.interp(grid, *k)
