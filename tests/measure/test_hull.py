"""Convex hulls: distances equal to other solvers', certified, and with a distance's properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, nnls

import limen
from limen._core.errors import UsageError
from limen.measure import hull as module
from limen.measure.hull import Hull

seeds = st.integers(0, 10_000)
few = settings(max_examples=15)
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def cloud(seed, *, points=40, width=3, rows=12):
    """Points, and rows of which about half lie inside their hull."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(points, width)), draw.normal(size=(rows, width))


def inside_by_linear_program(points, x):
    feasible = linprog(
        np.zeros(len(points)),
        A_eq=np.vstack([points.T, np.ones(len(points))]),
        b_eq=np.append(x, 1.0),
    )
    return feasible.status == 0


def distance_by_nnls(points, x):
    heavy = 1e4 * max(1.0, np.abs(points).max())
    system = np.vstack([points.T, np.full(len(points), heavy)])
    weights, _ = nnls(system, np.append(x, heavy))
    return np.linalg.norm(points.T @ (weights / weights.sum()) - x)


def test_distances_to_a_square_are_what_one_draws():
    x = np.array([[0.5, 0.5], [2.0, 0.5], [2.0, 2.0], [0.5, -3.0], [1.0, 0.25]])
    np.testing.assert_allclose(Hull(SQUARE).distance(x), [0, 1, 2**0.5, 3, 0], atol=1e-12)


@pytest.mark.parametrize("width", [2, 8])
def test_distance_is_that_of_nonnegative_least_squares(width):
    points, x = cloud(1, points=100, width=width, rows=30)
    slow = np.array([distance_by_nnls(points, row) for row in x])
    # their sum-to-one is a penalty, exact to about 1e-8
    np.testing.assert_allclose(Hull(points).distance(x), np.where(slow < 1e-6, 0, slow), atol=1e-7)


@pytest.mark.parametrize("width", [2, 5])
def test_membership_is_that_of_a_linear_program(width):
    points, x = cloud(2, points=60, width=width, rows=30)
    slow = [inside_by_linear_program(points, row) for row in x]
    assert 0 < sum(slow) < 30
    assert Hull(points).contains(x).tolist() == slow


@few
@given(seeds)
def test_the_bound_certifies_the_distance(seed):
    points, x = cloud(seed)
    found = Hull(points).nearest(x)
    assert (found.bound <= found.distance).all()
    assert (found.distance - found.bound <= 1e-6 * np.abs(points).max() * 4).all()


@few
@given(seeds)
def test_the_way_to_the_nearest_point_separates(seed):
    points, x = cloud(seed)
    found = Hull(points).nearest(x)
    assert (found.distance > 0.1).any()
    for row, point, distance in zip(x, found.point, found.distance, strict=True):
        if distance > 1e-3:
            along = (points - row) @ (point - row) / distance
            assert along.min() >= distance - 1e-5


@few
@given(seeds)
def test_the_mixture_mixes_to_the_nearest_point(seed):
    points, x = cloud(seed)
    hull = Hull(points)
    weights = hull.mixture(x)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(weights @ points, hull.nearest(x).point, atol=1e-9)


@few
@given(seeds)
def test_points_and_their_mixtures_lie_inside(seed):
    points, _ = cloud(seed)
    mixed = np.random.default_rng(seed).dirichlet(np.full(len(points), 0.2), 10) @ points
    hull = Hull(points)
    assert hull.contains(points).all()
    assert hull.contains(mixed).all()
    assert hull.contains(points.mean(0, keepdims=True)).all()


@few
@given(seeds)
def test_distance_changes_no_faster_than_x(seed):
    points, x = cloud(seed)
    distance = Hull(points).distance(x)
    apart = np.linalg.norm(x[:, None] - x, axis=2)
    assert (np.abs(distance[:, None] - distance) <= apart + 1e-5).all()


@few
@given(seeds)
def test_distance_is_convex(seed):
    points, x = cloud(seed)
    hull = Hull(points)
    middle = hull.distance(0.5 * (x[:6] + x[6:]))
    assert (middle <= 0.5 * (hull.distance(x[:6]) + hull.distance(x[6:])) + 1e-5).all()


