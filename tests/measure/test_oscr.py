"""Open-set classification against the count over all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.measure import auroc, oscr, oscr_curve

INLIERS = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.integers(0, 1)), min_size=1, max_size=15
)
OUTLIERS = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=15)


@given(INLIERS, OUTLIERS)
def test_the_area_is_the_share_of_pairs_won_by_right_inliers(
    rows: list[tuple[float, int]], outliers: list[float]
) -> None:
    scores, right = np.array(rows).T
    a, b = scores[:, None], np.array(outliers)[None]
    pairs = right[:, None] * ((b > a) + (b == a) / 2)
    assert oscr(scores, right, outliers) == pytest.approx(pairs.mean(), abs=1e-12)


@given(INLIERS, OUTLIERS)
def test_the_area_is_the_trapezoid_under_its_curve(
    rows: list[tuple[float, int]], outliers: list[float]
) -> None:
    scores, right = np.array(rows).T
    curve = oscr_curve(scores, right, outliers)
    expected = np.trapezoid(curve.gain, curve.price)
    assert oscr(scores, right, outliers) == pytest.approx(expected, abs=1e-12)


def test_a_classifier_without_errors_has_the_auroc() -> None:
    inliers, outliers = [1.0, 2.0, 2.0], [2.0, 3.0]
    assert oscr(inliers, [1, 1, 1], outliers) == auroc(inliers, outliers)


def test_it_is_at_most_the_accuracy() -> None:
    assert oscr([1.0, 2.0], [True, False], [3.0]) == 0.5


def test_correctness_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="each of the 2 inliers, got 1"):
        oscr([1.0, 2.0], [1], [3.0])
    with pytest.raises(UsageError, match="0 or 1"):
        oscr([1.0], [2], [3.0])
