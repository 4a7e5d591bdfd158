"""The price of catching events, in false alarms."""

import numpy as np
import pytest
from golden_scores import LABELS
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.anomaly.metrics import alarms, event_recall

SCORES = np.random.default_rng(0).random(200) + 0.3 * LABELS


@given(seed=st.integers(0, 10_000), size=st.integers(3, 30), decimals=st.integers(0, 2))
def test_every_setting_is_what_its_threshold_does(seed, size, decimals):
    stream = np.random.default_rng(seed)
    labels = stream.random(size) < 0.3
    labels[:2] = False, True
    scores = stream.random(size).round(decimals)
    found = alarms(scores, labels)
    for price, gain, knob in zip(found.price, found.gain, found.knob, strict=True):
        flags = scores > knob
        assert gain == pytest.approx(event_recall(flags.astype(int), labels))
        assert price == pytest.approx(1000 * flags[~labels].mean())


@pytest.mark.parametrize("count", ["points", "runs"])
def test_catching_more_never_costs_less(count):
    found = alarms(SCORES, LABELS, count=count)
    assert (np.diff(found.gain) > 0).all()
    assert (np.diff(found.price) >= 0).all()


def test_no_setting_is_missing_from_the_frontier():
    labels = np.arange(300) % 30 < 2
    scores = np.random.default_rng(1).random(300) + 0.4 * labels
    found = alarms(scores, labels)
    for level in np.unique(scores):
        flags = scores > level
        recall = event_recall(flags.astype(int), labels)
        assert found.at(gain=recall).price <= 1000 * flags[~labels].mean() + 1e-9


def test_a_stretch_of_false_alarms_counts_once():
    scores, labels = [0, 5, 5, 5, 0, 4, 0, 3], [0, 0, 0, 0, 0, 0, 0, 1]
    assert alarms(scores, labels).at(gain=1).price == pytest.approx(1000 * 4 / 7)
    assert alarms(scores, labels, count="runs").at(gain=1).price == pytest.approx(1000 * 2 / 7)


def test_a_stretch_that_an_event_cuts_is_two():
    scores, labels = [9, 9, 9, 0, 0], [0, 1, 0, 0, 0]
    assert alarms(scores, labels, count="runs").at(gain=1).price == pytest.approx(1000 * 2 / 4)


def test_flagging_everything_is_not_called_cheap():
    scores, labels = [0.0, 3, 0, 3, 0, 3, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]
    # at the event's height all is one stretch; three stood alone above it
    labels_, scores_ = np.array(labels), np.array(scores)
    two = np.append(labels_, [0, 1]), np.append(scores_, [0, 2])
    found = alarms(two[1], two[0], count="runs")
    assert found.at(gain=0.5).price == found.at(gain=1.0).price == pytest.approx(1000 * 3 / 8)


def test_per_day_is_per_point_times_points():
    each, day = alarms(SCORES, LABELS), alarms(SCORES, LABELS, points_per_day=1440)
    np.testing.assert_allclose(day.price, each.price * 1.44)
    assert "per day" in day.price_name
    assert "1,000" in each.price_name


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_labels_of_one_kind_are_refused(labels):
    with pytest.raises(UsageError, match="all the same"):
        alarms([0.0, 1.0], labels)


@pytest.mark.parametrize(
    ("options", "says"), [({"count": "all"}, "points, runs"), ({"points_per_day": 0}, "above 0")]
)
def test_unknown_options_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        alarms([0.0, 1.0], [0, 1], **options)
