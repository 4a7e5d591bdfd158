"""Risk at every coverage, against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure import aurc, risk_coverage
from limen.measure.selective import risks

ROWS = st.lists(st.tuples(st.integers(0, 4).map(float), st.integers(0, 1)), min_size=1, max_size=12)


@given(ROWS)
def test_risk_is_the_share_of_errors_among_the_accepted(rows: list[tuple[float, int]]) -> None:
    scores, wrong = np.array(rows).T
    for coverage, risk, level in zip(*risks(scores, wrong), strict=True):
        accepted = scores <= level
        assert coverage == pytest.approx(accepted.mean())
        assert risk == pytest.approx(wrong[accepted].mean())


@given(ROWS)
def test_the_area_is_the_mean_over_orders_of_the_ties(rows: list[tuple[float, int]]) -> None:
    scores, wrong = np.array(rows).T
    stream = numpy_stream(0, "orders")
    areas = []
    for _ in range(400):
        order = np.lexsort((stream.random(len(scores)), scores))
        areas.append(np.mean(np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)))
    # 400 orders of a figure with deviation below 0.3: five standard errors are 0.075
    assert aurc(scores, wrong) == pytest.approx(np.mean(areas), abs=0.08)


def test_a_score_that_ranks_errors_last_has_the_lowest_area() -> None:
    wrong = np.array([0, 0, 0, 1, 1])
    best, worst = aurc(np.arange(5.0), wrong), aurc(-np.arange(5.0), wrong)
    assert best < aurc(np.zeros(5), wrong) < worst
    assert aurc(np.zeros(5), wrong) == pytest.approx(wrong.mean())


def test_the_curve_ends_at_full_coverage_with_the_error_rate() -> None:
    curve = risk_coverage([3.0, 1.0, 2.0, 2.0], [1, 0, 1, 0])
    assert (curve.gain[-1], curve.price[-1]) == (1.0, 0.5)


def test_unequal_lengths_and_negative_losses_are_refused() -> None:
    with pytest.raises(UsageError, match="got 2 and 1"):
        aurc([1.0, 2.0], [1])
    with pytest.raises(UsageError, match="at least 0"):
        aurc([1.0], [-1])
