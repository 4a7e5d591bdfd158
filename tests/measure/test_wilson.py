"""Intervals of shares and of their differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from limen._core.errors import UsageError
from limen.measure.wilson import newcombe, wilson


@given(st.integers(1, 200), st.data())
def test_wilsons_interval_is_scipys(count, data):
    hits = data.draw(st.integers(0, count))
    found, other = wilson(hits, count), binomtest(hits, count).proportion_ci(0.95, "wilson")
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)


@given(st.integers(1, 50), st.data())
def test_misses_have_the_mirrored_interval(count, data):
    hits = data.draw(st.integers(0, count))
    one, other = wilson(hits, count), wilson(count - hits, count)
    assert one.low == pytest.approx(1 - other.high, abs=1e-12)


# Table II of Newcombe 1998, method 10.
@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
    ids=str,
)
def test_newcombes_interval_has_the_published_values(first, second, low, high):
    found = newcombe(first, second)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)  # four digits printed


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_swapping_the_shares_mirrors_the_difference(m, n, data):
    a, b = data.draw(st.integers(0, m)), data.draw(st.integers(0, n))
    one, other = newcombe((a, m), (b, n)), newcombe((b, n), (a, m))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
    assert -1 - 1e-12 <= one.low < one.high <= 1 + 1e-12


def test_newcombes_interval_covers_the_true_difference():
    draw = np.random.default_rng(0)
    hits = [
        (found := newcombe((int(a), 20), (int(b), 30))).low <= 0.3 <= found.high
        for a, b in zip(draw.binomial(20, 0.9, 1500), draw.binomial(30, 0.6, 1500), strict=True)
    ]
    assert 0.93 < np.mean(hits) < 0.98


@pytest.mark.parametrize(
    ("hits", "count", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (0, 0, 0.95), (1, 2, 1.0)], ids=str
)
def test_impossible_shares_are_refused(hits, count, level):
    with pytest.raises(UsageError, match=r"hits|level"):
        wilson(hits, count, level=level)
