"""Volume under the surface, against its definition, its published code's values and its speed."""

from time import process_time

import numpy as np
import pytest
from golden_scores import FLAGS, LABELS, SCORES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from limen._core.errors import UsageError
from limen.anomaly.events import runs
from limen.anomaly.metrics.chance import chance
from limen.anomaly.metrics.vus import areas, vus, vus_pr, vus_roc


def naive(scores, labels, *, window, variant, ranks):
    """Both volumes as defined: one buffer and one threshold at a time."""
    levels = np.sort(scores)[::-1][np.linspace(0, len(scores) - 1, ranks).astype(int)]
    found = []
    for w in range(window + 1):
        credit, groups = widened(labels, w, variant)
        recalls, falses, precisions = [0.0], [0.0], [1.0]
        for level in levels:
            flags = scores >= level
            true = np.sum(flags & (labels == 1)) + np.sum(credit * flags)
            total = np.sum(credit * flags) if variant == "tsbad" else credit.sum()
            positive = labels.sum() + total / 2
            exists = np.mean([flags[low : high + 1].any() for low, high in groups])
            recalls.append(min(true / positive, 1) * exists)
            false = (flags.sum() - true) / (len(scores) - positive)
            falses.append(false if variant == "tsbad" else min(false, 1))
            precisions.append(true / flags.sum())
        height = np.array(precisions[1:])
        if variant == "original":
            height = (height + np.array(precisions[:-1])) / 2
        pr = np.sum(np.diff(recalls) * height)
        found.append((pr, trapezoid([*recalls, 1], [*falses, 1])))
    return np.mean(found, axis=0)


def widened(labels, w, variant):
    """How far each point beside an event counts, and the widened events, joined where they meet."""
    before = after = w // 2
    if variant == "original":
        before, after = (w // 2, w // 2 - 1) if w > 1 else (0, 0)
    credit, groups = np.zeros(len(labels)), []
    for start, end in runs(labels).tolist():
        low, high = max(0, start - before), min(len(labels), end + after) - 1
        for t in [t for t in range(low, high + 1) if not labels[t]]:
            credit[t] += np.sqrt(max(0, 1 - max(start - t, t - end + 1) / max(w, 1)))
        if groups and low <= groups[-1][1] + (variant == "original"):
            groups[-1][1] = high
        else:
            groups.append([low, high])
    return np.minimum(credit, 1), groups


@pytest.mark.parametrize(
    ("name", "pr", "roc"),
    [
        ("perfect", 1.0, 1.0),
        ("ramp", 0.127707, 0.427813),
        ("inverse", 0.133726, 0.140571),
        ("late", 0.493482, 0.848840),
        ("noise", 0.117319, 0.450105),
        ("peaks", 0.210788, 0.523032),
    ],
)
def test_it_equals_the_code_of_tsb_ad(name, pr, roc):
    # values that the package TSB-AD gives, window 10, six digits
    assert vus(SCORES[name], LABELS, window=10) == pytest.approx((pr, roc), abs=1e-6)


def test_alarms_are_scores_too():
    assert vus_pr(FLAGS, LABELS, window=10) == pytest.approx(0.192405, abs=1e-6)  # TSB-AD's


@pytest.mark.parametrize(
    ("name", "pr", "roc", "at_ten"),
    [
        ("perfect", 0.956936, 0.949329, 0.906735),
        ("ramp", 0.121956, 0.411680, 0.154590),
        ("inverse", 0.182257, 0.119825, 0.330629),
        ("late", 0.399827, 0.793682, 0.614951),
        ("noise", 0.111712, 0.417743, 0.140580),
        ("peaks", 0.196753, 0.498586, 0.221268),
    ],
)
def test_the_original_equals_aeon(name, pr, roc, at_ten):
    found = vus(SCORES[name], LABELS, window=10, variant="original")
    alone, _ = areas(SCORES[name], LABELS == 1, buffers=[10], variant="original")
    assert found == pytest.approx((pr, roc), abs=1e-6)
    assert alone[0] == pytest.approx(at_ten, abs=1e-6)


def test_it_equals_the_code_of_tsb_ad_on_longer_series():
    stream = np.random.RandomState(1)
    wanted = [(0.77107661, 0.93993123), (0.89266102, 0.97717538), (0.83569432, 0.97376052)]
    for (size, window), values in zip([(300, 10), (1000, 50), (2000, 100)], wanted, strict=True):
        labels = np.zeros(size, dtype=int)
        for _ in range(4):
            start = stream.randint(5, size - 60)
            labels[start : start + stream.randint(1, 40)] = 1
        scores = stream.rand(size) + 0.7 * labels
        assert vus(scores, labels, window=window) == pytest.approx(values, abs=5e-9)


@pytest.mark.parametrize("variant", ["tsbad", "original"])
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(4, 40),
    window=st.integers(0, 9),
    decimals=st.integers(0, 3),
)
@settings(max_examples=25)
def test_it_equals_the_definition_taken_literally(variant, seed, size, window, decimals):
    stream = np.random.default_rng(seed)
    labels = (stream.random(size) < 0.25).astype(int)
    labels[:2] = 0, 1  # points of both kinds; events at the ends and ties come by themselves
    scores = (stream.random(size) + 0.3 * labels).round(decimals)
    options = {"window": window, "variant": variant, "ranks": 25}
    found, slow = vus(scores, labels, **options), naive(scores, labels, **options)
    assert found == pytest.approx(tuple(slow), abs=1e-12)


