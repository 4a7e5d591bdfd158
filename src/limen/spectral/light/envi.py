"""ENVI files: a text header beside raw values."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.spectral.light.stored import Meant

TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_AXES = {"bsq": (1, 2, 0), "bil": (0, 2, 1), "bip": (0, 1, 2)}
_TO_NM = {"nanometer": 1.0, "nanometre": 1.0, "nm": 1.0, "micrometer": 1e3, "micrometre": 1e3,
          "micron": 1e3, "um": 1e3, "\N{MICRO SIGN}m": 1e3,
          "\N{GREEK SMALL LETTER MU}m": 1e3}  # fmt: skip
_ENDINGS = ("", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", ".sli", ".bin")


def header_of(path: Path) -> Path | None:
    """The header that belongs to a data file, or the header itself.

    Example:
        >>> header_of(Path("nowhere.img")) is None
        True
    """
    if path.suffix.lower() == ".hdr":
        return path
    names = (path.name, path.stem)  # scene.img.hdr goes before scene.hdr
    beside = [path.with_name(name + end) for name in names for end in (".hdr", ".HDR")]
    return next((place for place in beside if place.is_file()), None)


def fields(header: Path) -> dict[str, str]:
    """The header's entries, names in lower case; lists keep their text without braces.

    Raises:
        UsageError: It is no ENVI header.
    """
    text = header.read_text(encoding="utf-8", errors="replace")
    if not text.lstrip("\ufeff").startswith("ENVI"):
        raise UsageError(f"{header} must begin with the word ENVI, as such headers do")
    entry = r"^([^=\n{}]+?)[ \t]*=[ \t]*(\s*\{[^}]*\}|[^\n]*)"
    found = re.findall(entry, text, re.MULTILINE)
    return {name.strip().lower(): value.strip(" {}\n\r\t") for name, value in found}


def stated(known: dict[str, str], header: Path) -> np.ndarray | None:
    """The wavelengths that a header states, in nm as they stand; None where it states none.

    Raises:
        UsageError: They are no numbers, or their unit is not known.
    """
    if "wavelength" not in known:
        return None
    unit = (known.get("wavelength units") or "nm").lower()
    factor = _TO_NM.get(unit, _TO_NM.get(unit.removesuffix("s")))
    if factor is None:
        raise UsageError(
            f"{header} gives wavelengths in {unit!r}, which is not known; give wavelengths= in nm"
        )
    return numbers(known, "wavelength", header) * factor


def numbers(known: dict[str, str], name: str, header: Path) -> np.ndarray:
    """The numbers of an entry, in a row.

    Raises:
        UsageError: They are none.
    """
    parts = known[name].rstrip(", \t\r\n").split(",")
    try:
        return np.array([float(part) for part in parts])
    except ValueError:
        raise UsageError(f"{header} must give {name} as numbers, got {known[name]!r}") from None


def meant(source: Any, known: dict[str, str], header: Path) -> Any:
    """The values with the gains and offsets of each band that a header states, if it does.

    Args:
        source: The raw values, (y, x, band).
        known: The header's entries.
        header: For messages.

    Raises:
        UsageError: Entries that are no numbers, or not one for each band.
    """
    told: dict[str, np.ndarray] = {
        name: numbers(known, name, header)
        for name in ("data gain values", "data offset values", "data ignore value")
        if name in known
    }
    if not told:
        return source
    missing = told.pop("data ignore value", [None])[0]
    for name, values in told.items():
        if len(values) != source.shape[-1]:
            raise UsageError(
                f"{header} must give {name} for each of {source.shape[-1]} bands, got {len(values)}"
            )
    gain = told.get("data gain values", np.ones(source.shape[-1]))
    offset = told.get("data offset values", np.zeros(source.shape[-1]))
    return Meant(source, gain, offset, missing=missing)


def mapped(known: dict[str, str], header: Path, *, data: Path | None) -> tuple[Any, Any]:
    """The raw values as a memory map, and where y, x and band are among its axes.

    Raises:
        UsageError: Entries are missing or unknown, no data file, or one that is cut off.
    """
    try:
        lines, samples, bands = (int(known[name]) for name in ("lines", "samples", "bands"))
        kind, interleave = TYPES[int(known["data type"])], known["interleave"].lower()
        axes = _AXES[interleave]
        dtype = np.dtype({"0": "<", "1": ">"}[known.get("byte order", "0")] + kind)
        offset = int(known.get("header offset", "0"))
    except (KeyError, ValueError) as wrong:
        raise UsageError(
            f"{header} must give lines, samples, bands, a real data type, the interleave bsq, bil "
            f"or bip, byte order 0 or 1 and a whole header offset; {wrong} is missing or unknown"
        ) from None
    if min(lines, samples, bands) < 1 or offset < 0:
        raise UsageError(
            f"{header} must give lines, samples and bands above 0 and a header offset of 0 or more"
            f"; got {lines}, {samples}, {bands} and {offset}"
        )
    place = data or _data(header)
    wanted, found = offset + lines * samples * bands * dtype.itemsize, place.stat().st_size
    if found < wanted:
        raise UsageError(
            f"{place} must hold {wanted} bytes as its header says, and holds {found}: it is cut "
            "off; fetch it again"
        )
    sizes = {"y": lines, "x": samples, "b": bands}
    order = {"bsq": "byx", "bil": "ybx", "bip": "yxb"}[interleave]
    shape = tuple(sizes[axis] for axis in order)
    return np.memmap(place, dtype=dtype, mode="r", offset=offset, shape=shape), axes


def _data(header: Path) -> Path:
    """The data file beside a header.

    Raises:
        UsageError: There is none.
    """
    places = [header.with_name(header.stem + end) for end in _ENDINGS]
    places += [header.with_name(header.stem + end.upper()) for end in _ENDINGS]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UsageError(f"{header} must have its data beside it, as {header.stem}.img or the like")
    return found
