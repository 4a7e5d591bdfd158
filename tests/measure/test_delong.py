"""DeLong's variance, interval and paired test against the slow obvious versions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure import (
    accuracy,
    aupr,
    aupr_interval,
    auroc,
    delong,
    delong_paired,
    detection_accuracy,
    fpr_at_tpr,
    fpr_interval,
    holm,
)
from limen.measure.delong import shares

TIED = st.lists(st.integers(0, 6).map(float), min_size=2, max_size=20)


def sample(name: str, m: int = 60, n: int = 40, shift: float = 1.0) -> tuple[np.ndarray, ...]:
    stream = numpy_stream(0, name)
    return stream.normal(size=m), shift + stream.normal(size=n)


@given(TIED, TIED)
def test_shares_equal_the_count_over_all_pairs(inliers: list[float], outliers: list[float]) -> None:
    a, b = np.array(inliers)[:, None], np.array(outliers)[None]
    wins = (b > a) + (b == a) / 2
    above, below = shares(inliers, outliers)
    np.testing.assert_allclose(above, wins.mean(1), atol=1e-12)
    np.testing.assert_allclose(below, wins.mean(0), atol=1e-12)


@given(TIED, TIED)
def test_areas_equal_scikit_learns_with_ties(inliers: list[float], outliers: list[float]) -> None:
    scores = np.array(inliers + outliers)
    truth = np.r_[np.zeros(len(inliers)), np.ones(len(outliers))]
    assert auroc(inliers, outliers) == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)
    expected = average_precision_score(truth, scores)
    assert aupr(inliers, outliers) == pytest.approx(expected, abs=1e-9)
    expected = average_precision_score(1 - truth, -scores)
    assert aupr(inliers, outliers, "inlier") == pytest.approx(expected, abs=1e-9)


def test_the_interval_is_the_bootstraps() -> None:
    inliers, outliers = sample("interval", 200, 200)
    stream = numpy_stream(0, "draws")
    draws = [auroc(stream.choice(inliers, 200), stream.choice(outliers, 200)) for _ in range(1000)]
    found = delong(inliers, outliers)
    # the quantiles of 1000 draws scatter by a tenth of the standard error, about 0.003
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.01)


def test_the_interval_covers_the_gaussian_oracle() -> None:
    truth = float(norm.cdf(2 / np.sqrt(2)))
    stream = numpy_stream(0, "coverage")
    held = 0
    for _ in range(300):
        found = delong(stream.normal(size=60), 2 + stream.normal(size=60))
        held += found.low <= truth <= found.high
    assert held / 300 == pytest.approx(0.95, abs=0.04)  # 3 binomial standard errors


@pytest.mark.slow
def test_gaussians_have_their_closed_form_figures() -> None:
    inliers, outliers = sample("oracle", 200_000, 200_000, 2.0)
    assert auroc(inliers, outliers) == pytest.approx(0.92135, abs=0.005)
    assert fpr_at_tpr(inliers, outliers, positive="inlier") == pytest.approx(0.36124, abs=0.005)
    assert detection_accuracy(inliers, outliers) == pytest.approx(0.84134, abs=0.005)


def test_perfect_separation_is_no_certainty() -> None:
    found = delong([1.0, 2.0], [3.0, 4.0, 5.0])
    assert found.high == 1
    assert found.low == pytest.approx(0.025**0.5)
    mirrored = delong([3.0, 4.0, 5.0], [1.0, 2.0])
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_a_monotone_transform_changes_no_test() -> None:
    a, b = sample("a"), sample("b")
    moved = tuple(np.exp(side) for side in a)
    assert delong_paired(a, b) == delong_paired((moved[0], moved[1]), (b[0], b[1]))


def test_pairing_narrows_what_is_hard_for_both() -> None:
    inliers, outliers = sample("hard")
    noise = numpy_stream(0, "noise")
    near = (inliers + noise.normal(0, 0.1, 60), outliers + noise.normal(0, 0.1, 40))
    together = delong_paired((inliers, outliers), near).interval
    apart = delong_paired((inliers, outliers), sample("other")).interval
    assert together.high - together.low < (apart.high - apart.low) / 2


def test_equal_scores_differ_by_nothing_and_swapping_turns_the_sign() -> None:
    a, b = sample("first"), sample("second", shift=0.3)
    assert delong_paired(a, a).p_value == 1
    there, back = delong_paired(a, b), delong_paired(b, a)
    assert there.difference == -back.difference
    assert there.p_value == back.p_value
    assert there.difference == pytest.approx(auroc(*a) - auroc(*b))


@pytest.mark.slow
def test_the_p_value_is_uniform_where_nothing_differs() -> None:
    stream = numpy_stream(0, "null")
    small = 0
    for _ in range(3000):
        base = stream.normal(size=100)
        a, b = (base + stream.normal(size=100) for _ in range(2))
        small += delong_paired((a[:50], a[50:]), (b[:50], b[50:])).p_value < 0.1
    assert small / 3000 == pytest.approx(0.1, abs=0.0165)  # 3 binomial standard errors


def test_a_few_rows_prove_little_even_where_nothing_varies() -> None:
    right, reversed_ = ([1.0, 2.0], [3.0, 4.0]), ([3.0, 4.0], [1.0, 2.0])
    assert delong_paired(right, reversed_).p_value == 0.5


def test_other_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="60 and 59 inliers"):
        delong_paired(sample("x"), sample("x", 59))
    with pytest.raises(UsageError, match="two scores on each side, got 1 and 2"):
        delong([1.0], [1.0, 2.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_raises_p_values_and_keeps_their_order(p_values: list[float]) -> None:
    found = holm(p_values)
    assert (found >= np.array(p_values)).all()
    assert found.max() <= 1
    assert (np.diff(found[np.argsort(p_values, kind="stable")]) >= 0).all()
    assert found.min() == min(1, min(p_values) * len(p_values))


@pytest.mark.parametrize("positive", ["inlier", "outlier"])
def test_the_quick_fpr_draws_are_the_slow_ones(positive: str) -> None:
    inliers, outliers = (np.round(side, 1) for side in sample("fpr", 150, 120))
    stream = numpy_stream(0, "slow")
    draws = [
        fpr_at_tpr(stream.choice(inliers, 150), stream.choice(outliers, 120), positive=positive)
        for _ in range(1000)
    ]
    found = fpr_interval(inliers, outliers, positive=positive, resamples=5000)
    # the quantiles of 1000 draws of a figure with deviation about 0.1 scatter by 0.01
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.04)


@pytest.mark.parametrize("positive", ["inlier", "outlier"])
def test_jackknife_and_bootstrap_agree_on_average_precision(positive: str) -> None:
    inliers, outliers = (np.round(side, 1) for side in sample("aupr", 300, 200))
    quick = aupr_interval(inliers, outliers, positive)
    drawn = aupr_interval(inliers, outliers, positive, method="bootstrap")
    assert [quick.low, quick.high] == pytest.approx([drawn.low, drawn.high], abs=0.02)


@settings(max_examples=20)
@given(TIED, TIED)
def test_the_jackknife_interval_holds_its_figure(
    inliers: list[float], outliers: list[float]
) -> None:
    found = aupr_interval(inliers, outliers)
    assert found.low - 1e-12 <= aupr(inliers, outliers) <= found.high + 1e-12


def test_a_bootstrap_of_many_draws_each_row_of_its_own_side() -> None:
    found = aupr_interval([1.0, 2.0], [3.0, 4.0], method="bootstrap", resamples=50)
    assert (found.low, found.high) == (1.0, 1.0)


def test_accuracy_refuses_labels_out_of_range() -> None:
    assert accuracy([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], [1, 0, 1]) == pytest.approx(2 / 3)
    with pytest.raises(UsageError, match="labels must be 0 to 1, got 2"):
        accuracy([[0.0, 1.0]], [2])


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"resamples": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        fpr_interval([1.0, 2.0], [3.0, 4.0], **wrong)  # type: ignore[arg-type]
