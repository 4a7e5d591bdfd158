"""Point and event F1, the oracle's, the legacy ones, UCR accuracy, delay and NAB."""

from itertools import pairwise

import numpy as np
import pytest
from golden_scores import FLAGS, LABELS, SCORES
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from limen._core.errors import UsageError
from limen.anomaly.metrics import (
    best_f1_oracle,
    chance,
    delay,
    event_f1,
    event_precision,
    event_recall,
    legacy,
    nab_score,
    point_f1,
    ucr_accuracy,
    ucr_found,
)
from limen.anomaly.metrics.delay import sigmoid

PREDICTED = FLAGS.astype(int)

# F1 of points, PA, events, ranges, affiliation: what the package TSB-AD gives
GOLDEN = {
    "perfect": (0.999995, 1, 1, 1, 1),
    "ramp": (0.303028, 0.303030, 0.301205, 0.163934, 0.752042),
    "inverse": (0.222220, 0, 0, 0, 0.601474),
    "late": (0.599995, 0.727273, 0.545455, 0.387097, 0.938882),
    "noise": (0.232802, 0.625, 0.236559, 0.300321, 0.677210),
    "peaks": (0.303028, 1.0, 1.0, 0.461538, 0.975011),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_oracles_equal_the_code_of_tsb_ad(name):
    point, adjusted, *others = GOLDEN[name]
    found = [
        float(best_f1_oracle(SCORES[name], LABELS, kind=kind, variant="tsbad"))
        for kind in ("point", "event", "range", "affiliation")
    ]
    assert found == pytest.approx([point, *others], abs=1e-6)
    assert legacy.pa_f1(SCORES[name], LABELS) == pytest.approx(adjusted, abs=1e-6)


def test_alarms_get_what_tsb_ad_gives_them():
    assert point_f1(PREDICTED, LABELS) == pytest.approx(0.232558, abs=1e-6)
    assert legacy.pa_f1(PREDICTED, LABELS) == pytest.approx(0.689655, abs=1e-6)
    assert event_f1(PREDICTED, LABELS, variant="tsbad") == pytest.approx(0.357143, abs=1e-6)


def test_event_precision_counts_alarms_and_charges_for_flagging_everything():
    # one event found, one stretch wrong, 13 of 175 normal points flagged
    assert event_precision(PREDICTED, LABELS) == pytest.approx(1 / 2 * (1 - 13 / 175))
    assert event_recall(np.ones(200, dtype=int), LABELS) == 1.0
    assert event_f1(np.ones(200, dtype=int), LABELS) == 0.0


def test_an_event_found_twice_counts_once():
    labels = [0, 1, 1, 1, 0, 0]
    assert event_f1([0, 1, 0, 1, 0, 0], labels) == event_f1([0, 1, 0, 0, 0, 0], labels) == 1.0


def test_the_last_point_of_a_series_can_be_an_event():
    assert event_recall([0, 0, 1], [0, 0, 1]) == 1.0


def test_without_alarms_f1_is_0():
    assert point_f1([0, 0], [0, 1]) == event_f1([0, 0], [0, 1]) == 0.0
    assert np.isnan(event_precision([0, 0], [0, 1]))


def test_an_unknown_variant_is_refused():
    with pytest.raises(UsageError, match="events, tsbad"):
        event_f1([0, 1], [0, 1], variant="best")


@given(seed=st.integers(0, 10_000), size=st.integers(2, 15), decimals=st.integers(0, 2))
@settings(max_examples=20)
def test_the_oracle_of_points_tries_every_threshold(seed, size, decimals):
    stream = np.random.default_rng(seed)
    labels = (stream.random(size) < 0.3).astype(int)
    labels[:2] = 0, 1
    scores = stream.random(size).round(decimals)
    found = best_f1_oracle(scores, labels)
    tried = [f1_score(labels, scores >= level) for level in scores]
    assert found.value == pytest.approx(max(tried))
    assert f1_score(labels, scores > found.threshold) == pytest.approx(found.value)


@pytest.mark.parametrize("kind", ["event", "range", "affiliation"])
def test_no_threshold_does_better_than_the_oracle(kind):
    kinds = {"event": event_f1}
    found = best_f1_oracle(SCORES["noise"], LABELS, kind=kind)
    again = best_f1_oracle(SCORES["noise"], LABELS, kind=kind, levels=20)
    assert again.value <= found.value
    if kind in kinds:
        flags = SCORES["noise"] > found.threshold
        assert kinds[kind](flags, LABELS) == found.value


def test_the_oracle_is_stamped():
    assert "oracle" in str(best_f1_oracle(SCORES["late"], LABELS))


@pytest.mark.parametrize(
    ("options", "says"),
    [({"kind": "best"}, "kind"), ({"variant": "best"}, "variant"), ({"levels": 0}, "levels")],
)
def test_unknown_options_of_the_oracle_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        best_f1_oracle([0.0, 1.0], [0, 1], **options)


def test_point_adjustment_makes_random_scores_look_good():
    labels = np.zeros(2000, dtype=int)
    labels[500:700] = labels[1500:1650] = 1
    plain = chance(lambda s, y: float(best_f1_oracle(s, y)), labels, 3)
    assert plain < 0.35
    assert chance(legacy.pa_f1, labels, 3) > 0.9


def test_pa_k_falls_from_point_adjusted_to_plain():
    scores = SCORES["late"]
    found = [legacy.pa_k(scores, LABELS, k=k) for k in range(0, 101, 10)]
    assert found[0] == legacy.pa_f1(scores, LABELS)
    assert found[-1] == pytest.approx(best_f1_oracle(scores, LABELS).value)
    assert all(a >= b for a, b in pairwise(found))
    assert found[-1] < legacy.pa_k(scores, LABELS) < found[0]


def test_pa_k_asks_for_more_than_k_per_cent():
    scores, labels = np.array([0.0, 1, 0, 0, 0, 0]), [0, 1, 1, 1, 1, 0]
    assert legacy.pa_k(scores, labels, k=24) == 1.0  # one of four fires
    assert legacy.pa_k(scores, labels, k=25) == pytest.approx(0.4)
    with pytest.raises(UsageError, match="0 to 100"):
        legacy.pa_k(scores, labels, k=101)


def test_ucr_forgives_the_margin_and_no_more():
    labels = np.zeros(1000, dtype=int)
    labels[500:510] = 1
    at = {place: np.eye(1, 1000, place)[0] for place in (399, 400, 609, 610)}
    found = {place: ucr_found(scores, labels) for place, scores in at.items()}
    assert found == {399: 0.0, 400: 1.0, 609: 1.0, 610: 0.0}
    with pytest.raises(UsageError, match="margin"):
        ucr_found(at[400], labels, margin=-1)


def test_ucr_accuracy_leaves_out_series_without_an_event():
    found = ucr_accuracy([1.0, 0.0, float("nan"), 1.0])
    assert (found.value, found.series) == (pytest.approx(2 / 3), 3)
    with pytest.raises(UsageError, match="1 or 0"):
        ucr_accuracy([0.5])


def test_delay_counts_from_the_start_of_each_event_found():
    labels = [1, 1, 1, 0, 1, 1, 1, 0, 1]
    found = delay([0, 0, 1, 0, 1, 0, 1, 1, 0], labels)
    assert (found.mean, found.median, found.found, found.events) == (1.0, 1.0, 2, 3)


def test_delay_of_nothing_found_is_nan():
    found = delay([1, 0, 0], [0, 1, 0])
    assert np.isnan(found.mean)
    assert (found.found, found.events) == (0, 1)


def test_the_sigmoid_of_nab_has_the_published_values():
    assert sigmoid(np.array([-1.0, 0.0, 3.01])) == pytest.approx([0.98661, 0, -1], abs=1e-5)


def test_nab_scores_no_alarm_0_and_the_earliest_alarms_100():
    first = np.zeros(200, dtype=int)
    first[[60, 150]] = 1
    assert nab_score(first, LABELS) == pytest.approx(100)
    for profile in ("standard", "few_false", "few_missed"):
        assert nab_score(np.zeros(200, dtype=int), LABELS, profile=profile) == 0


def test_nab_pays_more_for_early_alarms_and_charges_for_false_ones():
    def score(*places, **options):
        return nab_score(np.isin(np.arange(200), places).astype(int), LABELS, **options)

    assert score(62) > score(70) > score(79) > score()
    assert score(62, 10) < score(62, 81) < score(62)
    assert score(62, 10, profile="few_false") < score(62, 10)
    with pytest.raises(UsageError, match="standard"):
        score(62, profile="best")


def test_nab_equals_its_formula_taken_step_by_step():
    # hits at 62 of [60, 80): y = -18/20; false at 20: -1; at 81: y = 2/19; event [150, 155) missed
    raw = sigmoid(np.array(-0.9)) / sigmoid(np.array(-1.0)) - 0.11 - 1
    raw += 0.11 * sigmoid(np.array(2 / 19))
    found = nab_score(np.isin(np.arange(200), [62, 70, 20, 81]).astype(int), LABELS)
    assert found == pytest.approx(float(100 * (raw + 2) / 4))
