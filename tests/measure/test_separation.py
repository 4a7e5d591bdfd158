"""AUROC, average precision, FPR at TPR and the ROC curve: equal to slow versions and to peers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from limen._core.errors import UsageError
from limen.measure import aupr, auroc, fpr_at_tpr, roc

# Few levels give ties; the mixture gives rows with none, some and only ties.
tied = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=30)
apart = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)
samples = st.one_of(tied, apart)
sides = st.sampled_from(["outlier", "inlier"])
rates = st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0])


def labelled(inliers, outliers, positive):
    """scikit-learn's form: 1 for the positive side, whose scores should be high."""
    labels = np.r_[np.zeros(len(inliers)), np.ones(len(outliers))]
    scores = np.r_[inliers, outliers]
    return (labels, scores) if positive == "outlier" else (1 - labels, -scores)


@given(samples, samples)
def test_auroc_is_the_share_of_pairs_won(inliers, outliers):
    wins = [(o > i) + 0.5 * (o == i) for i in inliers for o in outliers]
    assert auroc(inliers, outliers) == pytest.approx(np.mean(wins), abs=1e-12)


@given(samples, samples)
def test_auroc_equals_scikit_learn(inliers, outliers):
    peer = metrics.roc_auc_score(*labelled(inliers, outliers, "outlier"))
    assert auroc(inliers, outliers) == pytest.approx(peer, abs=1e-12)


@given(samples, samples, sides)
def test_aupr_equals_scikit_learn(inliers, outliers, positive):
    peer = metrics.average_precision_score(*labelled(inliers, outliers, positive))
    assert aupr(inliers, outliers, positive) == pytest.approx(peer, abs=1e-12)


@given(samples, samples, sides, rates)
def test_fpr_at_tpr_equals_the_first_sufficient_point_of_scikit_learn(
    inliers, outliers, positive, tpr
):
    false, true, _ = metrics.roc_curve(
        *labelled(inliers, outliers, positive), drop_intermediate=False
    )
    peer = false[np.flatnonzero(true >= tpr - 1e-9)[0]]
    assert fpr_at_tpr(inliers, outliers, tpr, positive=positive) == pytest.approx(peer, abs=1e-12)


@given(samples, samples)
def test_the_area_of_the_roc_curve_is_the_auroc(inliers, outliers):
    assert roc(inliers, outliers).area() == pytest.approx(auroc(inliers, outliers), abs=1e-12)


@given(samples, samples, rates)
def test_fpr_at_tpr_is_the_price_of_a_gain_on_the_roc_curve(inliers, outliers, tpr):
    assert fpr_at_tpr(inliers, outliers, tpr) == roc(inliers, outliers).at(gain=tpr).price


@given(samples, samples)
def test_each_knob_of_the_roc_curve_flags_what_its_point_says(inliers, outliers):
    curve = roc(inliers, outliers)
    for price, gain, knob in zip(curve.price, curve.gain, curve.knob, strict=True):
        assert price == np.mean(np.array(inliers) > knob)
        assert gain == np.mean(np.array(outliers) > knob)


@given(samples, samples)
def test_the_roc_curve_runs_from_nothing_to_everything(inliers, outliers):
    curve = roc(inliers, outliers)
    assert (curve.price[0], curve.gain[0]) == (0, 0)
    assert (curve.price[-1], curve.gain[-1]) == (1, 1)
    assert len(curve) == len({*inliers, *outliers}) + 1


@given(samples, samples)
def test_swapping_the_sides_mirrors_the_auroc(inliers, outliers):
    mirrored = 1 - auroc(outliers, inliers)
    assert auroc(inliers, outliers) == pytest.approx(mirrored, abs=1e-15)


@given(tied, tied, sides)
def test_only_the_order_of_scores_matters(inliers, outliers, positive):
    def bent(scores):
        return np.exp(np.array(scores)) - 7

    assert auroc(bent(inliers), bent(outliers)) == auroc(inliers, outliers)
    assert aupr(bent(inliers), bent(outliers), positive) == aupr(inliers, outliers, positive)
    assert fpr_at_tpr(bent(inliers), bent(outliers), positive=positive) == fpr_at_tpr(
        inliers, outliers, positive=positive
    )


