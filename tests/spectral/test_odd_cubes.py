"""Odd files and odd keys: what other programs write is read right or refused in a sentence."""

import sys

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral.light.cube import Cube
from limen.spectral.light.read_cube import read_cube
from limen.spectral.light.write_cube import write_cube

NM = [450.0, 500.0, 560.0, 640.0, 700.0]
VALUES = numpy_stream(1, "odd cubes").random((3, 4, 5)).astype(np.float32)
HEAD = """ENVI
samples = 4
lines = 3
bands = 5
header offset = 0
data type = 4
interleave = bip
byte order = 0
wavelength units = Nanometers
wavelength = {450, 500, 560, 640, 700}
"""


def envi(folder, old="", new="", *, name="cube", data=".img", head=".hdr"):
    (folder / (name + data)).write_bytes(VALUES.tobytes())
    (folder / (name + head)).write_text(HEAD.replace(old, new) if old else HEAD + new)
    return folder / (name + head)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" = ", "="),
        (" = ", "\t=  "),
        ("wavelength = {450,", "wavelength =\n{450,\n"),
        ("700}", "700,\n}"),
        ("ENVI\n", "ENVI\ndescription =\n"),
        ("ENVI\n", "ENVI\ndescription = {\n  bands = 9, a = b\n}\n; bands = 9\n"),
        ("Nanometers", "nanometer"),
        ("Nanometers", ""),
    ],
)
def test_headers_of_other_programs_are_read(tmp_path, old, new):
    assert np.array_equal(np.asarray(read_cube(envi(tmp_path, old, new))), VALUES)


@pytest.mark.parametrize("unit", ["Micrometers", "micron", "um", "\N{MICRO SIGN}m"])
def test_every_spelling_of_micrometres_is_converted(tmp_path, unit):
    header = envi(tmp_path, "Nanometers", unit)
    header.write_text(
        header.read_text().replace("450, 500, 560, 640, 700", ".45,.5,.56,.64,.7"), encoding="utf-8"
    )
    assert np.allclose(read_cube(header).wavelengths.nm, NM)


@pytest.mark.parametrize(
    ("name", "data", "head"), [("scene.v1", ".img", ".hdr"), ("A", ".IMG", ".HDR"),
                               ("b.img", "", ".hdr"), ("c", "", ".hdr")],
)  # fmt: skip
def test_header_and_data_find_one_another(tmp_path, name, data, head):
    header = envi(tmp_path, name=name, data=data, head=head)
    assert np.array_equal(np.asarray(read_cube(header)), VALUES)
    assert np.array_equal(np.asarray(read_cube(tmp_path / (name + data))), VALUES)


def test_a_header_beside_another_kind_of_file_is_not_taken_for_its_own(tmp_path):
    envi(tmp_path)
    np.savez(tmp_path / "cube.npz", cube=2 * VALUES, wavelengths=NM)
    assert np.array_equal(np.asarray(read_cube(tmp_path / "cube.npz")), 2 * VALUES)


def test_wavelengths_that_are_given_go_before_a_unit_that_is_not_known(tmp_path):
    header = envi(tmp_path, "Nanometers", "Index")
    assert read_cube(header, wavelengths=NM).wavelengths.nm.tolist() == NM
    with pytest.raises(UsageError, match="give wavelengths= in nm"):
        read_cube(header)


