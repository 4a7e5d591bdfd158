"""The one call, and the metrics under attack."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limen._core.errors import UsageError
from limen.unlearn import Quantisation, TokenNoise, attack, robustness
from limen.unlearn.attack import correlation, slope
from limen.unlearn.attacks.suite import suite, table
from limen.unlearn.task import Task

VALUES = arrays(float, (1, 6), elements=st.floats(-10, 10).map(lambda x: round(x, 3)))


def values(*numbers):
    return {"forget": {"strength": np.array(numbers)}}


def cells(before, after, **settings):
    return robustness(before, {"noise": after}, **settings).rows[0][2:]


def test_it_is_the_suite_on_a_task(learnt, tokenizer, rows):
    attacks = [TokenNoise(rate=0.3), Quantisation(bits=4)]
    task = Task(tokenizer, forget=rows[:2], retain=rows[2:5])
    found = attack(learnt, tokenizer, forget=rows[:2], retain=rows[2:5], attacks=attacks)
    assert found == table(suite(learnt, task, attacks))


def test_a_row_cannot_be_both_to_forget_and_to_keep(learnt, tokenizer, rows):
    with pytest.raises(UsageError, match="must not share rows"):
        attack(learnt, tokenizer, forget=rows[:2], retain=rows[1:4])


@given(VALUES, VALUES)
def test_correlation_and_slope_are_numpys(x, y):
    assume(min(np.std(x), np.std(y)) > 1e-2)
    assert correlation(x, y)[0] == pytest.approx(np.corrcoef(x[0], y[0])[0, 1], abs=1e-9)
    assert slope(x, y)[0] == pytest.approx(np.polyfit(x[0], y[0], 1)[0], abs=1e-8)


@given(VALUES, st.floats(0.1, 10), st.floats(-5, 5))
def test_a_metric_that_moves_along_a_line_is_robust(x, scale, shift):
    assume(np.std(x) > 1e-2)
    assert correlation(x, scale * x + shift)[0] == pytest.approx(1)
    assert slope(x, scale * x + shift)[0] == pytest.approx(scale)


def test_a_metric_that_attacks_do_not_touch_has_correlation_and_slope_one():
    r, by = cells(values(0.1, 0.5, 0.7), values(0.1, 0.5, 0.7))
    assert (r.value, r.low, by.value) == (pytest.approx(1), pytest.approx(0), pytest.approx(1))
    # low = 0: one draw in nine is of one model alone, which counts as 0


def test_a_metric_turned_round_has_correlation_minus_one():
    r, by = cells(values(1, 2, 3, 4), values(4, 3, 2, 1))
    assert (r.value, by.value) == (-1, -1)


def test_intervals_hold_the_value_and_narrow_with_models():
    draw = np.random.default_rng(0)
    x = draw.normal(size=200)
    y = x + 0.3 * draw.normal(size=200)
    (few, _), (many, by) = (cells(values(*x[:n]), values(*y[:n])) for n in (20, 200))
    for cell in (few, many, by):
        assert cell.low < cell.value < cell.high
    assert many.high - many.low < few.high - few.low


def test_the_interval_of_a_correlation_covers_it():
    """Of bivariate normal values with correlation 0.8, in at least 25 of 30 samples of 50."""
    covered = 0
    for seed in range(30):
        draw = np.random.default_rng(seed)
        x = draw.normal(size=50)
        y = 0.8 * x + 0.6 * draw.normal(size=50)
        r, _ = cells(values(*x), values(*y), seed=seed)
        covered += r.low <= 0.8 <= r.high
    assert covered >= 25


def test_a_constant_metric_has_no_correlation_and_one_under_attack_no_slope_but_zero():
    assert cells(values(0.1, 0.1, 0.1), values(0.1, 0.2, 0.3)) == [None, None]
    r, by = cells(values(0.1, 0.2, 0.3), values(0.1, 0.1, 0.1))
    assert (r, by.value) == (None, 0)


def test_an_infinite_metric_has_neither():
    assert cells(values(1, 2, np.inf), values(1, 2, 3)) == [None, None]


def test_there_is_a_row_for_each_attack_and_metric_and_two_columns_for_each_side():
    metrics = {"a": [1, 2, 3], "b": [3, 1, 2]}
    sides = {"forget": metrics, "retain": metrics}
    found = robustness(sides, {"noise": sides, "probing": sides})
    assert [row[:2] for row in found.rows] == [
        ["noise", "a"], ["noise", "b"], ["probing", "a"], ["probing", "b"],
    ]  # fmt: skip
    assert found.columns[2:] == [
        "forget: correlation", "forget: slope", "retain: correlation", "retain: slope",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "after", [{}, {"forget": {}}, {"forget": {"other": [1, 2, 3]}}, {"retain": {"strength": [1]}}]
)
def test_sides_and_metrics_must_be_the_same(after):
    with pytest.raises(UsageError, match=r"after\['noise'\] and before must have the same sides"):
        cells(values(1, 2, 3), after)


@pytest.mark.parametrize("numbers", [(1, 2), (1, 2, 3, 4)])
def test_models_must_pair_and_be_three(numbers):
    with pytest.raises(UsageError, match="at least 3 models"):
        cells(values(1, 2) if len(numbers) == 2 else values(1, 2, 3), values(*numbers))


def test_numbers_have_three_digits_of_the_largest():
    r, by = cells(values(1.0, 2.0, 3.0), values(123456.7, 223457.9, 300000.1))
    assert (by.value, by.low, by.high) == (88000, 0, 100000)
    assert r.value == round(r.value, 2)
