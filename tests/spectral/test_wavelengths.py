"""Bands: where they lie, and what they weigh in an integral."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.spectral import Wavelengths

grids = st.lists(st.integers(300, 2500), min_size=2, max_size=30, unique=True).map(sorted)


@settings(max_examples=50, deadline=None)
@given(grids, st.floats(-2, 2), st.floats(-2, 2))
def test_a_straight_line_is_integrated_exactly_on_any_grid(grid, a, b):
    bands = Wavelengths(grid)
    first, last = grid[0], grid[-1]
    exact = a * (last - first) + b * (last**2 - first**2) / 2
    assert bands.weights @ (a + b * bands.nm) == pytest.approx(exact, rel=1e-9, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(grids)
def test_weights_and_widths_are_positive_and_cover_the_range(grid):
    bands = Wavelengths(grid)
    assert (bands.weights > 0).all()
    assert (bands.widths > 0).all()
    assert bands.weights.sum() == pytest.approx(grid[-1] - grid[0])


@pytest.mark.parametrize("power", [1.0, 1.7])
def test_twice_the_bands_leave_a_quarter_of_the_error_of_a_line_times_a_line(power):
    errors = []
    for count in (9, 17, 33, 65):
        bands = Wavelengths(400 + 600 * np.linspace(0, 1, count) ** power)
        part = (bands.nm - 400) / 600  # a spectrum 0.2 + 0.6 part through a filter 1 - part
        errors.append(bands.weights @ ((0.2 + 0.6 * part) * (1 - part)) - 600 * (0.1 + 0.1))
    ratios = np.array(errors[:-1]) / errors[1:]
    assert ratios[-1] == pytest.approx(4, rel=0.02)
    assert abs(errors[-1]) < 120 / 4000


@pytest.mark.parametrize(
    ("nm", "said"),
    [
        ([0.4, 0.7], "look like micrometres: multiply them by 1000"),
        ([4e-7, 7e-7], "look like metres"),
        ([500.0, 400.0], "band 1 has 400 nm after 500"),
        ([400.0, 500.0, 500.0], "band 2 has 500 nm after 500"),
        ([-400.0, 500.0], "must be positive"),
        ([400.0], "two finite numbers or more"),
        ([400.0, np.nan], "must not hold NaN"),
    ],
)
def test_what_can_be_no_wavelengths_in_nm_is_refused(nm, said):
    with pytest.raises(UsageError, match=said):
        Wavelengths(nm)


def test_equal_bands_are_equal_and_found_in_a_dict():
    one, same = Wavelengths([400, 500]), Wavelengths(np.array([400.0, 500.0]))
    assert one == same
    assert {one: 1}[same] == 1
    assert one != Wavelengths([400, 501])
    assert Wavelengths.from_dict(one.to_dict()) == one


def test_the_centres_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        Wavelengths([400, 500]).nm[0] = 1