def test_gains_offsets_and_absent_data_of_a_header_are_applied(tmp_path):
    absent = float(VALUES[1, 2, 3])
    header = envi(tmp_path, new=f"data gain values = {{1,2,3,4,5}}\ndata offset values = "
                  f"{{0,0,0,0,9}}\ndata ignore value = {absent!r}\n")  # fmt: skip
    cube = read_cube(header)
    wanted = VALUES * np.arange(1, 6, dtype=np.float32) + np.float32([0, 0, 0, 0, 9])
    wanted[1, 2, 3] = np.nan
    assert np.allclose(np.asarray(cube), wanted, equal_nan=True)
    assert np.allclose(cube[0, :, [4, 1]], wanted[0, :, [4, 1]])
    with pytest.raises(UsageError, match="nan at row 1, column 2, band 3"):
        cube.check()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("offset = 0", "offset = x", "whole header offset"),
        ("offset = 0", "offset = -4", "offset of 0 or more"),
        ("lines = 3", "lines = -3", "above 0"),
        ("lines = 3", "lines = 0", "above 0"),
        ("order = 0", "order = 2", "byte order 0 or 1"),
        ("type = 4", "type = 6", "a real data type"),
        ("", "reflectance scale factor = 0\n", "scale factor above 0"),
        ("", "reflectance scale factor = x\n", "scale factor as numbers"),
        ("", "data gain values = {1, 2}\n", "for each of 5 bands"),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path, old, new, said):
    with pytest.raises(UsageError, match=said):
        read_cube(envi(tmp_path, old, new))


def test_numbers_of_another_byte_order_come_in_this_machines():
    assert Cube(VALUES.astype(">f4"), NM)[:].dtype.isnative


def on_disk(folder, kind):
    path = folder / f"cube.{kind}"
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file["Y"] = VALUES.transpose(2, 0, 1)
    elif kind == "tif":
        tifffile.imwrite(path, VALUES.transpose(2, 0, 1), photometric="minisblack",
                         compression="zlib")  # fmt: skip
    else:
        write_cube(path.with_suffix(".hdr"), Cube(VALUES, NM))
        path = path.with_suffix(".hdr")
    return read_cube(path, wavelengths=NM)


PART = st.one_of(
    st.integers(-3, 2),
    st.builds(np.int64, st.integers(-3, 2)),
    st.builds(slice, st.none() | st.integers(-5, 5), st.none() | st.integers(-5, 5),
              st.sampled_from([None, 1, 2, -1, -2])),
)  # fmt: skip


@pytest.fixture(scope="module")
def cubes(tmp_path_factory):
    return [on_disk(tmp_path_factory.mktemp(kind), kind) for kind in ("h5", "tif", "envi")]


@settings(max_examples=60, deadline=None)
@given(st.lists(PART, max_size=3), st.none() | st.integers(0, 3))
def test_a_cube_on_the_disk_is_sliced_as_an_array_is(cubes, keys, dots):
    if dots is not None:
        keys = [*keys[:dots], ..., *keys[dots:]]
    key = keys[0] if len(keys) == 1 else tuple(keys)
    for cube in cubes:
        assert np.array_equal(cube[key], VALUES[key])


@pytest.mark.parametrize("bands", [[0, 2], [2, 0, 0], np.array([True, False, True, True, False])])
def test_a_list_of_bands_is_read_in_its_order(cubes, bands):
    for cube in cubes:
        assert np.array_equal(cube[1:, ::-1, bands], VALUES[1:, ::-1, bands])
        assert np.array_equal(cube[0, :, bands], VALUES[0, :, bands])


def test_a_key_that_would_read_a_whole_file_is_refused(cubes):
    with pytest.raises(UsageError, match=r"np\.asarray\(cube\) first"):
        cubes[0][VALUES[..., 0] > 0.5]
    with pytest.raises(UsageError, match="one list"):
        cubes[0][[0, 1], [0, 1]]
    with pytest.raises(IndexError, match="out of bounds"):
        cubes[0][7]


def test_matlab_7_3_gives_the_image_of_matlab_5(tmp_path):
    five, seven = tmp_path / "five.mat", tmp_path / "seven.mat"
    scipy.io.savemat(five, {"Y": VALUES, "wavelength": NM})
    with h5py.File(seven, "w", userblock_size=512) as file:
        file["Y"], file["wavelength"] = VALUES.transpose(2, 1, 0), np.array(NM)[:, None]
    with seven.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(128))
    assert np.array_equal(np.asarray(read_cube(seven)), VALUES)
    assert np.array_equal(np.asarray(read_cube(seven)), np.asarray(read_cube(five)))


