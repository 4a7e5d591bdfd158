"""The bent gradient never harms the guard, and is bent no further than that."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from limen.algebra import Conflict, ParamVector, conflict, rectified

NUMBERS = st.lists(st.floats(-10, 10).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=4,
                   max_size=4)  # fmt: skip


def vector(numbers, dtype=torch.float64):
    numbers = torch.tensor(numbers, dtype=dtype)
    return ParamVector({"a": numbers[:1], "b": numbers[1:].reshape(1, -1)})


def flat(v):
    return torch.cat([tensor.reshape(-1) for tensor in v.values()])


def slack(goal, guard):
    """Rounding, in units of the product of lengths."""
    return 1e-12 * (1 + goal.norm() * guard.norm())


@given(NUMBERS, NUMBERS)
def test_rectified_never_hurts_the_guard(x, y):
    goal, guard = vector(x), vector(y)
    assert rectified(goal, guard).dot(guard) >= -slack(goal, guard)


@given(NUMBERS, NUMBERS)
def test_without_conflict_the_goal_comes_back_bit_for_bit(x, y):
    goal, guard = vector(x), vector(y)
    assume(goal.dot(guard) >= 0)
    assert rectified(goal, guard) is goal


@given(NUMBERS, NUMBERS)
def test_with_conflict_the_result_is_orthogonal_to_the_guard(x, y):
    goal, guard = vector(x), vector(y)
    assume(goal.dot(guard) < 0)
    bent = rectified(goal, guard)
    assert abs(bent.dot(guard)) <= slack(goal, guard)
    assert goal.dot(bent) == pytest.approx(bent.dot(bent), abs=slack(goal, goal))


@given(NUMBERS, NUMBERS)
def test_the_length_left_is_the_sine_of_the_angle(x, y):
    goal, guard = vector(x), vector(y)
    assume(goal.dot(guard) < 0)
    cosine = conflict(goal, guard).cosine
    left = rectified(goal, guard).norm() ** 2
    assert left == pytest.approx(goal.norm() ** 2 * (1 - cosine**2), abs=1e-9)


@given(NUMBERS, NUMBERS)
def test_bending_twice_is_bending_once(x, y):
    goal, guard = vector(x), vector(y)
    once = rectified(goal, guard)
    torch.testing.assert_close(flat(rectified(once, guard)), flat(once), atol=1e-9, rtol=1e-9)


@given(NUMBERS, NUMBERS, st.floats(1e-3, 1e3))
def test_the_guards_length_does_not_matter(x, y, factor):
    goal, guard = vector(x), vector(y)
    assume(guard.norm() > 0)
    torch.testing.assert_close(
        flat(rectified(goal, guard)), flat(rectified(goal, factor * guard)), atol=1e-9, rtol=1e-9
    )


@given(NUMBERS, NUMBERS, NUMBERS)
def test_no_harmless_vector_is_nearer_to_the_goal(x, y, z):
    goal, guard, other = vector(x), vector(y), vector(z)
    assume(other.dot(guard) >= 0)
    nearest = (rectified(goal, guard) - goal).norm()
    assert nearest <= (other - goal).norm() + 1e-9


@given(NUMBERS)
def test_an_antiparallel_guard_leaves_nothing(x):
    goal = vector(x)
    assert rectified(goal, -2 * goal).norm() == pytest.approx(0, abs=1e-12)


def test_a_guard_of_zero_leaves_the_goal_alone():
    goal = vector([1, 2, 3, 4])
    assert rectified(goal, 0 * goal) is goal


def test_the_fixture_that_can_be_done_by_hand():
    assert flat(rectified(vector([1, -2, 2, 0]), vector([0, 1, 0, 0]))).tolist() == [1, 0, 2, 0]


def test_the_fixture_whose_adam_step_harms_all_the_same():
    goal, guard = vector([-0.5, 1, 1, 0]), vector([1, 0.1, 0.1, 0])
    found = conflict(goal, guard)
    assert found.dot == pytest.approx(-0.3)
    assert found.coefficient == pytest.approx(0.294118, abs=5e-7)
    bent = rectified(goal, guard)
    assert flat(bent).tolist() == pytest.approx([-0.205882, 1.029412, 1.029412, 0], abs=5e-7)
    assert bent.dot(guard) == pytest.approx(0, abs=1e-15)
    assert bent.map(torch.sign).dot(guard) == pytest.approx(-0.8)  # Adam's first step


def test_cosine_and_angle_agree_with_geometry():
    found = conflict(vector([1, 0, 0, 0]), vector([-1, 1, 0, 0]))
    assert found.angle == pytest.approx(135)
    assert found.cosine == pytest.approx(-math.sqrt(0.5))
    assert found.harms


def test_nothing_has_an_angle_with_zero():
    found = Conflict(dot=0.0, goal_squared=0.0, guard_squared=1.0)
    assert math.isnan(found.cosine)
    assert math.isnan(found.angle)
    assert not found.harms


def test_rounding_never_gives_a_cosine_beyond_one():
    assert Conflict(dot=-1.0000001, goal_squared=1.0, guard_squared=1.0).angle == 180
