import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.search.ball import project_l1_mean, project_l2, to_length

SEEDS, RADII = st.integers(0, 10_000), st.floats(0, 5)


def points(seed: int, rows: int = 6, width: int = 5) -> torch.Tensor:
    return 3 * torch.randn(rows, width, dtype=torch.float64, generator=torch_stream(seed, "points"))


def bisected(row: torch.Tensor, radius: float) -> torch.Tensor:
    """The l1 projection by bisection of the threshold."""
    low, high = 0.0, float(row.abs().max())
    for _ in range(200):
        middle = (low + high) / 2
        spent = (row.abs() - middle).clamp(min=0).mean()
        low, high = (middle, high) if spent > radius else (low, middle)
    return row.sign() * (row.abs() - high).clamp(min=0)


@given(SEEDS, RADII)
def test_projections_end_inside_their_balls(seed, radius):
    rows = points(seed)
    assert (project_l2(rows, radius).norm(dim=-1) <= radius + 1e-9).all()
    assert (project_l1_mean(rows, radius).abs().mean(-1) <= radius + 1e-9).all()


@given(SEEDS, RADII)
def test_the_l1_projection_equals_a_bisection(seed, radius):
    rows = points(seed)
    slow = torch.stack([
        row if row.abs().mean() <= radius else bisected(row, radius) for row in rows
    ])  # fmt: skip
    assert torch.allclose(project_l1_mean(rows, radius), slow, atol=1e-9)


@given(SEEDS, st.floats(0.1, 3))
def test_no_other_point_of_the_ball_is_nearer(seed, radius):
    rows, others = points(seed), points(seed + 1, rows=200)
    for project, size in ((project_l2, lambda x: x.norm(dim=-1)),
                          (project_l1_mean, lambda x: x.abs().mean(-1))):  # fmt: skip
        inside = others * (radius / size(others).clamp(min=radius))[:, None]
        nearest = (rows - project(rows, radius)).norm(dim=-1)
        assert (torch.cdist(rows, inside).amin(1) >= nearest - 1e-9).all()


def test_points_inside_stay_bit_for_bit():
    rows = points(0)
    assert torch.equal(project_l2(rows, 1e3), rows)
    assert torch.equal(project_l1_mean(rows, 1e3), rows)


def test_a_radius_of_zero_leaves_the_origin():
    assert not project_l2(points(0), 0.0).any()
    assert not project_l1_mean(points(0), 0.0).any()


def test_a_direction_of_length_zero_makes_no_nan():
    assert not to_length(torch.zeros(2, 3), 4.0).any()


@pytest.mark.parametrize("project", [project_l2, project_l1_mean])
@pytest.mark.parametrize("radius", [-1.0, float("nan")])
def test_what_is_no_radius_is_refused(project, radius):
    with pytest.raises(UsageError, match="radius"):
        project(points(0), radius)