def test_absent_and_linked_entries_of_hdf5_are_passed_over(tmp_path):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file["deep/cube"], file["deep/nm"], file["words"] = VALUES, NM, "text"
        file.create_dataset("empty", data=h5py.Empty("f4"))
        file["nowhere"], file["itself"] = h5py.SoftLink("/none"), h5py.SoftLink("/")
    assert np.array_equal(np.asarray(read_cube(path)), VALUES)


@pytest.mark.parametrize(
    "options",
    [{"tile": (16, 16)}, {"tile": (16, 16), "compression": "zlib"}, {"bigtiff": True},
     {"byteorder": ">"}, {"planarconfig": "separate", "compression": "zlib"}, {"imagej": True}],
)  # fmt: skip
def test_every_layout_of_tiff_is_the_same_cube(tmp_path, options):
    large, path = numpy_stream(2, "tiff").random((5, 40, 50)).astype(np.float32), tmp_path / "t.tif"
    tifffile.imwrite(path, large, photometric="minisblack", **options)
    cube = read_cube(path, wavelengths=NM)
    assert np.array_equal(np.asarray(cube), large.transpose(1, 2, 0))
    assert np.array_equal(cube.rows(3, 7), large.transpose(1, 2, 0)[3:7])


@pytest.mark.filterwarnings("ignore")  # of the decoders
@pytest.mark.parametrize(
    "kind", ["zip.npz", "plain.npz", "plain.npy", "small.mat", "zip.mat", "tile.tif", "zip.tif"]
)
def test_a_file_cut_off_anywhere_is_refused_in_a_sentence(tmp_path, kind):
    path, planes = tmp_path / kind, np.tile(VALUES, (8, 8, 1)).transpose(2, 0, 1)
    writers = {
        "zip.npz": lambda: np.savez_compressed(path, cube=planes, nm=NM),
        "plain.npz": lambda: np.savez(path, cube=planes, nm=NM),
        "plain.npy": lambda: np.save(path, planes),
        "small.mat": lambda: scipy.io.savemat(path, {"Y": planes}),
        "zip.mat": lambda: scipy.io.savemat(path, {"Y": planes}, do_compression=True),
        "tile.tif": lambda: tifffile.imwrite(path, planes, photometric="minisblack", tile=(16, 16)),
        "zip.tif": lambda: tifffile.imwrite(path, planes, photometric="minisblack",
                                            compression="zlib"),
    }  # fmt: skip
    writers[kind]()
    whole = path.read_bytes()
    for part in (0, 1, 3, 7, 10, 13, 15):
        path.write_bytes(whole[: len(whole) * part // 16])
        with pytest.raises(UsageError, match=r"cut off|whole|is flat|has the axes"):
            np.asarray(read_cube(path, wavelengths=NM))


@pytest.mark.parametrize("scale", [0, -1.0, np.nan])
def test_a_scale_of_nothing_is_refused_and_not_passed_over(tmp_path, scale):
    with pytest.raises(UsageError, match="must be a number above 0"):
        read_cube(envi(tmp_path), scale=scale)


@pytest.mark.parametrize("values", [VALUES + 1j, np.full((1, 1, 5), "a")])
def test_values_that_are_no_real_numbers_are_no_cube(values):
    with pytest.raises(UsageError, match="real numbers"):
        Cube(values, NM)


def test_an_array_without_bands_is_not_written(tmp_path):
    with pytest.raises(UsageError, match="must be a Cube"):
        write_cube(tmp_path / "a.hdr", VALUES)


def test_wavelengths_that_are_words_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", cube=VALUES)
    with pytest.raises(UsageError, match="numbers in nm"):
        read_cube(tmp_path / "a.npz", wavelengths=["blue"])


def test_an_array_of_four_axes_is_told(tmp_path):
    np.savez(tmp_path / "a.npz", cube=VALUES[None])
    with pytest.raises(UsageError, match="three axes"):
        read_cube(tmp_path / "a.npz", wavelengths=NM, key="cube")


def test_a_package_that_is_not_there_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(ImportError, match="pip install"):
        read_cube(tmp_path / "a.h5", wavelengths=NM)
