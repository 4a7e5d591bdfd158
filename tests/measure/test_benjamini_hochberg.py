"""The false discovery rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from limen._core.errors import UsageError
from limen.measure.benjamini_hochberg import benjamini_hochberg
from limen.measure.delong import holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p_values)
def test_corrected_values_are_scipys(found):
    np.testing.assert_allclose(
        benjamini_hochberg(found), false_discovery_control(found), atol=1e-12
    )


@given(p_values)
def test_it_lies_between_no_correction_and_holms(found):
    corrected = benjamini_hochberg(found)
    assert (corrected >= np.asarray(found) - 1e-15).all()
    assert (corrected <= holm(found) + 1e-12).all()


@given(p_values, st.randoms())
def test_order_does_not_matter(found, random):
    order = list(range(len(found)))
    random.shuffle(order)
    moved = benjamini_hochberg([found[i] for i in order])
    np.testing.assert_array_equal(moved, benjamini_hochberg(found)[order])


def test_the_share_of_false_findings_is_held():
    draw = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        p = draw.random(40)
        p[:20] /= 2000  # true findings
        taken = benjamini_hochberg(p) <= 0.1
        shares.append(taken[20:].sum() / max(1, taken.sum()))
    assert np.mean(shares) < 0.06  # alpha times the share of true nulls is 0.05


@pytest.mark.parametrize("odd", [[], [1.2], [-0.1, 0.5], [np.nan]], ids=str)
def test_what_is_no_p_value_is_refused_by_the_false_discovery_rate(odd):
    with pytest.raises(UsageError, match="p_values"):
        benjamini_hochberg(odd)