def test_it_equals_aeon_in_the_original_variant():
    aeon = pytest.importorskip("aeon.benchmarking.metrics.anomaly_detection")
    stream = np.random.default_rng(0)
    labels = (np.convolve(stream.random(400) < 0.01, np.ones(9), "same") > 0).astype(int)
    scores = stream.random(400) + 0.5 * labels
    found = vus(scores, labels, window=20, variant="original")
    peer = (
        aeon.range_pr_vus_score(labels, scores, max_buffer_size=20),
        aeon.range_roc_vus_score(labels, scores, max_buffer_size=20),
    )
    assert found == pytest.approx(peer, abs=1e-12)


def test_an_event_that_ends_the_series_is_whole():
    assert vus_pr([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1], window=2) == 1.0


def test_only_the_order_of_scores_matters():
    scores = SCORES["noise"]
    assert vus(np.exp(scores), LABELS, window=10) == vus(scores, LABELS, window=10)


def test_a_near_miss_is_worth_more_than_a_far_one():
    near, far = np.zeros(200), np.zeros(200)
    near[57], far[20] = 1, 1
    assert vus_pr(near, LABELS, window=10) > vus_pr(far, LABELS, window=10)


def test_every_score_can_be_a_threshold():
    coarse = vus_pr(SCORES["noise"], LABELS, window=10, ranks=20)
    fine = vus_pr(SCORES["noise"], LABELS, window=10, ranks=200)
    assert vus_pr(SCORES["noise"], LABELS, window=10, ranks=None) == pytest.approx(fine)
    assert coarse != pytest.approx(fine)


def test_without_a_window_the_period_of_the_series_is_taken():
    series = np.sin(2 * np.pi * np.arange(1000) / 20)
    labels = np.arange(1000) // 10 == 40
    scores = np.random.default_rng(0).random(1000)
    assert vus(scores, labels, series=series) == vus(scores, labels, window=20)


def test_random_scores_get_more_than_a_half_under_many_short_events():
    labels = np.zeros(4000, dtype=int)
    for start in range(100, 4000, 200):
        labels[start : start + 4] = 1
    found = chance(lambda s, y: vus_roc(s, y, window=100), labels, seeds=3)
    assert found > 0.65


def test_a_long_series_takes_a_fraction_of_a_second():
    stream = np.random.default_rng(0)
    labels = np.zeros(100_000, dtype=int)
    for start in stream.integers(0, 99_000, 50):
        labels[start : start + 60] = 1
    start = process_time()
    vus(stream.random(100_000) + 0.3 * labels, labels, window=100)
    assert process_time() - start < 1  # the vus package: 20 s; here some 0.03 s


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "needs window="),
        ({"window": -1}, "0 or more"),
        ({"window": 1, "variant": "best"}, "tsbad, original"),
        ({"window": 1, "ranks": 1}, "ranks must be 2"),
    ],
)
def test_what_makes_no_sense_is_refused(options, says):
    with pytest.raises(UsageError, match=says):
        vus_pr([0.0, 1.0], [0, 1], **options)
