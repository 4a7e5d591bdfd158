"""Trends: curves of known shape are named rightly, and flat ones seldom wrongly."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

import limen
from limen._core.errors import UsageError
from limen.shift.fld import fld_error, growing_bias
from limen.shift.trend import isotonic, trend

SIZES = 2.0 ** np.arange(3, 12)
CURVES = {
    "decreasing": 0.1 + 0.5 * SIZES**-0.5,
    "flat": np.full(9, 0.3),
    "rising": 0.5 - 0.5 * SIZES**-0.3,
    "dip": 0.2 + 0.01 * (np.log2(SIZES) - 7) ** 2,
}


def seeds(curve, *, noise, seed, count=5):
    return curve + noise * np.random.default_rng([seed, 1]).normal(size=(count, len(curve)))


@pytest.mark.parametrize("shape", ["decreasing", "rising", "dip"])
@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_shapes_are_named(shape, noise):
    found = [
        trend(SIZES, seeds(CURVES[shape], noise=noise, seed=s), resamples=40).verdict
        for s in range(6)
    ]
    assert found.count(shape) >= 5


def test_flat_curves_are_called_flat():
    found = [
        trend(SIZES, seeds(CURVES["flat"], noise=0.01, seed=s), resamples=40).verdict
        for s in range(9)
    ]
    assert found.count("flat") >= 7


def test_the_linear_model_dips_and_the_verdict_says_so():
    m = np.array([0, 2, 4, 8, 16, 64, 256])
    errors = seeds(fld_error(4 + m, growing_bias(4, m, 0.5)), noise=2e-4, seed=0)
    assert trend(4 + m, errors).verdict == "dip"


def test_a_power_law_is_recovered():
    found = trend(SIZES, np.tile(0.1 + 0.5 * SIZES**-0.5, (3, 1)))
    assert found.power == pytest.approx(0.5, abs=0.03)
    assert found.level == pytest.approx(0.1, abs=5e-3)


def test_the_isotonic_fit_is_scikit_learns():
    draw = np.random.default_rng(0)
    for _ in range(20):
        values, weights = draw.normal(size=12), draw.uniform(0.1, 2, 12)
        theirs = IsotonicRegression().fit_transform(np.arange(12), values, sample_weight=weights)
        np.testing.assert_allclose(isotonic(values, weights), theirs, atol=1e-10)


def test_fits_have_the_shapes_they_claim():
    found = trend(SIZES, seeds(CURVES["dip"], noise=0.02, seed=3), resamples=40)
    assert (np.diff(found.falling) <= 0).all()
    turns = np.sign(np.diff(found.valley))
    assert (np.diff(turns[turns != 0]) >= 0).all()


def test_order_of_seeds_does_not_change_the_fits():
    errors = seeds(CURVES["dip"], noise=0.01, seed=4)
    a, b = (trend(SIZES, one, resamples=40) for one in (errors, errors[::-1]))
    assert (a.power, a.verdict) == (pytest.approx(b.power), b.verdict)


def test_scaling_errors_does_not_change_the_verdict():
    errors = seeds(CURVES["rising"], noise=0.01, seed=5)
    found = [trend(SIZES, scale * errors, resamples=40).verdict for scale in (1, 100)]
    assert found == ["rising", "rising"]


def test_a_trend_has_a_picture_and_is_saved(tmp_path):
    found = trend(SIZES, seeds(CURVES["dip"], noise=0.01, seed=6), resamples=40)
    assert "dip" in found.trace().title
    assert len(found.table().rows) == len(SIZES)
    again = limen.load(limen.save(found, tmp_path / "trend"))
    assert again.to_dict().keys() == found.to_dict().keys()
    np.testing.assert_array_equal(again.valley, found.valley)
    assert again.table().to_text() == found.table().to_text()


def test_too_little_to_tell_is_refused():
    with pytest.raises(UsageError, match="sizes must be three or more"):
        trend([1, 2], np.ones((3, 2)))
    with pytest.raises(UsageError, match="sizes must be three or more"):
        trend([1, 3, 2], np.ones((3, 3)))
    with pytest.raises(UsageError, match="two seeds at least"):
        trend([1, 2, 3], np.ones((1, 3)))
    with pytest.raises(UsageError, match="errors must be finite"):
        trend([1, 2, 3], np.full((2, 3), np.inf))
    with pytest.raises(UsageError, match="resamples"):
        trend([1, 2, 3], np.ones((2, 3)), resamples=0)
