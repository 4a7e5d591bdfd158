"""The promise about false alarms holds, its fine print is honest, and it survives JSON."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen import Threshold
from limen._core.errors import UsageError

alphas = st.fractions(Fraction(1, 50), Fraction(49, 50), max_denominator=50)


def rates(alpha, count, draw, *, splits=200):
    """False-alarm rates of thresholds calibrated on `count` scores, each on 500 fresh ones."""
    stream = np.random.default_rng(0)
    found = []
    for _ in range(splits):
        threshold = Threshold(alpha).fit(draw(stream, count))
        found.append(threshold.flag(draw(stream, 500)).mean())
    return np.array(found), threshold.expected


@pytest.mark.parametrize(("alpha", "count"), [(0.05, 19), (0.05, 100), (0.2, 33)])
def test_the_mean_false_alarm_rate_is_the_expected_one(alpha, count):
    found, expected = rates(alpha, count, lambda stream, size: stream.standard_cauchy(size))
    assert abs(found.mean() - expected) < 2 * found.std(ddof=1) / math.sqrt(len(found))


def test_ties_only_lower_the_false_alarm_rate():
    found, expected = rates(0.1, 50, lambda stream, size: stream.integers(0, 4, size))
    assert found.mean() < expected


@given(alphas, st.integers(1, 60))
def test_the_level_is_the_exact_rank_of_the_formula(alpha, count):
    if (count + 1) * alpha < 1:
        with pytest.raises(UsageError):
            Threshold(float(alpha)).fit(np.arange(count))
        return
    threshold = Threshold(float(alpha)).fit(np.arange(1, count + 1)[::-1])
    assert threshold.level == math.ceil((count + 1) * (1 - alpha))
    assert threshold.expected == math.floor((count + 1) * alpha) / (count + 1)


@given(alphas, st.lists(st.integers(0, 9).map(float), min_size=60, max_size=80))
def test_no_more_calibration_scores_lie_above_than_allowed(alpha, scores):
    threshold = Threshold(float(alpha)).fit(scores)
    assert threshold.flag(scores).sum() <= math.floor((len(scores) + 1) * alpha)


@given(st.permutations(range(30)))
def test_the_order_of_calibration_does_not_matter(scores):
    assert Threshold(0.1).fit(list(scores)).level == 27


def test_a_smaller_alpha_flags_less():
    scores = np.arange(100.0)
    levels = [Threshold(alpha).fit(scores).level for alpha in (0.5, 0.1, 0.05, 0.01)]
    assert levels == sorted(levels)


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 19), (0.01, 99), (0.001, 999), (0.3, 3)])
def test_too_few_scores_are_told_how_many_are_needed(alpha, needed):
    with pytest.raises(UsageError, match=f"needs at least {needed} calibration scores, got"):
        Threshold(alpha).fit(np.arange(needed - 1))
    assert Threshold(alpha).fit(np.arange(needed)).level == needed - 1


def test_the_rounding_of_alpha_is_forgiven():
    assert 100 * 0.29 < 29  # to a computer
    assert Threshold(0.29).fit(np.arange(99.0)).expected == 0.29


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 2.0, float("nan"), True])
def test_alpha_must_be_a_share(alpha):
    with pytest.raises(UsageError, match="alpha must be between 0 and 1"):
        Threshold(alpha)


def test_an_alpha_of_almost_one_flags_all_but_the_smallest():
    assert Threshold(1 - 1e-12).fit([3.0, 1.0, 2.0]).level == 1


@pytest.mark.parametrize(
    "use", [lambda t: t.level, lambda t: t.expected, lambda t: t.flag([1.0]), Threshold.to_dict]
)
def test_a_threshold_must_be_fitted_before_use(use):
    with pytest.raises(UsageError, match=r"Threshold\(alpha\)\.fit\(scores\)"):
        use(Threshold())


@pytest.mark.parametrize(
    "scores", [[], [np.nan] * 30, [True] * 30, torch.zeros(30, dtype=torch.bool), [np.inf] * 30]
)
def test_fit_refuses_what_gives_no_level(scores):
    with pytest.raises(UsageError, match=r"^scores must"):
        Threshold().fit(scores)


def test_an_infinite_score_far_from_the_level_is_harmless():
    assert Threshold(0.5).fit([-np.inf, 1.0, np.inf]).level == 1


def test_a_failed_fit_leaves_the_old_one():
    threshold = Threshold(0.5).fit([1.0, 2.0, 3.0])
    with pytest.raises(UsageError):
        threshold.fit([np.nan])
    assert (threshold.level, threshold.count) == (2, 3)


def test_a_score_equal_to_the_level_is_not_flagged():
    assert Threshold(0.5).fit([1.0, 2.0, 3.0]).flag([2.0, np.nextafter(2.0, 3.0)]).tolist() == [
        False,
        True,
    ]


def test_an_array_in_is_an_array_out_of_the_same_shape():
    flags = Threshold(0.5).fit([1.0, 2.0, 3.0]).flag(np.full((2, 3), 9.0))
    assert isinstance(flags, np.ndarray)
    assert (flags.shape, flags.dtype) == ((2, 3), bool)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_a_tensor_in_is_a_tensor_out_on_its_device(dtype):
    scores = torch.tensor([[1, 2], [3, 4]], dtype=dtype)
    flags = Threshold(0.5).fit(torch.tensor([1.0, 2.0, 3.0])).flag(scores)
    assert torch.equal(flags, torch.tensor([[False, False], [True, True]]))
    assert flags.device == scores.device


def test_a_low_precision_score_meets_the_level_itself_and_not_its_rounding():
    above = torch.tensor([1.0], dtype=torch.bfloat16)
    assert Threshold(0.5).fit([1 - 1e-6]).flag(above).item()


@pytest.mark.parametrize("empty", [[], torch.zeros(0)])
def test_nothing_to_flag_is_nothing_flagged(empty):
    assert len(Threshold(0.5).fit([1.0]).flag(empty)) == 0


def test_nan_is_never_passed_off_as_an_inlier():
    with pytest.raises(UsageError, match="scores must not hold NaN, got 1 of 2"):
        Threshold(0.5).fit([1.0]).flag(torch.tensor([0.0, float("nan")]))


@given(st.lists(st.floats(-1e300, 1e300), min_size=20, max_size=30))
def test_the_round_trip_through_json_is_exact(scores):
    threshold = Threshold(0.07).fit(scores)
    assert Threshold.from_dict(json.loads(json.dumps(threshold.to_dict()))) == threshold


@pytest.mark.parametrize(
    "change", [{"other": 1}, {"alpha": 2.0}, {"level": float("nan")}, {"count": 0}]
)
def test_from_dict_refuses_what_no_fit_could_have_written(change):
    with pytest.raises(UsageError):
        Threshold.from_dict({"alpha": 0.5, "level": 1.0, "count": 3} | change)


def test_repr_shows_the_level_once_there_is_one():
    threshold = Threshold(0.5)
    assert repr(threshold) == "Threshold(alpha=0.5)"
    assert repr(threshold.fit([1.0, 2.0, 3.0])) == "Threshold(alpha=0.5, level=2.0, count=3)"
