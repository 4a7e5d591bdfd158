"""Cubes from every kind of file are the same cube, and bad ones are told in a sentence."""

import tracemalloc

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import Camera, Gaussians, Noise
from limen.spectral.light.cube import Cube
from limen.spectral.light.read_cube import read_cube
from limen.spectral.light.write_cube import write_cube
from limen.spectral.wavelengths import Wavelengths

NM = [450.0, 500.0, 560.0, 640.0, 700.0]
VALUES = numpy_stream(0, "cubes").random((3, 4, 5)).astype(np.float32)
HEAD = """ENVI
samples = 4
lines = 3
bands = 5
header offset = {offset}
data type = {kind}
interleave = {interleave}
byte order = {order}
wavelength units = {unit}
wavelength = {{ {nm} }}
"""


def envi(folder, interleave="bsq", *, order=0, offset=0, unit="Nanometers", nm=None, kind=4):
    axes = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}[interleave]
    dtype = np.dtype((">" if order else "<") + {4: "f4", 2: "i2"}[kind])
    (folder / "cube.img").write_bytes(
        b"x" * offset + np.ascontiguousarray(VALUES.transpose(axes)).astype(dtype).tobytes()
    )
    nm = NM if nm is None else nm
    text = HEAD.format(offset=offset, kind=kind, interleave=interleave, order=order, unit=unit,
                       nm=", ".join(map(str, nm)))  # fmt: skip
    (folder / "cube.hdr").write_text(text)
    return folder / "cube.hdr"


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize(("order", "offset"), [(0, 0), (1, 16)])
def test_envi_is_read_in_every_interleave_and_byte_order(tmp_path, interleave, order, offset):
    header = envi(tmp_path, interleave, order=order, offset=offset)
    cube = read_cube(header)
    assert np.array_equal(np.asarray(cube), VALUES)
    assert np.array_equal(np.asarray(read_cube(tmp_path / "cube.img")), VALUES)
    assert np.array_equal(cube[1, 2], VALUES[1, 2])
    assert cube.wavelengths == Wavelengths(NM)


def test_stated_micrometres_become_nanometres(tmp_path):
    header = envi(tmp_path, unit="Micrometers", nm=[x / 1e3 for x in NM])
    assert np.allclose(read_cube(header).wavelengths.nm, NM)


def saved(folder, kind):
    path = folder / f"cube{kind}"
    if kind == ".npz":
        np.savez(path, cube=VALUES, wavelengths=NM)
    elif kind == ".mat":
        scipy.io.savemat(path, {"cube": VALUES, "wavelength": NM})
    elif kind == ".h5":
        with h5py.File(path, "w") as file:
            file["scene/cube"] = VALUES.transpose(2, 0, 1)
            file["scene/wavelengths"] = NM
    return path


@pytest.mark.parametrize("kind", [".npz", ".mat", ".h5"])
def test_bands_beside_the_cube_are_found(tmp_path, kind):
    assert np.array_equal(np.asarray(read_cube(saved(tmp_path, kind))), VALUES)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_pages_are_bands(tmp_path, compression):
    path = tmp_path / "cube.tif"
    tifffile.imwrite(path, VALUES.transpose(2, 0, 1), photometric="minisblack",
                     compression=compression)  # fmt: skip
    cube = read_cube(path, wavelengths=NM)
    assert np.array_equal(cube.rows(1, 3), VALUES[1:3])
    assert np.array_equal(np.asarray(cube), VALUES)


def test_matlab_7_3_is_read_as_hdf5_whatever_its_axes(tmp_path):
    path = tmp_path / "cube.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["Y"] = VALUES.transpose(2, 1, 0)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(128))
    assert np.array_equal(np.asarray(read_cube(path, wavelengths=NM, order="bxy")), VALUES)


def test_flat_pixels_run_down_the_columns_first(tmp_path):
    path = tmp_path / "flat.mat"
    scipy.io.savemat(path, {"Y": VALUES.reshape(12, 5, order="F").T})
    assert np.array_equal(np.asarray(read_cube(path, wavelengths=NM, shape=(3, 4))), VALUES)


def test_overlapping_spectrometers_are_sorted_when_asked(tmp_path):
    nm = [450.0, 640.0, 560.0, 700.0, 640.0]
    path = saved(tmp_path, ".npz")
    cube = read_cube(path, wavelengths=nm, sort=True)
    assert cube.wavelengths.nm.tolist() == [450.0, 560.0, 640.0, 700.0]
    assert np.array_equal(cube[0, 0, 1:], VALUES[0, 0, [2, 1, 3]])
    with pytest.raises(UsageError, match="sort the bands"):
        read_cube(path, wavelengths=nm)


@pytest.mark.parametrize("ending", [".hdr", ".npz"])
def test_what_is_written_is_read_again(tmp_path, ending):
    path = write_cube(tmp_path / f"out{ending}", Cube(VALUES, NM, name="out"))
    assert np.array_equal(np.asarray(read_cube(path)), VALUES)


def test_a_large_file_is_read_in_rows(tmp_path):
    path = tmp_path / "large.npy"
    large = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=(4000, 512, 50))
    large[17, 3, 4] = 7
    del large
    tracemalloc.start()
    cube = read_cube(path, wavelengths=np.linspace(400, 700, 50), scale=0.5)
    assert cube.rows(17, 18)[0, 3, 4] == 3.5
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 < path.stat().st_size / 50


def test_a_camera_takes_a_cube_from_the_disk(tmp_path):
    camera = Camera(Gaussians([500.0, 600.0], 80.0), noise=Noise.off())
    counts = camera.capture(read_cube(envi(tmp_path)))
    wanted = camera.capture(VALUES, wavelengths=Wavelengths(NM))
    assert np.array_equal(counts.values, wanted.values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wavelengths": None}, "states no wavelengths"),
        ({"wavelengths": [0.45, 0.5, 0.56, 0.64, 0.7]}, "look like micrometres"),
        ({"wavelengths": NM[::-1]}, "sort the bands"),
        ({"wavelengths": [*NM, 720.0]}, "say by order="),
        ({"wavelengths": NM, "order": "byx"}, "the cube has 3 bands"),
        ({"wavelengths": NM, "order": "abc"}, "must be one of yxb"),
        ({"wavelengths": NM, "key": "cub"}, "nearest: cube"),
    ],
)
def test_a_cube_that_cannot_be_understood_is_refused_in_a_sentence(tmp_path, change, said):
    path = tmp_path / "bare.npz"
    np.savez(path, cube=VALUES)
    with pytest.raises(UsageError, match=said):
        read_cube(path, **change)


@pytest.mark.parametrize("kind", [".npz", ".mat", ".h5", ".hdr"])
def test_a_file_that_is_cut_off_is_refused_in_a_sentence(tmp_path, kind):
    path = envi(tmp_path) if kind == ".hdr" else saved(tmp_path, kind)
    data = tmp_path / "cube.img" if kind == ".hdr" else path
    data.write_bytes(data.read_bytes()[: data.stat().st_size * 2 // 3])
    with pytest.raises(UsageError, match="cut off"):
        read_cube(path)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_light_below_zero_or_not_finite_is_found_in_its_place(bad):
    values = VALUES.copy()
    values[2, 1, 3] = bad
    with pytest.raises(UsageError, match="at row 2, column 1, band 3"):
        Cube(values, NM).check()


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, cube=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UsageError, match="cannot be read"):
        read_cube(path, wavelengths=NM)
