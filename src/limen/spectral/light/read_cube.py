"""Cubes from files: ENVI, MATLAB, HDF5, TIFF, NumPy; large ones stay on the disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen.spectral.light import envi
from limen.spectral.light.cube import Cube
from limen.spectral.light.stored import Pages, Picked, Stored
from limen.spectral.wavelengths import Wavelengths

_STATED = ("wavelengths", "wavelength", "wavelengths_nm", "wavelength_nm", "nm")
_BANDS_LAST = (".npz", ".npy")  # as `write_cube` and this library's arrays have them
_ORDERS = ("yxb", "ybx", "xyb", "xby", "byx", "bxy")


def read_cube(
    path: str | Path,
    *,
    wavelengths: Any = None,
    key: str | None = None,
    order: str | None = None,
    shape: tuple[int, int] | None = None,
    scale: float | None = None,
    sort: bool = False,
) -> Cube:
    """A cube from a file; only what is asked for is read.

    By the ending: ENVI (.hdr, or data with a header beside it; mapped), .mat (5 in memory; 7.3 as
    HDF5), .h5 .hdf5 .he5 (read in slices), .tif .tiff (mapped, else page by page), .npz (in memory)
    and .npy (mapped). Bands are those that the file states (an ENVI header, an array called
    "wavelengths", "wavelength" or "nm"), or `wavelengths`; they are never guessed. The axis as long
    as the wavelengths is that of the bands; where two are, NumPy's files have it last, and for the
    others `order` must say. y comes before x, also from MATLAB 7.3, which turns the axes around. An
    ENVI header's gains and offsets of each band are applied, its "data ignore value" becomes NaN.

    Args:
        path: The file.
        wavelengths: Bands in nm; they go before those of the file.
        key: Name of the array, in a file with several; "group/name" in HDF5.
        order: Axes as they lie in the file, such as "byx".
        shape: Height and width of a flat array (bands, pixels) or (pixels, bands), whose pixels run
            down the columns first, as MATLAB's do.
        scale: What values are multiplied by; None takes 1 / "reflectance scale factor" of an ENVI
            header, else 1.
        sort: Put the bands into the order of their wavelengths, where spectrometers overlap, as
            AVIRIS's do; of equal ones the first stays. Otherwise such bands are refused.

    Returns:
        The cube.

    Raises:
        UsageError: No such file, another kind, a file that is cut off or holds no numbers, several
            arrays without `key`, no wavelengths, or axes that cannot be told apart.

    Example:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "cube.npz"
        >>> np.savez(place, cube=np.ones((2, 3, 4)), wavelengths=[400.0, 500.0, 600.0, 700.0])
        >>> read_cube(place).shape
        (2, 3, 4)
    """
    where = Path(path)
    if not where.is_file():
        raise UsageError(f"{where} must be a file with a cube; there is none")
    if order is not None and order not in _ORDERS:
        raise UsageError(f"order={order!r} must be one of {', '.join(_ORDERS)}")
    given = None if wavelengths is None else _Stated.of(wavelengths, sort=sort)
    header = None if where.suffix.lower() in _READERS else envi.header_of(where)
    if header is not None:
        return _envi(where, header, given, scale=scale, sort=sort)
    arrays = _arrays(where)
    bands = _required(given or _listed(arrays, sort=sort), where)
    name = _chosen(arrays, key, where)
    values = _shaped(arrays[name](), bands.count, order=order, shape=shape, where=where)
    return bands.cube(values, where.name, 1.0 if scale is None else scale)


def _envi(
    where: Path, header: Path, given: "_Stated | None", *, scale: float | None, sort: bool
) -> Cube:
    known = envi.fields(header)
    source, axes = envi.mapped(known, header, data=None if header == where else where)
    if given is None:
        stated = envi.stated(known, header)
        given = None if stated is None else _Stated.of(stated, sort=sort)
    bands = _required(given, where)
    if scale is None and "reflectance scale factor" in known:
        factor = float(envi.numbers(known, "reflectance scale factor", header)[0])
        if not factor > 0:
            raise UsageError(f"{header} must give a reflectance scale factor above 0, got {factor}")
        scale = 1 / factor
    values = envi.meant(source.transpose(axes), known, header)
    return bands.cube(values, where.name, 1.0 if scale is None else scale)


@dataclass(frozen=True)
class _Stated:
    """The bands that a file or a user gives, and which of the file's they are."""

    wavelengths: Wavelengths
    count: int
    picked: np.ndarray | None

    @classmethod
    def of(cls, given: Any, *, sort: bool) -> "_Stated":
        if hasattr(given, "weights"):
            return cls(given, len(given), None)
        try:
            nm = np.asarray(given, dtype=np.float64).ravel()
        except (TypeError, ValueError):
            raise UsageError(f"wavelengths must be numbers in nm, got {given!r:.60}") from None
        if not sort:
            return cls(Wavelengths(nm), len(nm), None)
        found, picked = np.unique(nm, return_index=True)
        return cls(Wavelengths(found), len(nm), picked)

    def cube(self, values: Any, name: str, scale: float) -> Cube:
        if values.shape[-1] == self.count and self.picked is not None:
            values = Picked(values, self.picked)
        return Cube(values, self.wavelengths, name=name, scale=scale)


