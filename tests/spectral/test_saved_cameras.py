import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_cdt

import limen
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.exposure import Exposure
from limen.spectral.camera.measured import MeasuredFilters
from limen.spectral.codec.codec import Codec
from limen.spectral.codec.mlp import PixelMLP
from limen.spectral.codec.network import Network
from limen.spectral.codec.split import halves
from spectral._banks import Bands, smooth_cubes

BANDS = Bands(np.linspace(420, 680, 24))
CUBE = smooth_cubes(24, rows=12)


def camera(**changed):
    curves = numpy_stream(0, "curves").random((4, 40))
    filters = MeasuredFilters(np.linspace(400, 700, 40), curves)
    kernel = np.array([[0.0, 0.1, 0.0], [0.1, 0.7, 0.05], [0.0, 0.05, 0.0]])
    ways = {"mosaic": (2, 2), "psf": 0.6, "crosstalk": kernel, "illuminant": np.linspace(1, 2, 24)}
    return Camera(filters, **{**ways, "exposure": Exposure("full_well"), **changed})


@pytest.mark.parametrize("changed", [{}, {"mosaic": None, "psf": None, "bits": 8}])
def test_a_camera_out_of_its_file_takes_the_same_picture(changed, tmp_path):
    first = camera(**changed)
    again = limen.load(limen.save(first, tmp_path / "camera"))
    one, two = (c.capture(CUBE, seed=3, wavelengths=BANDS) for c in (first, again))
    assert np.array_equal(one.values, two.values)
    assert one.gain == two.gain


@pytest.mark.parametrize("decoder", [None, Network(PixelMLP(4, 24), steps=2, batch=1, patch=4)])
def test_a_codec_out_of_its_file_decodes_the_same(decoder, tmp_path):
    codec = Codec(camera(), decoder=decoder).fit(CUBE, wavelengths=BANDS)
    again = limen.load(limen.save(codec, tmp_path / "codec"))
    counts = codec.camera.capture(CUBE, seed=3, wavelengths=BANDS)
    assert np.array_equal(again.decode(counts), codec.decode(counts))


def test_a_function_of_wavelengths_cannot_be_saved_and_says_so(tmp_path):
    with pytest.raises(UsageError, match="illuminant must be an array"):
        limen.save(camera(illuminant=lambda w: np.ones(24)), tmp_path / "camera")


def test_filters_are_not_guessed_beyond_what_was_measured():
    with pytest.raises(UsageError, match="measured from 400 to 700 nm"):
        camera(illuminant=None).matrix(Bands(np.linspace(350, 680, 24)))


@given(st.integers(2, 40), st.integers(0, 12))
def test_no_test_pixel_is_within_the_radius_of_a_training_pixel(rows, radius):
    if rows - radius < 2:
        with pytest.raises(UsageError, match="radius"):
            halves((rows, 5), radius=radius)
        return
    train, test = halves((rows, 5), radius=radius)
    assert train.any()
    assert test.any()
    assert distance_transform_cdt(~train, metric="chessboard")[test].min() > radius
