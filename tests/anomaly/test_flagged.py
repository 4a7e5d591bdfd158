"""Alarms out of scores."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly.flagged import flagged, leading


def test_a_point_on_the_threshold_is_not_flagged():
    assert flagged(np.array([1.0, 1.0]), level=1.0, usual=0.0) == []


def test_stretches_are_joined_over_short_gaps_only():
    scores = np.array([2.0, 0, 2, 0, 0, 2])

    def spans(join):
        return [(a.start, a.end) for a in flagged(scores, level=1, usual=0, join=join)]

    assert spans(0) == [(0, 1), (2, 3), (5, 6)]
    assert spans(1) == [(0, 3), (5, 6)]
    assert spans(2) == [(0, 6)]


def test_severity_is_one_at_the_threshold_and_grows_in_its_steps():
    (found,) = flagged(np.array([0.0, 7.0]), level=3.0, usual=1.0)
    assert found.severity == 3.0
    assert found.at == 1


def test_without_a_step_above_the_usual_every_alarm_is_as_severe_as_can_be():
    (found,) = flagged(np.array([0.0, 7.0]), level=0.0, usual=0.0)
    assert found.severity == np.inf


def test_an_alarm_names_the_channels_that_make_half_of_it():
    parts = np.array([[0.0, 0, 0], [1, 6, 4]])
    (found,) = flagged(np.array([0.0, 9.0]), level=1.0, usual=0.0, parts=parts)
    assert found.channels == (1,)
    assert leading([3.0, 1, 3]) == (0, 2)
    assert leading([0.0, -1.0]) == ()


def test_a_negative_gap_is_refused():
    with pytest.raises(UsageError, match="join must be 0 or more"):
        flagged(np.zeros(2), level=0.0, usual=0.0, join=-1)
