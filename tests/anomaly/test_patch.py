"""Patching: what is replaced, what stays the parent's to the bit, and how the seams look."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.synth.patch import Patch
from limen.anomaly.synth.protocol import fade

LEVELS = ["segment", "dimension", "step"]


@pytest.fixture
def pair():
    stream = np.random.default_rng(0)
    windows = stream.uniform(size=(6, 40, 3))
    return windows, windows + 0.3 * np.cumsum(stream.normal(size=windows.shape), axis=1)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_not_masked_is_the_parents_to_the_bit(level, pair):
    made = Patch(1.0, level=level)(*pair, ranges=np.ones(3))
    assert 0 < made.mask.mean() < 1
    assert (made.windows == pair[0])[~made.mask].all()
    assert (made.windows != pair[0])[made.mask].all()


@pytest.mark.parametrize("level", LEVELS)
def test_no_deviation_is_above_infinity(level, pair):
    made = Patch(np.inf, level=level)(*pair, ranges=np.ones(3))
    assert not made.mask.any()
    assert np.array_equal(made.windows, pair[0])


@pytest.mark.parametrize("mode", ["relative", "literal"])
def test_at_tau_zero_every_channel_that_differs_is_replaced(mode, pair):
    windows, perturbed = pair
    perturbed[2, :, 1] = windows[2, :, 1]
    made = Patch(0.0, mode, "dimension")(windows, perturbed, ranges=np.ones(3))
    expected = np.ones((6, 3), dtype=bool)
    expected[2, 1] = False
    assert np.array_equal(made.mask.any(1), expected)
    assert np.allclose(made.windows, perturbed)


@pytest.mark.parametrize("level", LEVELS)
def test_the_relative_rule_does_not_depend_on_the_unit(level, pair):
    windows, perturbed = pair
    patch = Patch(0.5, level=level)
    one = patch(windows, perturbed, ranges=np.ones(3))
    a, b = np.array([4.0, 0.25, 16.0]), np.array([1.0, -2.0, 0.0])
    other = patch(a * windows + b, a * perturbed + b, ranges=a)
    assert np.array_equal(one.mask, other.mask)
    assert np.allclose(a * one.windows + b, other.windows)


def test_the_literal_rule_does():
    window = np.array([0.0, 1.0])[None, :, None]
    perturbed = window + 0.2  # squares sum to .08, then to 8
    patch = Patch(0.2, "literal", "dimension")
    assert not patch(window, perturbed, ranges=np.ones(1)).mask.any()
    assert patch(10 * window, 10 * perturbed, ranges=10 * np.ones(1)).mask.all()


def test_the_literal_rule_replaces_a_constant_channel_that_moves_at_all():
    window = np.zeros((1, 5, 1))
    made = Patch(0.4, "literal", "dimension")(window, window + 1e-6, ranges=np.ones(1))
    assert made.mask.all()


def test_steps_are_judged_one_by_one():
    window = np.zeros((1, 4, 1))
    perturbed = np.array([0.1, 0.3, -0.3, 0.1])[None, :, None]
    made = Patch(0.2, level="step")(window, perturbed, ranges=np.ones(1))
    assert made.windows.ravel().tolist() == [0.0, 0.3, -0.3, 0.0]


def test_segments_equal_the_slow_obvious_version(pair):
    windows, perturbed = pair
    patch = Patch(0.4, smooth=3, shortest=4)
    made = patch(windows, perturbed, ranges=np.ones(3))
    expected = windows.copy()
    for row, channel in np.ndindex(6, 3):
        change = perturbed[row, :, channel] - windows[row, :, channel]
        total = uniform_filter1d(np.abs(change), 3, mode="constant")
        count = uniform_filter1d(np.ones(40), 3, mode="constant")
        for start, end in runs(total > 0.4 * count):
            if end - start < 4:
                continue
            weights = fade(np.array([start, end]), 40, points=3)
            middle = (start + end) // 2
            weights[start : middle if start == 0 else start] = 1.0
            weights[(middle if end == 40 else end) : end] = 1.0
            expected[row, :, channel] += weights * change
    assert np.allclose(made.windows, expected)


def test_a_segment_fades_in_and_out():
    window = np.zeros((1, 40, 1))
    perturbed = window.copy()
    perturbed[0, 10:30] = 1.0
    made = Patch(0.5, smooth=1)(window, perturbed, ranges=np.ones(1)).windows[0, :, 0]
    jumps = np.abs(np.diff(made))
    assert jumps.max() < 0.4  # four steps of a cosine instead of one of 1
    assert (made[13:27] == 1).all()
    assert np.allclose(made, made[::-1])


def test_runs_that_are_too_short_stay_as_they_were():
    window = np.zeros((1, 40, 1))
    perturbed = window.copy()
    perturbed[0, 5:8] = 1.0
    perturbed[0, 20:26] = 1.0
    made = Patch(0.5, smooth=1, shortest=5)(window, perturbed, ranges=np.ones(1))
    assert runs(made.mask[0, :, 0]).tolist() == [[20, 26]]


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_changes_outside_the_span(level, pair):
    spans = np.array([[0, 10], [5, 30], [30, 40], [7, 9], [0, 40], [39, 40]])
    made = Patch(0.05, level=level)(*pair, ranges=np.ones(3), spans=spans)
    time = np.arange(40)
    outside = (time < spans[:, :1]) | (time >= spans[:, 1:])
    assert not made.mask[outside].any()
    assert made.mask.any((1, 2)).all()


def test_a_channel_is_judged_within_the_span():
    window = np.zeros((1, 10, 1))
    perturbed = window.copy()
    perturbed[0, :2] = 0.3
    patch = Patch(0.2, level="dimension")
    assert not patch(window, perturbed, ranges=np.ones(1)).mask.any()
    there = patch(window, perturbed, ranges=np.ones(1), spans=np.array([[0, 2]]))
    assert there.mask[0, :, 0].sum() == 2


def test_whole_channels_come_out_as_they_were_perturbed(pair):
    made = Patch(0.0, level="dimension")(*pair, ranges=np.ones(3))
    assert np.allclose(made.windows, pair[1], rtol=0, atol=1e-15)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_parents_precision_stays(kind, pair):
    made = Patch(0.3)(pair[0].astype(kind), pair[1], ranges=np.ones(3))
    assert made.windows.dtype == kind


def test_a_range_of_zero_counts_as_a_tiny_one():
    window = np.zeros((1, 8, 1))
    made = Patch(0.2, level="dimension")(window, window + 1e-7, ranges=np.zeros(1))
    assert made.mask.all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tau": -0.1}, "tau=-0.1 must be 0 or more"),
        ({"mode": "literal", "level": "step"}, "must be 'dimension'"),
        ({"smooth": 0}, "smooth=0"),
    ],
)
def test_impossible_options_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Patch(**options)
