"""Windows over a series and back, scales, and a window's natural length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limen
from limen._core.errors import UsageError
from limen.anomaly.windows import Scaler, ending, period, sliding, to_points

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(23, 2))
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 12), st.integers(1, 9)).filter(
    lambda shape: shape[0] >= shape[1]
)


@given(SHAPES)
def test_window_i_begins_at_i_strides_and_the_last_one_is_kept(shape):
    points, window, stride = shape
    values = np.arange(points * 2.0).reshape(points, 2)
    found = sliding(values, window, stride=stride)
    starts = range(0, points - window + 1, stride)
    expected = np.stack([values[start : start + window] for start in starts])
    assert np.array_equal(found, expected)


def test_windows_are_a_view_that_nobody_can_write_to():
    found = sliding(SERIES, 5)
    assert np.shares_memory(found, SERIES)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0, 0] = 1.0


@given(SHAPES)
def test_a_point_gets_the_mean_over_the_windows_that_cover_it(shape):
    points, window, stride = shape
    starts = np.arange(0, points - window + 1, stride)
    scores = np.random.default_rng(points).normal(size=len(starts))
    found = to_points(scores, points, window=window, stride=stride)
    for point in range(points):
        covering = (starts <= point) & (point < starts + window)
        if covering.any():
            assert found[point] == pytest.approx(scores[covering].mean(), abs=1e-9)


def test_points_that_no_window_covers_take_the_one_before():
    # windows [0, 2) and [3, 5) of six points leave 2 and 5 alone
    assert to_points(np.array([1.0, 9.0]), 6, window=2, stride=3).tolist() == [1, 1, 1, 9, 9, 9]


def test_equal_scores_of_windows_are_equal_scores_of_points():
    assert np.allclose(to_points(np.full(14, 0.1), 23, window=10), 0.1, atol=1e-12)


def test_scores_must_be_as_many_as_windows():
    with pytest.raises(UsageError, match="14 windows cover 23 points; got 13 scores"):
        to_points(np.zeros(13), 23, window=10)


def test_each_point_ends_a_window_that_looks_only_back():
    found = ending(SERIES, 4)
    assert len(found) == len(SERIES)
    assert np.array_equal(found[:, -1], SERIES)
    assert np.array_equal(found[3:], sliding(SERIES, 4))
    assert np.array_equal(found[0], np.repeat(SERIES[:1], 4, axis=0))


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (3, 0), (-1, 1)])
def test_windows_and_strides_below_one_are_refused(window, stride):
    with pytest.raises(UsageError, match="must be 1 or more"):
        sliding(SERIES, window, stride=stride)


def test_a_series_shorter_than_a_window_is_refused_with_both_numbers():
    with pytest.raises(UsageError, match="window of 24 points; it has 23"):
        sliding(SERIES, 24)


# a natural length


@pytest.mark.parametrize("length", [7, 24, 50, 144, 288])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_the_period_of_a_wave_is_found_through_noise_and_offset(length, offset):
    time = np.arange(3000)
    noise = 0.1 * np.random.default_rng(1).normal(size=3000)
    wave = offset + np.sin(2 * np.pi * time / length) + noise
    assert abs(period(wave) - length) <= max(1, length // 50)


def test_the_period_does_not_depend_on_the_unit():
    wave = np.sin(np.arange(900) / 7) + 0.1 * np.random.default_rng(2).normal(size=900)
    assert period(wave) == period(1e-6 * wave) == period(1e6 * wave + 5)


@pytest.mark.parametrize("values", [np.ones(500), np.arange(500.0), [1.0], [0.0, 1.0, 0.0]])
def test_a_series_without_a_period_gets_the_default(values):
    assert period(values) == 125
    assert period(values, default=33) == 33


def test_of_several_channels_the_median_over_those_that_have_a_period_counts():
    time = np.arange(2000)
    waves = [np.sin(2 * np.pi * time / length) for length in (20, 50, 80)]
    assert period(np.stack([*waves, np.ones(2000)], axis=1)) == 50


# scales


@pytest.mark.parametrize("how", ["zscore", "minmax", "none"])
def test_scaling_there_and_back_gives_the_values(how):
    scaler = Scaler.fit([SERIES], how=how)
    np.testing.assert_allclose(scaler.back(scaler(SERIES)), SERIES, atol=1e-12)


def test_training_has_mean_zero_and_deviation_one_or_range_zero_to_one():
    parts = [SERIES[:10], SERIES[10:]]
    z = Scaler.fit(parts)(SERIES)
    np.testing.assert_allclose([z.mean(0), z.std(0)], [[0, 0], [1, 1]], atol=1e-12)
    unit = Scaler.fit(parts, how="minmax")(SERIES)
    assert unit.min(0).tolist() == [0.0, 0.0]
    assert unit.max(0).tolist() == [1.0, 1.0]


def test_only_the_range_clips():
    far = np.array([[1e6, -1e6]])
    assert Scaler.fit([SERIES], how="minmax")(far).tolist() == [[5.0, -4.0]]
    assert np.abs(Scaler.fit([SERIES])(far)).min() > 1000


@pytest.mark.parametrize("how", ["zscore", "minmax"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_channel_becomes_zero_and_a_step_in_it_stays_finite(how, value):
    scaler = Scaler.fit([np.full((100, 1), value)], how=how)
    assert np.abs(scaler(np.full((5, 1), value))).max() < 1e-6
    assert np.isfinite(scaler(np.array([[value + 1.0]]))).all()


def test_a_scaler_comes_back_from_a_file(tmp_path):
    scaler = Scaler.fit([SERIES], how="minmax")
    limen.save(scaler, tmp_path / "scaler")
    again = limen.load(tmp_path / "scaler")
    assert np.array_equal(again(SERIES), scaler(SERIES))
    assert again.clip == scaler.clip
