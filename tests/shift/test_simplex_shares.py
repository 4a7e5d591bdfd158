"""The quadratic over shares: equal to another solver's, certified, and exact on the boundary."""

import numpy as np
import pytest
from scipy.optimize import nnls

from limen.shift.simplex import shares


@pytest.mark.parametrize("seed", range(12))
def test_shares_are_those_of_nonnegative_least_squares(seed):
    draw = np.random.default_rng(seed)
    points, goal = draw.normal(size=(5, 9)), draw.normal(size=9)
    found = shares(points @ points.T, points @ goal)
    heavy = 1e4
    slow, _ = nnls(np.vstack([points.T, np.full(5, heavy)]), np.append(goal, heavy))
    np.testing.assert_allclose(found.weights, slow, atol=1e-6)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert (found.weights >= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_no_tried_shares_beat_the_certificate(seed):
    draw = np.random.default_rng(seed)
    points, linear = draw.normal(size=(6, 3)), draw.normal(size=6)
    q = points @ points.T  # of rank 3: many minima
    found = shares(q, linear)
    assert found.gap < 1e-9
    tried = draw.dirichlet(np.full(6, 0.3), 3000)
    values = np.einsum("ni,ij,nj->n", tried, q, tried) - 2 * tried @ linear
    w = found.weights
    assert values.min() >= w @ q @ w - 2 * w @ linear - 1e-9


def test_estimates_that_are_not_convex_are_taken_as_if_they_were():
    q = np.array([[1.0, 1.1], [1.1, 1.0]])
    found = shares(q, np.zeros(2))
    assert found.weights.sum() == pytest.approx(1)
    assert found.gap < 1e-9


def test_one_part_takes_all():
    assert shares(np.ones((1, 1)), np.zeros(1)).weights.tolist() == [1.0]
