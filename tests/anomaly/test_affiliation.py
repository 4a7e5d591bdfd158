"""Affiliation, against integrals taken by brute force."""

from itertools import pairwise

import numpy as np
import pytest
from golden_scores import FLAGS, LABELS
from hypothesis import given
from hypothesis import strategies as st

from limen.anomaly.events import runs
from limen.anomaly.metrics import affiliation


def brute(alarm, truth, steps=200):
    """Both values from means over a fine grid of time, straight from the definition."""
    grid = (np.arange(len(truth) * steps) + 0.5) / steps
    events, found = runs(truth), runs(alarm)
    middles = [(a[1] + b[0]) / 2 for a, b in pairwise(events)]
    edges = [0, *middles, len(truth)]

    def distance(x, spans):
        gaps = [np.maximum(np.maximum(a - x, x - b), 0) for a, b in spans]
        return np.min(gaps, axis=0)

    precisions, recalls = [], []
    for event, low, high in zip(events, edges[:-1], edges[1:], strict=True):
        zone = grid[(grid > low) & (grid < high)]
        spans = [np.clip(one, low, high) for one in found if one[1] > low and one[0] < high]
        if not spans:
            recalls.append(0.0)
            continue
        of_zone = np.sort(distance(zone, [event]))
        flagged = zone[distance(zone, spans) == 0]
        rank = np.searchsorted(of_zone, distance(flagged, [event]), side="left")
        precisions.append(np.mean(1 - rank / len(zone)))
        inside = zone[distance(zone, [event]) == 0]
        near = distance(inside, spans)
        within = np.minimum(near, inside - low) + np.minimum(near, high - inside)
        recalls.append(np.mean(1 - within / (high - low)))
    return np.mean(precisions) if precisions else float("nan"), np.mean(recalls)


def test_the_authors_example():
    alarm, truth = [int(c) for c in "0000100010"], [int(c) for c in "0001000111"]
    found = affiliation(alarm, truth)
    assert (round(found.precision, 2), round(found.recall, 2)) == (0.82, 0.84)  # their README


def test_f1_equals_that_of_tsb_ad():
    assert affiliation(FLAGS.astype(int), LABELS).f1 == pytest.approx(0.567188, abs=1e-6)


@given(seed=st.integers(0, 10_000), size=st.integers(3, 40))
def test_it_equals_integrals_by_brute_force(seed, size):
    stream = np.random.default_rng(seed)
    truth = (stream.random(size) < 0.2).astype(int)
    alarm = (stream.random(size) < 0.2).astype(int)
    truth[size // 2] = alarm[size // 3] = 1
    found, slow = affiliation(alarm, truth), brute(alarm, truth)
    # 200 steps a point: the grid's own error
    assert found.precision == pytest.approx(slow[0], abs=0.01)
    assert found.recall == pytest.approx(slow[1], abs=0.01)


def test_an_alarm_beside_an_event_is_worth_more_than_a_far_one():
    truth = np.zeros(100, dtype=int)
    truth[50:55] = 1
    near, far = np.zeros(100, dtype=int), np.zeros(100, dtype=int)
    near[57], far[3] = 1, 1
    close, away = affiliation(near, truth), affiliation(far, truth)
    assert close.precision > 0.85 > 0.1 > away.precision
    assert close.recall > away.recall


def test_it_is_the_same_backwards():
    alarm = FLAGS.astype(int)
    assert affiliation(alarm[::-1], LABELS[::-1]) == pytest.approx(affiliation(alarm, LABELS))


def test_dense_random_alarms_get_half_the_precision_and_almost_all_the_recall():
    stream = np.random.default_rng(0)
    truth = np.zeros(5000, dtype=int)
    for start in range(250, 5000, 500):
        truth[start : start + 10] = 1
    found = affiliation((stream.random(5000) < 0.2).astype(int), truth)
    assert found.precision == pytest.approx(0.5, abs=0.05)
    assert found.recall > 0.98


def test_without_alarms_nothing_is_recalled_and_precision_is_undefined():
    found = affiliation([0, 0, 0], [0, 1, 0])
    assert np.isnan(found.precision)
    assert (found.recall, found.f1) == (0.0, 0.0)
