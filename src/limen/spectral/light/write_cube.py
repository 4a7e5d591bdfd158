"""Cubes to files."""

from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.run.store import replacing, write_text
from limen.spectral.light.cube import Cube
from limen.spectral.light.envi import TYPES


def write_cube(path: str | Path, cube: Any) -> Path:
    """Write a cube, whole or not at all: `.hdr` as ENVI (interleaved by pixel), `.npz` as NumPy.

    ENVI is written block by block, so that a cube need not fit into memory; its data lie beside the
    header in a `.img` file, which is there before the header is.

    Args:
        path: Ends in .hdr or .npz.
        cube: The `Cube`.

    Returns:
        The path; `read_cube` takes it.

    Raises:
        UsageError: Another ending, no cube, or numbers that ENVI has no type for.

    Example:
        >>> import tempfile
        >>> from limen.spectral.light.read_cube import read_cube
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> place = Path(tempfile.mkdtemp()) / "cube.hdr"
        >>> cube = Cube(np.full((2, 3, 2), 0.5), Wavelengths([500.0, 600.0]))
        >>> np.asarray(read_cube(write_cube(place, cube))).sum().item()
        6.0
    """
    where = Path(path)
    if not isinstance(cube, Cube):
        raise UsageError(
            f"cube must be a Cube(values, wavelengths), got {type(cube).__name__}: bands are kept "
            "beside the values"
        )
    if where.suffix.lower() == ".npz":
        with replacing(where) as draft, draft.open("wb") as file:
            np.savez(file, cube=np.asarray(cube), wavelengths=cube.wavelengths.nm)
        return where
    if where.suffix.lower() != ".hdr":
        raise UsageError(f"path must end in .hdr (ENVI) or .npz, got {where}")
    kind = cube.rows(0, 1).dtype.newbyteorder("<")
    number = next((n for n, name in TYPES.items() if np.dtype("<" + name) == kind), None)
    if number is None:
        raise UsageError(f"the cube must hold numbers that ENVI has a type for, got {kind}")
    with replacing(where.with_suffix(".img")) as draft, draft.open("wb") as file:
        for block in cube.blocks():
            file.write(np.ascontiguousarray(block, dtype=kind).tobytes())
    write_text(where, _header(cube, number))
    return where


def _header(cube: Cube, number: int) -> str:
    height, width, bands = cube.shape
    known: dict[str, Any] = {
        "samples": width, "lines": height, "bands": bands, "header offset": 0,
        "file type": "ENVI Standard", "data type": number, "interleave": "bip", "byte order": 0,
        "wavelength units": "Nanometers",
        "wavelength": "{ " + " , ".join(f"{nm!r}" for nm in cube.wavelengths.nm.tolist()) + " }",
    }  # fmt: skip
    return "ENVI\n" + "".join(f"{name} = {value}\n" for name, value in known.items())