def _required(bands: _Stated | None, where: Path) -> _Stated:
    if bands is None:
        raise UsageError(
            f"{where} states no wavelengths, and bands are never guessed; give wavelengths= in nm"
        )
    return bands


_Arrays = Mapping[str, Callable[[], Any]]


def _arrays(where: Path) -> _Arrays:
    """The numeric arrays of a file by name, each opened when called.

    Raises:
        UsageError: Another kind of file, or one that is cut off.
        ImportError: The package that reads it is not installed.
    """
    ending = where.suffix.lower()
    if ending not in _READERS:
        raise UsageError(
            f"{where} must end in .hdr, {', '.join(_READERS)}, or be an ENVI file with its header "
            "beside it"
        )
    try:
        found = _READERS[ending](where)
    except ImportError:  # says what to install
        raise
    except Exception as wrong:  # noqa: BLE001  decoders end a broken file with any of them
        raise UsageError(
            f"{where} cannot be read, it is cut off or of another kind: "
            f"{str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__}"
        ) from None
    if not found:
        raise UsageError(f"{where} must hold an array of numbers; it holds none")
    return found


def _npz(where: Path) -> _Arrays:
    with where.open("rb") as file, np.load(file, allow_pickle=False) as held:
        kept = {name: held[name] for name in held.files}
    return _numeric(kept)


def _npy(where: Path) -> _Arrays:
    return _numeric({"array": np.load(where, mmap_mode="r", allow_pickle=False)})


def _mat(where: Path) -> _Arrays:
    with where.open("rb") as file:
        if b"MATLAB 7.3" in file.read(128):
            return _hdf5(where)
    loadmat = require("scipy.io", extra="spectral").loadmat
    held = loadmat(where)
    return _numeric({k: v for k, v in held.items() if not k.startswith("__")})


