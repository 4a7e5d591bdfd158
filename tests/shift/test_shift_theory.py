"""The linear contrastive pair: fixtures, monotony, the minimiser and the simulation."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from limen._core.errors import UsageError
from limen.shift.theory import SpuriousLatents, linear_clip_loss, linear_clip_minimiser

FIXTURES = [  # mu_spu, p, error for a = -y, error for a = y
    (0.5, 0.9, 0.1912, 0.1311),
    (1.0, 0.9, 0.3593, 0.0543),
    (1.5, 0.95, 0.7659, 0.0045),
    (2.0, 0.99, 0.9842, 0.0000),
    (1.5, 0.5, 0.1587, 0.1587),
]


@pytest.mark.parametrize(("mu_spu", "p", "opposed", "aligned"), FIXTURES)
def test_errors_by_the_formula(mu_spu, p, opposed, aligned):
    found = SpuriousLatents(mu_spu, p).errors()
    assert (found.opposed, found.aligned) == pytest.approx((opposed, aligned), abs=5e-5)


@pytest.mark.parametrize(("mu_spu", "p"), [row[:2] for row in FIXTURES])
def test_the_simulation_agrees_with_the_formula(mu_spu, p):
    model = SpuriousLatents(mu_spu, p)
    found, exact = model.simulated(100_000), model.errors()
    # 100,000 pairs leave the learned weights off by some thousandths
    assert found.opposed == pytest.approx(exact.opposed, abs=4e-3)
    assert found.aligned == pytest.approx(exact.aligned, abs=4e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("mu_spu", "p"), [row[:2] for row in FIXTURES])
def test_the_simulation_closes_on_the_formula_with_more_pairs(mu_spu, p):
    model = SpuriousLatents(mu_spu, p)
    found, exact = model.simulated(4_000_000, width=2), model.errors()
    # a million test images alone have a standard error of 0.0005
    assert found.opposed == pytest.approx(exact.opposed, abs=1.5e-3)
    assert found.aligned == pytest.approx(exact.aligned, abs=1.5e-3)


def test_the_simulation_agrees_under_noise():
    model = SpuriousLatents(1.0, 0.9, noise=0.5)
    found, exact = model.simulated(100_000, width=10), model.errors()
    assert exact.opposed != SpuriousLatents(1.0, 0.9).errors().opposed
    assert found.opposed == pytest.approx(exact.opposed, abs=4e-3)


@pytest.mark.parametrize("p", [0.6, 0.75, 0.9, 0.99])
def test_a_stronger_cue_misleads_more(p):
    found = [SpuriousLatents(mu, p).errors().opposed for mu in np.linspace(0, 3, 61)]
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("mu_spu", [0.25, 0.5, 1.0])
def test_a_weak_cue_misleads_more_the_more_often_it_is_right(mu_spu):
    found = [SpuriousLatents(mu_spu, p).errors().opposed for p in np.linspace(0.5, 1, 51)]
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize(("mu_spu", "p"), [(1.0, 0.5), (2.5, 0.5), (0.0, 0.9), (0.0, 1.0)])
def test_a_cue_that_tells_nothing_costs_nothing(mu_spu, p):
    found = SpuriousLatents(mu_spu, p).errors()
    assert found.aligned == pytest.approx(found.opposed)


def test_a_wrong_cue_swaps_the_groups():
    right, wrong = SpuriousLatents(1.0, 0.8).errors(), SpuriousLatents(1.0, 0.2).errors()
    assert (right.aligned, right.opposed) == pytest.approx((wrong.opposed, wrong.aligned))


def test_the_covariance_is_that_of_the_latents():
    model = SpuriousLatents(1.5, 0.8, mu_inv=0.7, s_inv=0.9, s_spu=0.4)
    image, text = model.pairs(200_000, width=2)
    eigen = np.linalg.svd(linear_clip_minimiser(image, text), compute_uv=False)
    assert eigen == pytest.approx(np.linalg.eigvalsh(model.covariance)[::-1], rel=0.01)


def test_the_printed_covariance_is_exact_only_for_a_cue_as_strong_as_one():
    model = SpuriousLatents(1.0, 0.9)
    np.testing.assert_allclose(model.printed_covariance, model.covariance)
    other = SpuriousLatents(2.0, 0.9)
    assert other.errors(other.printed_covariance).opposed != pytest.approx(other.errors().opposed)


@pytest.mark.parametrize("rho", [0.5, 1.0, 3.0])
def test_the_gradient_vanishes_at_the_minimiser(rho):
    image, text = SpuriousLatents(1.0, 0.9, noise=0.3).pairs(50, width=4)
    found = linear_clip_minimiser(image, text, rho=rho)

    def loss(flat):
        return linear_clip_loss(flat.reshape(4, 4), image, text, rho=rho)

    # the loss is quadratic: central differences are exact up to rounding
    steps = np.eye(16) * 1e-3
    gradient = [(loss(found.ravel() + s) - loss(found.ravel() - s)) / 2e-3 for s in steps]
    assert np.abs(gradient).max() < 1e-10
    away = found.ravel() + 0.1
    assert np.abs(approx_fprime(away, loss)).max() > 1e-2


def test_the_loss_is_the_double_sum():
    image, text = SpuriousLatents(1.0, 0.9, noise=0.3).pairs(7, width=3)
    product = np.arange(9.0).reshape(3, 3) / 10
    s = image @ product @ text.T
    slow = sum(
        (s[i, j] - s[i, i] + s[j, i] - s[i, i]) / (2 * 7 * 6)
        for i in range(7) for j in range(7) if i != j
    ) + 0.4 / 2 * (product**2).sum()  # fmt: skip
    assert linear_clip_loss(product, image, text, rho=0.4) == pytest.approx(slow)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SpuriousLatents(1.0, 1.5),
        lambda: SpuriousLatents(-1.0, 0.5),
        lambda: SpuriousLatents(1.0, 0.5, s_inv=0.0),
        lambda: SpuriousLatents(1.0, 0.5, noise=-1.0),
        lambda: SpuriousLatents(1.0, 0.5).simulated(1),
        lambda: SpuriousLatents(1.0, 0.5).errors(np.zeros((2, 2))),
        lambda: linear_clip_minimiser(np.ones((1, 2)), np.ones((1, 2))),
        lambda: linear_clip_minimiser(np.ones((3, 2)), np.ones((3, 2)), rho=0.0),
    ],
    ids=["p", "mu", "s", "noise", "pairs", "weight", "rows", "rho"],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
