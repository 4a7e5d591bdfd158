"""Certificates that anyone can check, and when membership is vacuous."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from limen._core.errors import UsageError
from limen.measure.hull import Hull
from limen.shift.point_hull import certificate, membership


def cloud(seed, *, points=60, width=4, rows=20):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(points, width)), 1.5 * draw.normal(size=(rows, width))


@pytest.mark.parametrize("seed", range(4))
def test_a_direction_separates_exactly_where_a_program_finds_no_mixture(seed):
    points, x = cloud(seed)
    found = certificate(Hull(points), x)
    for row, g, margin in zip(x, found.direction, found.margin, strict=True):
        system = np.vstack([points.T, np.ones(len(points))])
        inside = linprog(np.zeros(len(points)), A_eq=system, b_eq=np.append(row, 1)).status == 0
        assert inside == (margin == 0)
        if not inside:
            assert np.linalg.norm(g) == pytest.approx(1)
            assert g @ row - (points @ g).max() == pytest.approx(margin)
            assert margin > 0


def test_no_direction_has_a_larger_margin():
    points, x = cloud(9)
    hull = Hull(points)
    found = certificate(hull, x)
    np.testing.assert_allclose(found.margin, hull.distance(x), atol=1e-5)
    tried = np.random.default_rng(0).normal(size=(2000, 4))
    tried /= np.linalg.norm(tried, axis=1, keepdims=True)
    margins = (x @ tried.T) - (points @ tried.T).max(0)
    assert (margins.max(1) <= hull.distance(x) + 1e-9).all()


def test_tensors_give_tensors():
    points, x = cloud(3)
    found = certificate(Hull(torch.from_numpy(points)), torch.from_numpy(x).float())
    assert found.direction.dtype == found.margin.dtype == torch.float32


def test_membership_fades_with_dimension():
    draw = np.random.default_rng(0)
    low = membership(draw.normal(size=(500, 2))).rate
    middle = membership(draw.normal(size=(500, 8))).rate
    with pytest.warns(UserWarning, match="in 16 dimensions"):
        high = membership(draw.normal(size=(500, 16))).rate
    assert low > 0.9 > middle > 0.1 > high


def test_effective_dimension_counts_what_varies():
    draw = np.random.default_rng(1)
    flat = draw.normal(size=(300, 3)) @ np.linalg.qr(draw.normal(size=(6, 3)))[0].T
    assert membership(flat).dimension == pytest.approx(3, abs=0.2)


def test_too_few_points_are_refused():
    with pytest.raises(UsageError, match="ten rows or more"):
        membership(np.ones((5, 2)))
