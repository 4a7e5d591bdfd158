"""Odd spectra, lights, indices and pictures: right, or refused in a sentence."""

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import Camera, Gaussians, Noise
from limen.spectral.light.illuminant import illuminant
from limen.spectral.light.read_material import read_material
from limen.spectral.light.resample import resample
from limen.spectral.light.spectra import Spectra, read_spectra
from limen.spectral.video.export_video import export_video
from limen.spectral.video.metamers import metamers
from limen.spectral.video.synthetic_video import synthetic_video
from limen.spectral.video.to_rgb import to_rgb
from limen.spectral.wavelengths import Wavelengths

NM = [450.0, 500.0, 560.0, 640.0, 700.0]
BANDS = Wavelengths(NM)
VALUES = numpy_stream(0, "odd spectra").uniform(0.1, 0.9, size=(2, 5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("400,0.1\n500,0.2\n600,0.3\n", "begins with 400"),  # a row would be lost in silence
        ("nm,a\n400,1,2\n500,1,2\n", "2, 2.* and 1 names"),
        ("nm\n400\n500\n", "a spectrum without gaps"),
        ("nm,a\n400,\n500,1\n", "of 1 none is"),
        ("nm;a\n400;1\n500;2\n", "as numbers"),
        ("nm,a,b\n400,1,2\n500,1\n", "as numbers"),
        ("", "as numbers"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, said):
    place = tmp_path / "a.csv"
    place.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_spectra(place)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 0.95])
def test_a_library_that_is_cut_off_is_refused(tmp_path, part):
    place = tmp_path / "a.npz"
    np.savez_compressed(place, spectra=VALUES, wavelengths=NM)
    place.write_bytes(place.read_bytes()[: int(place.stat().st_size * part)])
    with pytest.raises(UsageError, match="whole"):
        read_spectra(place)


@pytest.mark.parametrize(
    "held", [{"spectra": VALUES, "names": ["one"]}, {"spectra": VALUES[None]}]
)  # fmt: skip
def test_a_library_has_a_name_for_each_spectrum(tmp_path, held):
    np.savez(tmp_path / "a.npz", wavelengths=NM, **held)
    with pytest.raises(UsageError, match="a name for each"):
        read_spectra(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("values", "bands"), [([["a"] * 5], NM), ([[1, 2], [1]], NM), (VALUES[:1], None)]
)
def test_spectra_are_numbers_with_bands(values, bands):
    with pytest.raises(UsageError):
        Spectra(values, bands, ["a"])


def test_bands_may_be_a_list_wherever_they_are_asked_for():
    library = Spectra(VALUES, NM, ["a", "b"])
    assert np.allclose(library.resampled(NM).values, VALUES)
    assert np.allclose(resample(VALUES, NM, [500.0, 700.0]), VALUES[:, [1, 4]])
    assert np.array_equal(illuminant("A", NM), illuminant("A", BANDS))
    assert np.array_equal(to_rgb(VALUES, NM), to_rgb(VALUES, BANDS))


@pytest.mark.parametrize("kelvin", [1, 30, 300, 1e9])
def test_no_temperature_overflows(kelvin):
    power = illuminant(f"blackbody:{kelvin}", BANDS)
    assert power.mean() == pytest.approx(1.0)
    assert (power >= 0).all()


def test_what_is_not_known_reaches_only_the_bands_made_of_it():
    values = np.array([np.nan, 1.0, 2.0, 3.0, 4.0])
    found = resample(values, BANDS, [475.0, 500.0, 530.0, 700.0])
    assert np.array_equal(found, [np.nan, 1.0, 1.5, 4.0], equal_nan=True)


@pytest.mark.parametrize("fwhm", [[1.0, 2.0, 3.0], "wide", -1.0])
def test_widths_that_fit_no_band_are_refused(fwhm):
    with pytest.raises(UsageError, match="fwhm"):
        resample(VALUES, NM, [500.0, 600.0], fwhm=fwhm)


N = "  - type: tabulated n\n    data: |\n        0.4 1.5\n        0.5 1.4\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (N + "  - type: tabulated k\n    data: |\n        0.6 0\n        0.7 0\n", "that meet"),
        ("  - type: tabulated n\n    data: 5\n", "must have DATA"),
        (
            "  - type: formula 3\n    wavelength_range: 0.3 0.7\n    coefficients: -5 1 1\n",
            "300 nm",
        ),
        ("  - type: formula 1\n    wavelength_range: 0.1 6\n    coefficients: 0 1 0.3\n", "number"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path, text, said):
    (tmp_path / "m.yml").write_text("DATA:\n" + text)
    with pytest.raises(UsageError, match=said):
        read_material(tmp_path / "m.yml")


def test_a_cameras_own_matrix_is_taken_as_it_comes():
    camera = Camera(Gaussians([480.0, 580.0], 60.0), noise=Noise.off())
    found = metamers(VALUES, camera.matrix(BANDS))
    gap = (found.partners - VALUES) @ camera.matrix(BANDS).detach().numpy().T
    assert abs(gap).max() < 1e-7  # the matrix is float32


def test_pixels_without_data_are_black_and_tensors_have_colours():
    assert to_rgb(np.full((1, 5), np.nan), BANDS).tolist() == [[0, 0, 0]]
    tensor = torch.tensor(VALUES, requires_grad=True)
    assert np.array_equal(to_rgb(tensor, BANDS), to_rgb(VALUES, BANDS))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"labels": [300, 1]}, "1 to 255"), ({"labels": [0, 1]}, "1 to 255"),
     ({"size": (0, 4)}, "a pixel or more")],
)  # fmt: skip
def test_a_scene_without_pixels_or_classes_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        synthetic_video(VALUES, BANDS, background=VALUES[0], **options)


def test_pictures_without_pixels_are_no_film(tmp_path):
    with pytest.raises(UsageError, match="must not be empty"):
        export_video(tmp_path / "a.gif", [np.zeros((0, 3), dtype=np.uint8)])
    assert not any(tmp_path.iterdir())
