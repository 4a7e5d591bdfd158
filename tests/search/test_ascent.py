import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.search.ascent import ascend, climb_sphere
from limen.search.ball import project_l2

SEEDS = st.integers(0, 10_000)


def bowl(seed: int, width: int = 3):
    """A convex function of rows, `logsumexp(A x)`, and its gradient."""
    slopes = torch.randn(4, width, dtype=torch.float64, generator=torch_stream(seed, "bowl"))
    return (lambda x: (x @ slopes.T).logsumexp(-1)), (lambda x: (x @ slopes.T).softmax(-1) @ slopes)


def starts(seed: int, width: int = 3) -> torch.Tensor:
    return torch.randn(5, width, dtype=torch.float64, generator=torch_stream(seed, "starts"))


@given(SEEDS, st.floats(1e-3, 100))
def test_no_step_of_any_length_lowers_a_convex_function(seed, step):
    value, gradient = bowl(seed)
    found = starts(seed)
    for _ in range(4):
        after = ascend(found, gradient, steps=1, step=step)
        assert (value(after) >= value(found) - 1e-9).all()
        found = after


@given(SEEDS, st.floats(0.1, 10))
def test_the_sphere_is_climbed_monotonically(seed, radius):
    value, gradient = bowl(seed)
    found = project_l2(starts(seed), radius)
    for _ in range(4):
        after = climb_sphere(found, gradient, radius=radius, steps=1)
        assert (value(after) >= value(found) - 1e-9).all()
        assert torch.allclose(after.norm(dim=-1), torch.tensor(radius, dtype=torch.float64))
        found = after


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_several_climbs_is_the_brute_force_maximum(seed):
    value, gradient = bowl(seed, width=2)
    turn = torch.linspace(0, 2 * torch.pi, 20_001, dtype=torch.float64)
    circle = torch.stack([turn.cos(), turn.sin()], dim=1)
    ends = climb_sphere(circle[::2000], gradient, radius=1.0, steps=200)
    # The grid's distance from the maximum, 1e-4 radians, enters squared.
    assert value(ends).max() == pytest.approx(value(circle).max().item(), abs=1e-6)


def test_projected_ascent_stays_in_the_set():
    _, gradient = bowl(0)
    found = ascend(starts(0), gradient, steps=5, step=2.0, project=lambda x: project_l2(x, 1.0))
    assert (found.norm(dim=-1) <= 1 + 1e-12).all()


def test_no_steps_leave_the_start():
    start = starts(0)
    assert torch.equal(ascend(start, torch.neg, steps=0, step=1.0), start)
    assert torch.equal(climb_sphere(start, torch.neg, radius=1.0, steps=0), start)


def test_a_row_without_slope_stays_where_it_is():
    start = starts(0)
    assert torch.equal(ascend(start, torch.zeros_like, steps=3, step=1.0), start)
    assert torch.equal(climb_sphere(start, torch.zeros_like, radius=9.0, steps=3), start)


def test_negative_budgets_are_refused():
    with pytest.raises(UsageError, match="steps=-1"):
        ascend(starts(0), torch.neg, steps=-1, step=1.0)
    with pytest.raises(UsageError, match="radius=-1"):
        climb_sphere(starts(0), torch.neg, radius=-1.0, steps=1)
