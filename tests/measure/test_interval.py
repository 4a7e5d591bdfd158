"""Intervals cover what they promise; the paired test is the permutation it claims to be."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limen._core.errors import UsageError
from limen.measure import Interval, bootstrap, interval, paired, student

rows = st.lists(st.integers(-20, 20).map(lambda tick: tick / 4), min_size=2, max_size=12)
SKEWED = np.random.default_rng(0).exponential(size=60)


def covered(make, draw, *, truth, trials=300):
    """Share of samples whose interval holds the truth."""
    stream = np.random.default_rng(1)
    found = [make(draw(stream)) for _ in range(trials)]
    return np.mean([i.low <= truth <= i.high for i in found])


# --- bootstrap


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_covers_the_mean_as_often_as_it_says(method):
    share = covered(
        lambda values: bootstrap(values, level=0.9, resamples=200, method=method),
        lambda stream: stream.normal(size=40),
        truth=0.0,
    )
    assert abs(share - 0.9) < 0.05  # three standard errors of 300 trials


def test_percentile_ends_are_the_quantiles_of_the_resampled_statistic():
    seen = []

    def mean(block, axis):
        seen.append(block.mean(axis=axis))
        return seen[-1]

    found = bootstrap(SKEWED, mean, level=0.8, resamples=500)
    draws = np.concatenate(seen[1:])
    assert len(draws) == 500
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.1, 0.9]), abs=1e-12)


@pytest.mark.parametrize("statistic", [np.mean, np.var, np.max])
def test_bca_equals_scipy_on_the_same_draws(statistic):
    seen = []

    def recorded(block, axis):
        seen.append(statistic(block, axis=axis))
        return seen[-1]

    found = bootstrap(SKEWED, recorded, resamples=999, method="bca")
    draws = next(block for block in seen if len(block) == 999)
    peer = stats.bootstrap(
        (SKEWED,), statistic, method="BCa", n_resamples=0, vectorized=True,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=draws),
    ).confidence_interval  # fmt: skip
    assert [found.low, found.high] == pytest.approx([peer.low, peer.high], abs=1e-12)


def test_bca_leans_towards_the_long_tail():
    plain, corrected = bootstrap(SKEWED), bootstrap(SKEWED, method="bca")
    assert corrected.low > plain.low
    assert corrected.high > plain.high


def test_bca_stays_finite_when_the_statistic_lies_outside_its_draws():
    def outlying(block, axis):  # of resamples it is always below what it is of the data
        return np.array([len(set(line)) for line in block], dtype=float)

    found = bootstrap(np.arange(30.0), outlying, resamples=99, method="bca")
    assert np.isfinite([found.low, found.high]).all()


def test_a_higher_level_is_a_wider_interval():
    narrow, wide = bootstrap(SKEWED, level=0.5), bootstrap(SKEWED, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_seed_alone_decides_the_draws():
    assert bootstrap(SKEWED, seed=3) == bootstrap(SKEWED, seed=3)
    assert bootstrap(SKEWED, seed=3) != bootstrap(SKEWED, seed=4)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_long_row_is_resampled_in_pieces(monkeypatch, method):
    monkeypatch.setattr(interval, "_BLOCK", 7 * len(SKEWED))
    sizes = []

    def mean(block, axis):
        sizes.append(len(block))
        return block.mean(axis=axis)

    found = bootstrap(SKEWED, mean, resamples=100, method=method)
    assert max(sizes) == 7
    assert found.low < SKEWED.mean() < found.high


@given(rows, st.floats(-5, 5))
def test_shifting_the_values_shifts_the_interval(values, shift):
    before = bootstrap(values, resamples=50)
    after = bootstrap(np.array(values) + shift, resamples=50)
    assert after.low == pytest.approx(before.low + shift, abs=1e-9)
    assert after.high == pytest.approx(before.high + shift, abs=1e-9)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_equal_values_leave_no_doubt(method):
    assert bootstrap([0.1] * 7, np.median, method=method) == Interval(0.1, 0.1, 0.95)


def test_values_may_be_a_tensor():
    tensor = torch.tensor([0.5, 1.5, 1.0], requires_grad=True)
    assert bootstrap(tensor) == bootstrap([0.5, 1.5, 1.0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"values": []}, "values must be one non-empty row"),
        ({"values": [[1.0], [2.0]]}, "values must be one non-empty row"),
        ({"values": [1.0, np.nan]}, "values must not hold NaN"),
        ({"values": [1.0, 2.0], "level": 1.0}, "level must be between 0 and 1, got 1.0"),
        ({"values": [1.0, 2.0], "resamples": 0}, "resamples must be at least 1, got 0"),
        ({"values": [1.0, 2.0], "method": "basic"}, "'percentile' or 'bca', got 'basic'"),
        ({"values": [1.0, 2.0], "statistic": lambda x, axis: x.mean()}, "must reduce axis=-1"),
    ],
)
def test_a_wrong_argument_is_named(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        bootstrap(**arguments)


# --- student


def test_student_equals_scipy():
    peer = stats.ttest_1samp(SKEWED, 0.0).confidence_interval(0.9)
    found = student(SKEWED, level=0.9)
    assert [found.low, found.high] == pytest.approx([peer.low, peer.high], abs=1e-12)


def test_five_seeds_are_covered_by_student_and_not_by_the_bootstrap():
    def draw(stream):
        return stream.normal(size=5)

    exact = covered(student, draw, truth=0.0)
    narrow = covered(lambda values: bootstrap(values, resamples=200), draw, truth=0.0)
    assert abs(exact - 0.95) < 0.04  # three standard errors of 300 trials
    assert narrow < 0.9


def test_the_bootstrap_of_five_values_is_more_than_a_third_too_narrow():
    stream = np.random.default_rng(2)
    ratios = []
    for values in stream.normal(size=(50, 5)):
        small, right = bootstrap(values), student(values)
        ratios.append((small.high - small.low) / (right.high - right.low))
    assert np.mean(ratios) < 2 / 3


def test_student_of_equal_values_is_that_value():
    assert student([0.1, 0.1, 0.1]) == Interval(0.1, 0.1, 0.95)


@pytest.mark.parametrize("make", [student, bootstrap])
def test_one_value_says_nothing_about_the_spread(make):
    found = make([0.5])
    assert np.isnan([found.low, found.high]).all()


def test_student_refuses_a_level_that_is_no_share():
    with pytest.raises(UsageError, match="level must be between 0 and 1, got 95"):
        student([1.0, 2.0], level=95)


# --- paired


def every_sign(gaps):
    sums = [abs(np.dot(signs, gaps)) for signs in product([-1, 1], repeat=len(gaps))]
    return np.mean([s >= abs(sum(gaps)) for s in sums])


@given(st.lists(st.integers(-20, 20).map(lambda tick: tick / 4), min_size=1, max_size=8))
def test_the_p_value_of_a_short_row_is_the_share_of_all_sign_patterns(gaps):
    assert paired(gaps, np.zeros(len(gaps)), resamples=1).p_value == every_sign(gaps)


def test_the_p_value_of_a_long_row_is_near_the_exact_one():
    gaps = np.random.default_rng(3).normal(0.4, 1.0, size=14)
    estimate = paired(gaps, np.zeros(14), resamples=4000).p_value
    assert abs(estimate - every_sign(gaps)) < 0.02  # three standard errors and a bit


def test_p_values_are_uniform_when_nothing_differs():
    stream = np.random.default_rng(4)
    found = [paired(*stream.normal(size=(2, 20)), resamples=99).p_value for _ in range(300)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_monte_carlo_p_value_is_never_zero():
    assert paired(np.ones(50), np.zeros(50), resamples=99).p_value == 0.01


@pytest.mark.parametrize("count", [3, 30])
def test_results_are_plain_floats(count):
    found = paired(SKEWED[:count], np.zeros(count), resamples=50)
    ends = found.interval.low, found.interval.high
    assert {type(v) for v in (found.difference, found.p_value, *ends)} == {float}


@given(rows)
def test_swapping_the_methods_only_turns_the_sign(values):
    there, back = paired(values, values[::-1]), paired(values[::-1], values)
    assert there.difference == -back.difference
    assert there.p_value == back.p_value


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_sums_that_are_equal_on_paper_count_as_equal(tenths):
    gaps = np.array(tenths) / 10  # 0.1 + 0.2 is not 0.3 to a computer
    assert paired(gaps, np.zeros(len(gaps)), resamples=1).p_value == every_sign(tenths)


def test_the_difference_is_the_mean_gap_inside_its_interval():
    stream = np.random.default_rng(6)
    a, b = stream.normal(1.0, 1.0, size=100), stream.normal(0.0, 1.0, size=100)
    found = paired(a, b)
    assert found.difference == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert 0 < found.interval.low < found.difference < found.interval.high
    assert found.p_value < 0.01


def test_equal_methods_are_not_different():
    found = paired(SKEWED, SKEWED)
    assert (found.difference, found.interval, found.p_value) == (0, Interval(0, 0, 0.95), 1)


def test_a_single_pair_proves_nothing():
    found = paired([2.0], [1.0])
    assert (found.difference, found.p_value) == (1, 1)
    assert np.isnan(found.interval.low)


def test_rows_must_pair_up():
    with pytest.raises(UsageError, match="a and b must pair row by row, got 2 and 1 rows"):
        paired([1.0, 2.0], [1.0])
