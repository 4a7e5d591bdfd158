"""Spectra, lights and indices: closed forms, facts, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.spectral.light.illuminant import illuminant
from limen.spectral.light.read_material import read_material
from limen.spectral.light.resample import resample
from limen.spectral.light.spectra import Spectra, read_spectra
from limen.spectral.wavelengths import Wavelengths

BANDS = Wavelengths(np.array([400.0, 410.0, 440.0, 450.0, 500.0, 580.0, 600.0]))


@given(st.floats(-2, 2), st.floats(0.0, 0.1), st.sampled_from([None, 15.0, 60.0]))
def test_resampling_keeps_constants_and_lines_are_interpolated_exactly(level, slope, fwhm):
    target = Wavelengths([420.0, 447.0, 555.0])
    flat = resample(np.full(7, level), BANDS, target, fwhm=fwhm)
    assert np.allclose(flat, level, rtol=1e-12, atol=1e-12)
    if fwhm is None:
        line = resample(slope * BANDS.nm, BANDS, target)
        assert np.allclose(line, slope * target.nm, rtol=1e-12)


def test_nothing_is_extrapolated():
    with pytest.raises(UsageError, match="ask within"):
        resample(np.zeros(7), BANDS, Wavelengths([390.0, 450.0]))


def test_a_response_as_narrow_as_a_band_reads_that_band():
    values = np.arange(7.0)
    found = resample(values, BANDS, Wavelengths([440.0, 500.0]), fwhm=2.0)
    assert np.allclose(found, [2.0, 4.0])


def test_a_black_body_peaks_where_wien_says():
    nm = np.linspace(300, 2000, 17001)
    power = illuminant("blackbody:5000", Wavelengths(nm))
    assert nm[power.argmax()] == pytest.approx(2.8978e6 / 5000, abs=0.2)
    assert power.mean() == pytest.approx(1.0)


def test_illuminant_a_has_the_published_ratio():
    power = illuminant("A", Wavelengths([380.0, 560.0, 780.0]))
    assert power[2] / power[1] == pytest.approx(2.415, abs=2e-3)  # CIE 15: 241.68 to 100
    assert power[0] / power[1] == pytest.approx(0.098, abs=1e-3)  # 9.795 to 100


@pytest.mark.parametrize("name", ["D66", "blackbody:-1", "blackbody:hot"])
def test_an_unknown_light_is_refused(name):
    with pytest.raises(UsageError, match="illuminant"):
        illuminant(name, BANDS)


def test_spectra_are_found_by_name_and_part_of_it():
    library = Spectra(np.eye(3)[:, :2], Wavelengths([500.0, 600.0]), ["Oak leaf", "Pine", "Road"])
    assert library.like("LEAF").names == ("Oak leaf",)
    with pytest.raises(UsageError, match="nearest: Pine"):
        library["Pin"]


def test_spectra_with_gaps_are_left_out(tmp_path):
    place = tmp_path / "some.csv"
    place.write_text("nm,a,b\n400,0.1,\n500,0.2,0.3\n")
    assert read_spectra(place).names == ("a",)


def written(tmp_path, text):
    place = tmp_path / "material.yml"
    place.write_text("DATA:\n" + text)
    return place


def test_a_sellmeier_formula_gives_the_index_of_fused_silica(tmp_path):
    found = read_material(written(tmp_path, (
        "  - type: formula 1\n    wavelength_range: 0.21 6.7\n"
        "    coefficients: 0 0.6961663 0.0684043 0.4079426 0.1162414 0.8974794 9.896161\n"
    )))  # fmt: skip
    assert found.at(Wavelengths([587.6, 600.0]))[0].real == pytest.approx(1.4585, abs=1e-4)


def test_n_and_k_of_other_wavelengths_meet_where_both_are_known(tmp_path):
    found = read_material(written(tmp_path, (
        "  - type: tabulated n\n    data: |\n        0.4 1.5\n        0.6 1.4\n"
        "  - type: tabulated k\n    data: |\n        0.5 0.1\n        0.7 0.3\n"
    )))  # fmt: skip
    assert found.nm.tolist() == [500.0, 600.0]
    assert np.allclose(found.index, [1.45 + 0.1j, 1.4 + 0.2j])


@pytest.mark.parametrize(
    "text",
    ["  - type: formula 9\n    wavelength_range: 0.4 0.7\n    coefficients: 1 2 3\n", "  - x\n",
     "  - type: tabulated k\n    data: |\n        0.5 0.1\n        0.6 0.1\n"],
)  # fmt: skip
def test_what_gives_no_index_is_refused(tmp_path, text):
    with pytest.raises(UsageError):
        read_material(written(tmp_path, text))


@pytest.mark.skipif("LIMEN_DATA" not in os.environ, reason="needs LIMEN_DATA")
def test_every_file_of_the_data_loads_and_silver_is_johnsons():
    folder = Path(os.environ["LIMEN_DATA"]) / "spectral/nk"
    found = {path.stem: read_material(path) for path in sorted(folder.glob("*.yml"))}
    assert len(found) > 30
    silver = found["Ag__Johnson"]
    row = int(np.argmin(abs(silver.nm - 548.6)))
    assert silver.index[row] == pytest.approx(0.06 + 3.586j, abs=0.05)
