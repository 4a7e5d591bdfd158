"""Range precision and recall, against aeon and by hand."""

import numpy as np
import pytest
from golden_scores import FLAGS, LABELS
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.anomaly.metrics import range_f1, range_precision, range_recall

PREDICTED = FLAGS.astype(int)


def test_a_hand_counted_case():
    # of [60, 80) a quarter is found, of [150, 155) nothing; of [75, 90) a third is right
    assert range_recall(PREDICTED, LABELS) == pytest.approx(0.125)
    assert range_recall(PREDICTED, LABELS, alpha=0.5) == pytest.approx(0.3125)
    assert range_precision(PREDICTED, LABELS) == pytest.approx(1 / 6)


def test_with_the_roles_exchanged_recall_and_precision_change_places():
    assert range_recall(LABELS, PREDICTED) == pytest.approx(0.166667, abs=1e-6)
    assert range_recall(LABELS, PREDICTED, alpha=0.5) == pytest.approx(0.333333, abs=1e-6)
    assert range_precision(LABELS, PREDICTED) == pytest.approx(0.125)


def test_with_alpha_0_2_f1_is_that_of_tsb_ad():
    assert range_f1(PREDICTED, LABELS, alpha=0.2) == pytest.approx(0.181818, abs=1e-6)


@pytest.mark.parametrize("bias", ["flat", "front", "middle", "back"])
@pytest.mark.parametrize("cardinality", ["one", "reciprocal"])
@given(seed=st.integers(0, 10_000), size=st.integers(6, 60))
def test_all_three_equal_aeon(bias, cardinality, seed, size):
    aeon = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")
    stream = np.random.default_rng(seed)
    truth = (np.convolve(stream.random(size) < 0.1, np.ones(4), "same") > 0).astype(int)
    alarm = (np.convolve(stream.random(size) < 0.1, np.ones(2), "same") > 0).astype(int)
    truth[:2], alarm[:2] = (1, 0), (0, 1)  # both kinds in both
    options = {"bias": bias, "cardinality": cardinality}
    recall = aeon.range_recall(truth, alarm, alpha=0.3, **options)
    precision = aeon.range_precision(truth, alarm, **options)
    both = aeon.range_f_score(
        truth, alarm, r_alpha=0.5, p_bias=bias, r_bias=bias, cardinality=cardinality
    )
    assert range_recall(alarm, truth, alpha=0.3, **options) == pytest.approx(recall)
    assert range_precision(alarm, truth, **options) == pytest.approx(precision)
    assert range_f1(alarm, truth, alpha=0.5, **options) == pytest.approx(both)


def test_a_front_bias_pays_for_the_first_points():
    labels = [0, 1, 1, 1, 1, 0]
    early, late = [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]
    assert range_recall(early, labels, bias="front") == pytest.approx(0.4)
    assert range_recall(late, labels, bias="front") == pytest.approx(0.1)
    assert range_recall(late, labels, bias="back") == pytest.approx(0.4)


def test_an_event_in_two_pieces_is_worth_half():
    labels, pieces = [0, 1, 1, 1, 0], [0, 1, 0, 1, 0]
    whole = range_recall(pieces, labels, cardinality="one")
    assert range_recall(pieces, labels) == pytest.approx(whole / 2)


def test_without_alarms_precision_is_undefined_and_f1_is_0():
    assert np.isnan(range_precision([0, 0, 0], [0, 1, 0]))
    assert range_f1([0, 0, 0], [0, 1, 0]) == 0.0


@pytest.mark.parametrize(
    ("options", "says"),
    [({"alpha": 2.0}, "alpha"), ({"bias": "up"}, "flat, front"), ({"cardinality": "two"}, "one")],
)
def test_unknown_options_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        range_f1([0, 1], [0, 1], **options)
