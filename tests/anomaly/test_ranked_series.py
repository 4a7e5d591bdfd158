"""Ranking points, what chance gets, and what every metric refuses."""

import warnings
from functools import partial

import numpy as np
import pytest
from golden_scores import LABELS, SCORES
from sklearn.metrics import average_precision_score, roc_auc_score

from limen._core.errors import UsageError
from limen.anomaly import metrics
from limen.anomaly.metrics import auc_pr, auc_roc, chance

OF_SCORES = {
    "auc_pr": auc_pr,
    "auc_roc": auc_roc,
    "vus_pr": partial(metrics.vus_pr, window=4),
    "vus_roc": partial(metrics.vus_roc, window=4),
    "best_f1_oracle": lambda s, y: metrics.best_f1_oracle(s, y).value,
    "pa_f1": metrics.legacy.pa_f1,
    "pa_k": metrics.legacy.pa_k,
    "ucr_found": metrics.ucr_found,
}
OF_ALARMS = {
    "point_f1": metrics.point_f1,
    "event_f1": metrics.event_f1,
    "event_recall": metrics.event_recall,
    "event_precision": metrics.event_precision,
    "range_f1": metrics.range_f1,
    "range_recall": metrics.range_recall,
    "range_precision": metrics.range_precision,
    "affiliation": lambda p, y: metrics.affiliation(p, y).recall,
    "delay": lambda p, y: metrics.delay(p, y).mean,
    "nab_score": metrics.nab_score,
}
EACH = pytest.mark.parametrize("name", [*OF_SCORES, *OF_ALARMS])


def metric(name):
    return OF_SCORES.get(name) or OF_ALARMS[name]


@pytest.mark.parametrize(
    ("name", "pr", "roc"),
    [
        ("perfect", 1.0, 1.0),
        ("ramp", 0.105975, 0.422857),
        ("inverse", 0.125, 0.0),
        ("late", 0.331397, 0.777143),
        ("noise", 0.098013, 0.381714),
        ("peaks", 0.186126, 0.459429),
    ],
)
def test_areas_equal_stored_values_and_scikit_learn(name, pr, roc):
    scores = SCORES[name]
    assert auc_pr(scores, LABELS) == pytest.approx(pr, abs=1e-6)
    assert auc_roc(scores, LABELS) == pytest.approx(roc, abs=1e-6)
    assert auc_pr(scores, LABELS) == pytest.approx(average_precision_score(LABELS, scores))
    assert auc_roc(scores, LABELS) == pytest.approx(roc_auc_score(LABELS, scores))


def test_chance_of_average_precision_is_near_the_prevalence():
    labels = np.arange(20_000) % 10 == 0
    assert chance(auc_pr, labels) == pytest.approx(0.1, abs=0.005)


def test_chance_is_the_same_for_the_same_seed_and_differs_for_another():
    assert chance(auc_roc, LABELS, 3) == chance(auc_roc, LABELS, 3)
    assert chance(auc_roc, LABELS, 3) != chance(auc_roc, LABELS, 3, seed=1)


def test_chance_is_the_mean_over_its_draws():
    draws = []
    found = chance(lambda s, y: draws.append(s.mean()) or float(s.mean()), LABELS, 4)
    assert found == pytest.approx(np.mean(draws))
    assert len(set(draws)) == 4


def test_chance_warns_once_where_nothing_is_labelled():
    with pytest.warns(UserWarning, match="nan") as caught:
        assert np.isnan(chance(auc_pr, [0, 0, 0]))
    assert len(caught) == 1


def test_chance_needs_a_draw():
    with pytest.raises(UsageError, match="seeds must be 1"):
        chance(auc_pr, LABELS, 0)


@EACH
def test_without_a_labelled_point_a_metric_is_nan_with_one_warning(name):
    with pytest.warns(UserWarning, match="no point is labelled") as caught:
        assert np.isnan(metric(name)([0, 1, 0], [0, 0, 0]))
    assert len(caught) == 1


@pytest.mark.parametrize(
    "name", sorted([*OF_SCORES.keys() - {"ucr_found"}, "event_f1", "event_precision"])
)
def test_without_a_normal_point_a_metric_of_false_alarms_is_nan_with_one_warning(name):
    with pytest.warns(UserWarning, match="every point is labelled") as caught:
        assert np.isnan(metric(name)([0, 1, 0], [1, 1, 1]))
    assert len(caught) == 1


@EACH
def test_labels_of_another_length_are_refused(name):
    with pytest.raises(UsageError, match="3 points, 2 labels"):
        metric(name)([0, 1, 0], [0, 1])


@EACH
def test_other_labels_than_0_and_1_are_refused(name):
    with pytest.raises(UsageError, match="0 and 1"):
        metric(name)([0, 1, 0], [0, 2, 1])


@pytest.mark.parametrize("name", OF_SCORES)
def test_scores_that_are_nan_are_refused(name):
    with pytest.raises(UsageError, match="NaN"):
        metric(name)([0.0, float("nan"), 1.0], [0, 1, 0])


@pytest.mark.parametrize("name", OF_SCORES)
def test_scores_of_several_columns_are_refused(name):
    with pytest.raises(UsageError, match=r"\(time,\)"):
        metric(name)(np.zeros((3, 2)), [0, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("name", OF_ALARMS)
def test_scores_in_place_of_alarms_are_refused(name):
    with pytest.raises(UsageError, match="threshold first"):
        metric(name)([0.1, 0.7, 0.2], [0, 1, 0])


@EACH
def test_perfect_scores_and_alarms_are_the_best(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metric(name)(LABELS, LABELS)
    assert found == {"delay": 0.0, "nab_score": 100.0}.get(name, pytest.approx(1.0))