@few
@given(seeds, st.floats(1e-3, 1e3))
def test_distance_scales_with_the_data_and_moves_with_it(seed, scale):
    points, x = cloud(seed)
    moved = Hull(scale * points + 7).distance(scale * x + 7)
    np.testing.assert_allclose(moved, scale * Hull(points).distance(x), atol=1e-5 * scale)


@few
@given(seeds)
def test_more_points_are_never_farther(seed):
    points, x = cloud(seed)
    assert (Hull(points).distance(x) <= Hull(points[:20]).distance(x) + 1e-5).all()


@few
@given(seeds)
def test_order_and_copies_of_the_points_do_not_matter(seed):
    points, x = cloud(seed)
    again = Hull(np.concatenate([points[::-1], points, points + 1e-9])).distance(x)
    np.testing.assert_allclose(again, Hull(points).distance(x), atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2])
def test_points_in_a_flat_of_few_dimensions_will_do(rank):
    draw = np.random.default_rng(rank)
    flat, _ = np.linalg.qr(draw.normal(size=(5, rank)))
    points = draw.normal(size=(50, rank)) @ flat.T
    away = draw.normal(size=5)
    away -= flat @ (flat.T @ away)
    x = points[:5] + 3 * away / np.linalg.norm(away)
    np.testing.assert_allclose(Hull(points).distance(x), 3.0, rtol=1e-6)


def test_one_point_is_a_hull():
    np.testing.assert_allclose(
        Hull([[1.0, 1.0]]).distance(np.array([[4.0, 5.0], [1.0, 1.0]])), [5, 0]
    )


def test_points_on_a_grid_tie_and_it_ends():
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 4), -1).reshape(-1, 4)
    x = np.array([[1.5, 1.5, 1.5, 1.5], [5.0, 1.5, 1.5, 1.5], [5.0, 5.0, 5.0, 5.0]])
    np.testing.assert_allclose(Hull(grid).distance(x), [0, 2, 4], atol=1e-9)


def test_far_rows_keep_their_precision():
    points, _ = cloud(3)
    x = np.array([[1e6, 0.0, 0.0]])
    assert Hull(points).distance(x)[0] == pytest.approx(distance_by_nnls(points, x[0]), rel=1e-9)


@pytest.mark.parametrize("first", [1, 5, 40])
def test_what_is_tried_first_does_not_matter(monkeypatch, first):
    points, x = cloud(4)
    whole = Hull(points).distance(x)
    monkeypatch.setattr(module, "FIRST", first)
    monkeypatch.setattr(module, "QUERIES", 5)
    np.testing.assert_allclose(Hull(points).distance(x), whole, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_give_tensors(dtype):
    points, x = (torch.from_numpy(part).to(dtype) for part in cloud(5))
    found = Hull(points).nearest(x)
    assert found.distance.dtype == found.point.dtype == dtype
    assert isinstance(Hull(points).contains(x), torch.Tensor)
    slow = Hull(points.numpy()).distance(x.numpy())
    np.testing.assert_allclose(found.distance, slow, rtol=1e-5, atol=1e-6)


def test_a_hull_is_saved_and_loaded(tmp_path):
    points, x = cloud(6)
    again = limen.load(limen.save(Hull(points, tolerance=1e-4), tmp_path / "hull"))
    assert again.tolerance == 1e-4
    np.testing.assert_array_equal(again.distance(x), Hull(points, tolerance=1e-4).distance(x))


def test_bad_points_and_rows_are_refused():
    with pytest.raises(UsageError, match="points must be finite"):
        Hull([[np.nan, 0.0]])
    with pytest.raises(UsageError, match="points must be rows"):
        Hull([0.0, 1.0])
    with pytest.raises(UsageError, match="tolerance=0"):
        Hull(SQUARE, tolerance=0.0)
    with pytest.raises(UsageError, match="x must have 2 columns"):
        Hull(SQUARE).distance(np.ones((1, 3)))
