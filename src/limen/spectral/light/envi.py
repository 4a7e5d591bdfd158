"""ENVI files: a text header beside raw values."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError

TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_AXES = {"bsq": (1, 2, 0), "bil": (0, 2, 1), "bip": (0, 1, 2)}
_TO_NM = {"nanometers": 1.0, "nanometres": 1.0, "nm": 1.0, "micrometers": 1e3, "micrometres": 1e3,
          "um": 1e3, "microns": 1e3}  # fmt: skip


def header_of(path: Path) -> Path | None:
    """The header that belongs to a data file, or the header itself.

    Example:
        >>> header_of(Path("nowhere.img")) is None
        True
    """
    if path.suffix.lower() == ".hdr":
        return path
    beside = (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr"))
    return next((place for place in beside if place.is_file()), None)


def fields(header: Path) -> dict[str, str]:
    """The header's entries, names in lower case; lists keep their text without braces.

    Raises:
        UsageError: It is no ENVI header.
    """
    text = header.read_text(encoding="utf-8", errors="replace")
    if not text.lstrip("\ufeff").startswith("ENVI"):
        raise UsageError(f"{header} must begin with the word ENVI, as such headers do")
    found = re.findall(r"^([^=\n{}]+?)\s*=\s*(\{[^}]*\}|[^\n]*)", text, re.MULTILINE)
    return {name.strip().lower(): value.strip(" {}\n\r\t") for name, value in found}


def stated(known: dict[str, str], header: Path) -> np.ndarray | None:
    """The wavelengths that a header states, in nm as they stand; None where it states none.

    Raises:
        UsageError: They are no numbers, or their unit is not known.
    """
    if "wavelength" not in known:
        return None
    unit = known.get("wavelength units", "nanometers").lower()
    if unit not in _TO_NM:
        raise UsageError(
            f"{header} gives wavelengths in {unit!r}, which is not known; give wavelengths= in nm"
        )
    try:
        values = [float(part) for part in known["wavelength"].split(",")]
    except ValueError:
        raise UsageError(f"{header} must list its wavelengths as numbers") from None
    return np.array(values) * _TO_NM[unit]


def mapped(known: dict[str, str], header: Path, *, data: Path | None) -> tuple[Any, Any]:
    """The raw values as a memory map, and where y, x and band are among its axes.

    Raises:
        UsageError: Entries are missing or unknown, no data file, or one that is cut off.
    """
    try:
        lines, samples, bands = (int(known[name]) for name in ("lines", "samples", "bands"))
        kind, interleave = TYPES[int(known["data type"])], known["interleave"].lower()
        axes = _AXES[interleave]
    except (KeyError, ValueError) as wrong:
        raise UsageError(
            f"{header} must give lines, samples, bands, a real data type and the interleave bsq, "
            f"bil or bip; {wrong} is missing or unknown"
        ) from None
    dtype = np.dtype((">" if known.get("byte order", "0") == "1" else "<") + kind)
    place = data or _data(header)
    offset = int(known.get("header offset", "0"))
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
    stem = header.with_suffix("")
    endings = ("", ".img", ".dat", ".raw", ".bsq", ".bil", ".bip", ".sli", ".bin")
    places = [stem if not end else stem.with_suffix(end) for end in endings]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UsageError(f"{header} must have its data beside it, as {stem.name}.img or the like")
    return found
