"""`limen spectral`: design, make, encode, train, judge, stream, and what they refuse."""

import numpy as np
import pytest

from limen._core.streams import numpy_stream
from limen.run.files import load
from limen.spectral import Camera, Cube, Wavelengths, write_cube


@pytest.fixture
def cube(tmp_path):
    """A scene of three spectra."""
    bands = Wavelengths(np.linspace(420, 680, 14))
    draw = numpy_stream(0, "scene")
    spectra = draw.uniform(0.05, 0.9, size=(3, 14))
    shares = draw.dirichlet(np.ones(3), size=(18, 12))
    return write_cube(tmp_path / "scene.npz", Cube((shares @ spectra).astype(np.float32), bands))


@pytest.fixture
def fruit(limen, tmp_path):
    """Two small videos with masks."""
    made = limen("spectral", "make", "--into", "fruit", "--frames", 2, "--height", 36,
                 "--width", 48, "--kinds", 2)  # fmt: skip
    assert made.code == 0
    return tmp_path / "fruit"


def test_a_design_is_better_on_the_half_it_has_not_seen_and_is_saved(limen, cube, tmp_path):
    asked = ["spectral", "design", cube, "--into", "camera.safetensors", "--filters", "free-form",
             "--count", 4, "--mosaic", 2, "--steps", 25, "--restarts", 1]  # fmt: skip
    ended = limen(*asked, "--page", "page.html", "--json")
    before, after = (row[1] for row in ended.data["table"]["rows"])
    assert after > before + 1
    camera = load(tmp_path / "camera.safetensors")
    assert isinstance(camera, Camera)
    assert camera.mosaic.count == camera.count == 4
    assert "Training gains" in (tmp_path / "page.html").read_text()
    assert limen("spectral", "encode", cube, "--camera", "camera.safetensors", "--into",
                 "counts.npz").code == 0  # fmt: skip
    with np.load(tmp_path / "counts.npz") as held:
        assert held["values"].shape == (1, 18, 12)
        assert held["values"].dtype == np.uint16


@pytest.mark.parametrize("filters", ["thin-film", "fabry-perot", "gaussians", "lorentzians"])
def test_every_kind_of_filter_can_be_designed(limen, cube, filters):
    ended = limen("spectral", "design", cube, "--into", "c.safetensors", "--filters", filters,
                  "--count", 2, "--layers", 2, "--steps", 3, "--restarts", 2)  # fmt: skip
    assert (ended.code, "camera: c.safetensors" in ended.out) == (0, True)


def test_a_reader_is_taught_judged_and_streamed(limen, fruit, tmp_path):
    taught = limen("spectral", "train", fruit / "train", "--test", fruit / "test", "--into",
                   "reader.safetensors", "--json")  # fmt: skip
    assert taught.data["pixel_accuracy"] > 0.9
    judged = limen("spectral", "judge", fruit / "test", "--reader", "reader.safetensors", "--json")
    assert judged.data["pixel_accuracy"] == taught.data["pixel_accuracy"]
    streamed = limen("spectral", "stream", fruit / "test", "--reader", "reader.safetensors",
                     "--into", "view.html", "--film", "film.gif", "--json")  # fmt: skip
    assert streamed.data["frames"] == 2
    assert "real apple" in (tmp_path / "view.html").read_text()
    assert (tmp_path / "film.gif").stat().st_size > 0


def test_a_unet_reads_too(limen, fruit):
    ended = limen("spectral", "train", fruit / "train", "--reader", "unet", "--steps", 2,
                  "--into", "unet.safetensors")  # fmt: skip
    assert "reader: unet.safetensors" in ended.out
    assert limen("spectral", "stream", fruit / "test", "--reader", "unet.safetensors").code == 0


def test_rates_stand_beside_one_another(limen):
    found = limen("spectral", "judge", "--rates", "--json").data
    assert found["nominal"] == 1_203_240_960_000
    assert found["readout"] == 2_949_120_000
    assert found["nominal"] / found["honest"] == pytest.approx(9, rel=1e-3)
    assert "1,203.24" in limen("spectral", "judge", "--rates").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["design", "nowhere.npz", "--into", "c.safetensors"], "there is none"),
        (["design", "{cube}", "--into", "c.txt"], "ends in .safetensors"),
        (["design", "{cube}", "--into", "c.safetensors", "--filters", "thin"], "thin-film"),
        (["design", "{cube}", "--into", "c.safetensors", "--mosaic", 2], "must be 4"),
        (["design", "{cube}", "--into", "c.safetensors", "--exposure", "long"], "full_well"),
        (["design", "{cube}", "--into", "c.safetensors", "--light", "sun"], "illuminant 'sun'"),
        (["encode", "{cube}", "--into", "c.npz", "--camera", "no.safetensors"], "there is none"),
        (["encode", "{cube}", "--into", "c.txt"], "ends in .npz"),
        (["train", "{cube}", "--into", "r.safetensors"], "masks beside its frames"),
        (["train", "{cube}", "--into", "r.safetensors", "--reader", "lda"], "linear"),
        (["judge"], "or --rates"),
        (["stream", "nowhere"], "a folder with a cube for each frame"),
        (["stream", "{cube}", "--film", "f.gif"], "which a --reader makes"),
        (["stream", "{cube}", "--into", "v.txt"], "ends in .html"),
        (["make", "--into", "fruit", "--height", 35], "multiples of 3"),
        (["make", "--into", "fruit", "--film", "f.avi"], "end in .mp4 or .gif"),
    ],
)
def test_bad_input_is_told_in_one_sentence_and_nothing_is_written(
    limen, cube, tmp_path, options, said
):
    before = sorted(tmp_path.iterdir())
    ended = limen("spectral", *(str(one).format(cube=cube) for one in options))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_cube_without_wavelengths_is_asked_for_them(limen, tmp_path):
    np.savez(tmp_path / "bare.npz", cube=np.ones((6, 6, 3)))
    ended = limen("spectral", "design", "bare.npz", "--into", "c.safetensors")
    assert (ended.code, "bands are never guessed" in ended.err) == (2, True)
    (tmp_path / "nm.txt").write_text("500\n560\nsix\n")
    ended = limen("spectral", "design", "bare.npz", "--into", "c.safetensors", "--wavelengths",
                  "nm.txt")  # fmt: skip
    assert (ended.code, "numbers in nm" in ended.err) == (2, True)


def test_a_camera_is_no_reader(limen, cube, fruit):
    limen("spectral", "design", cube, "--into", "c.safetensors", "--filters", "gaussians",
          "--steps", 1, "--restarts", 1)  # fmt: skip
    ended = limen("spectral", "judge", fruit / "test", "--reader", "c.safetensors")
    assert (ended.code, "must hold a reader, it holds Camera" in ended.err) == (2, True)