def _hdf5(where: Path) -> _Arrays:
    h5py = require("h5py", extra="spectral")
    file = h5py.File(where, "r")
    found: dict[str, Callable[[], Any]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.shape:
            found[name] = lambda: item

    file.visititems(visit)
    return found


def _tiff(where: Path) -> _Arrays:
    tifffile = require("tifffile", extra="spectral")
    try:
        return _numeric({"image": tifffile.memmap(where, mode="r")})
    except ValueError:  # compressed or in pieces
        with tifffile.TiffFile(where) as file:
            pages = file.series[0].pages
            if len(pages) == 1:
                return _numeric({"image": file.series[0].asarray()})
            shape, dtype = (len(pages), *pages[0].shape), pages[0].dtype
    if len(shape) != 3:
        raise ValueError(f"its pages must be planes, one a band, and are {shape[1:]}")
    planes = Pages(lambda b: np.asarray(tifffile.imread(where, series=0, key=b)), shape, dtype)
    return {"image": lambda: planes}


def _numeric(held: Mapping[str, Any]) -> _Arrays:
    kept = {name: array for name, array in held.items() if array.dtype.kind in "iuf"}
    return {name: partial(np.asanyarray, array) for name, array in kept.items()}


_READERS: dict[str, Callable[[Path], _Arrays]] = {
    ".npz": _npz, ".npy": _npy, ".mat": _mat, ".h5": _hdf5, ".hdf5": _hdf5, ".he5": _hdf5,
    ".nc": _hdf5, ".tif": _tiff, ".tiff": _tiff,
}  # fmt: skip


def _listed(arrays: _Arrays, *, sort: bool) -> _Stated | None:
    """The bands that stand beside the cube."""
    for name, opened in arrays.items():
        if name.rsplit("/", 1)[-1].lower() in _STATED:
            return _Stated.of(opened(), sort=sort)
    return None


def _chosen(arrays: _Arrays, key: str | None, where: Path) -> str:
    if key is not None:
        if key not in arrays:
            raise UsageError(f"{where} has no array {key!r}; nearest: {nearest(key, list(arrays))}")
        return key
    large = [name for name, opened in arrays.items() if len(opened().shape) in (2, 3)
             and name.rsplit("/", 1)[-1].lower() not in _STATED]  # fmt: skip
    deep = [name for name in large if len(arrays[name]().shape) == 3]
    found = deep if len(deep) == 1 else large
    if len(found) != 1:
        raise UsageError(
            f"{where} must hold one cube, or key= must name it; it holds {', '.join(arrays)}"
        )
    return found[0]


def _shaped(
    array: Any, bands: int, *, order: str | None, shape: tuple[int, int] | None, where: Path
) -> Any:
    """The array as (y, x, band).

    Raises:
        UsageError: Axes that do not fit the bands, or cannot be told apart.
    """
    if len(array.shape) not in (2, 3):
        raise UsageError(
            f"{where} must hold a cube with three axes, or two by shape=; the array has "
            f"{tuple(array.shape)}: name another by key="
        )
    if len(array.shape) == 2:
        return _unrolled(np.asarray(array), bands, shape=shape, where=where)
    if order is None:
        places = [axis for axis, size in enumerate(array.shape) if size == bands]
        if where.suffix.lower() in _BANDS_LAST and 2 in places:
            places = [2]
        if len(places) != 1:
            raise UsageError(
                f"{where} has the axes {tuple(array.shape)} and there are {bands} "
                f"wavelengths; say by order= which axis is which, one of {', '.join(_ORDERS)}"
            )
        y, x = (axis for axis in range(3) if axis != places[0])
        if where.suffix.lower() == ".mat" and not isinstance(array, np.ndarray):
            y, x = x, y  # MATLAB 7.3 stores (y, x, band) as (band, x, y)
        axes = (y, x, places[0])
    else:
        axes = (order.index("y"), order.index("x"), order.index("b"))
    if isinstance(array, np.ndarray):
        return array.transpose(axes)  # a view, mapped or not, with all of NumPy's keys
    return Stored(array, axes, name=str(where))


def _unrolled(
    array: np.ndarray, bands: int, *, shape: tuple[int, int] | None, where: Path
) -> np.ndarray:
    pixels = array.T if array.shape[0] == bands else array
    if shape is None or pixels.shape != (shape[0] * shape[1], bands):
        raise UsageError(
            f"{where} is flat, {array.shape}; give shape=(height, width) whose product is its "
            f"pixels, and {bands} bands"
        )
    return np.asarray(pixels.reshape(*shape, bands, order="F"))