@given(samples, samples, sides)
def test_the_order_of_rows_does_not_matter(inliers, outliers, positive):
    assert auroc(inliers[::-1], outliers[::-1]) == auroc(inliers, outliers)
    assert aupr(inliers[::-1], outliers[::-1], positive) == aupr(inliers, outliers, positive)
    assert roc(inliers[::-1], outliers[::-1]) == roc(inliers, outliers)


@given(samples, samples)
def test_negated_scores_swap_which_side_is_positive(inliers, outliers):
    negated = -np.array(outliers), -np.array(inliers)
    assert aupr(*negated, "outlier") == aupr(inliers, outliers, "inlier")
    assert fpr_at_tpr(*negated) == fpr_at_tpr(inliers, outliers, positive="inlier")


def test_perfect_separation_is_perfect_everywhere():
    inliers, outliers = [0.0, 1.0], [2.0, 3.0]
    assert auroc(inliers, outliers) == aupr(inliers, outliers) == 1
    assert aupr(inliers, outliers, "inlier") == 1
    assert fpr_at_tpr(inliers, outliers) == fpr_at_tpr(inliers, outliers, positive="inlier") == 0


def test_equal_scores_are_chance():
    inliers, outliers = [1.0] * 6, [1.0] * 2
    assert auroc(inliers, outliers) == 0.5
    assert aupr(inliers, outliers) == 0.25  # the share of the positive side
    assert fpr_at_tpr(inliers, outliers) == 1


def test_the_two_published_conventions_of_fpr_differ():
    inliers = np.arange(100.0)
    outliers = np.r_[np.full(90, 200.0), np.full(10, 94.5)]
    assert fpr_at_tpr(inliers, outliers) == 0.05  # 95 to 99 lie above the 95 % of outliers
    assert fpr_at_tpr(inliers, outliers, positive="inlier") == 0.0  # 0 to 94 are accepted


def test_infinite_scores_keep_their_rank():
    assert auroc([-np.inf, 0.0], [np.inf, np.inf]) == 1
    assert roc([-np.inf], [np.inf]).knob == (np.inf, -np.inf, -np.inf)


def test_tensors_maps_and_lists_give_the_same_number():
    inliers = torch.tensor([[0.0, 1.0], [2.0, 3.0]], dtype=torch.bfloat16, requires_grad=True)
    outliers = torch.tensor([1, 4])
    assert auroc(inliers, outliers) == auroc([0, 1, 2, 3], [1, 4])


def test_a_million_scores_take_no_pairs():
    scores = np.random.default_rng(0).integers(0, 1000, 500_000)
    assert auroc(scores, scores) == 0.5


@pytest.mark.parametrize("measure", [auroc, aupr, fpr_at_tpr, roc])
@pytest.mark.parametrize(
    ("inliers", "outliers", "name"),
    [([], [1.0], "inlier"), ([1.0], [], "outlier"), ([np.nan], [1.0], "inlier")],
)
def test_empty_and_nan_scores_are_refused_by_name(measure, inliers, outliers, name):
    with pytest.raises(UsageError, match=f"^{name}_scores must"):
        measure(inliers, outliers)


@pytest.mark.parametrize("tpr", [0.0, 1.1, -0.5, float("nan")])
def test_tpr_must_be_a_share(tpr):
    with pytest.raises(UsageError, match="tpr must be above 0 and at most 1"):
        fpr_at_tpr([0.0], [1.0], tpr)


@pytest.mark.parametrize("measure", [aupr, fpr_at_tpr])
def test_the_positive_side_must_be_one_of_two(measure):
    with pytest.raises(UsageError, match="positive must be 'outlier' or 'inlier', got 'id'"):
        measure([0.0], [1.0], positive="id")


def test_labels_in_place_of_scores_are_refused():
    with pytest.raises(UsageError, match="real numbers, got bool"):
        auroc(np.array([True, False]), [0.5, 0.25])
