import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from outlier_toys import batch, net, trained
from torch.nn.functional import linear

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.bank.network import Seen
from limen.ood.objectives.dal import DAL, slope_of
from limen.ood.objectives.losses import oe
from limen.ood.objectives.outlier_exposure import OutlierExposure
from limen.ood.seen import View
from limen.ood.step import Step
from limen.search.ascent import ascend, climb_sphere

SEEDS = st.integers(0, 10_000)
F64 = torch.float64
W = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], dtype=F64)
E1 = torch.tensor([[1.0, 0.5]], dtype=F64)


def slope(shift):
    return slope_of((E1 + shift) @ W.T, W)


def loss(shift):
    return oe((E1 + shift) @ W.T).item()


def head(seed: int, *, classes: int = 5, width: int = 8, rows: int = 12):
    stream = torch_stream(seed, "head")
    sizes = ((rows, width), (classes, width), (classes,))
    return [torch.randn(size, dtype=F64, generator=stream) for size in sizes]


def view(*, step: int = 0, state: dict | None = None, width: int = 32, seed: int = 0) -> View:
    """Outliers whose features are given, before a head."""
    torch.manual_seed(seed)
    layer = torch.nn.Linear(width, 6)
    features = torch.randn(20, width, requires_grad=True)
    seen = Seen(layer(features), features)
    return View(
        layer, layer, features, torch.zeros(20, dtype=torch.int64),
        inlier=seen, outlier=seen, state={} if state is None else state, step=step,
    )  # fmt: skip


def test_the_closed_form_slope_and_loss_are_the_worked_examples():
    assert loss(torch.zeros_like(E1)) == pytest.approx(1.5239090562, abs=1e-10)
    found = slope(torch.zeros_like(E1))[0].tolist()
    assert found == pytest.approx([0.5435902462, 0.3105772818], abs=1e-10)


@pytest.mark.parametrize(("steps", "shift", "value"), [
    (1, [0.4341372980, 0.2480419450], 1.8596794313),
    (2, [0.8831636575, 0.4679858662], 2.2262098858),
    (3, [1.3481788774, 0.6517271117], 2.6144970361),
])  # fmt: skip
def test_normalised_ascent_is_the_worked_example(steps, shift, value):
    found = ascend(torch.zeros_like(E1), slope, steps=steps, step=0.5)
    assert found[0].tolist() == pytest.approx(shift, abs=1e-9)
    assert loss(found) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("steps", "value"), [
    (1, 2.6024668927), (3, 2.6437811451), (6, 2.6452196396),
])  # fmt: skip
def test_frank_wolfe_is_the_worked_example(steps, value):
    found = climb_sphere(torch.zeros_like(E1), slope, radius=1.5, steps=steps)
    assert loss(found) == pytest.approx(value, abs=1e-9)


def test_the_ball_search_comes_within_a_thousandth_of_the_brute_force_maximum():
    found = DAL().worst(E1, W, radius=1.5)
    assert 2.6452211302 - 1e-3 < loss(found) <= 2.6452211302 + 1e-9


@given(SEEDS)
def test_the_closed_form_slope_is_autograds(seed):
    features, weight, bias = head(seed)
    shift = torch.zeros_like(features, requires_grad=True)
    oe(linear(features + shift, weight, bias), reduction="none").sum().backward()
    assert torch.allclose(slope_of(linear(features, weight, bias), weight), shift.grad, atol=1e-10)


@given(SEEDS, st.floats(0, 10), st.integers(0, 4))
def test_the_ball_search_keeps_its_budget_and_never_lowers_the_loss(seed, radius, steps):
    features, weight, bias = head(seed)
    found = DAL(steps=steps).worst(features, weight, bias, radius=radius)
    assert (found.norm(dim=-1) <= radius * (1 + 1e-9)).all()
    before, after = (
        oe(linear(features + shift, weight, bias), reduction="none") for shift in (0, found)
    )
    assert (after >= before - 1e-9).all()


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_more_steps_and_more_radius_never_lower_the_value(classes):
    features, weight, bias = head(0, classes=classes, width=16, rows=200)

    def value(radius, steps):
        shift = DAL(steps=steps).worst(features, weight, bias, radius=radius)
        return oe(linear(features + shift, weight, bias), reduction="none")

    for steps in (1, 2, 3):
        assert (value(2.0, steps + 1) >= value(2.0, steps) - 1e-9).all()
    means = [value(radius, 3).mean().item() for radius in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert means == sorted(means)


def test_the_ball_search_is_as_good_as_forty_projected_gradient_steps():
    features, weight, bias = head(1, classes=10, width=64, rows=100)

    def rise(shift):
        return slope_of(linear(features + shift, weight, bias), weight)

    def value(shift):
        return oe(linear(features + shift, weight, bias)).item()

    def inside(shift):
        return shift * (3.0 / shift.norm(dim=-1, keepdim=True).clamp(min=3.0))

    slow = ascend(torch.zeros_like(features), rise, steps=40, step=0.3, project=inside)
    assert value(DAL().worst(features, weight, bias, radius=3.0)) > value(slow) - 0.01


def test_of_two_classes_the_worst_way_is_along_their_difference():
    features, weight, bias = head(2, classes=2)
    found = DAL().worst(features, weight, bias, radius=1.0)
    way = (weight[0] - weight[1]) / (weight[0] - weight[1]).norm()
    assert torch.allclose((found @ way).abs(), torch.ones(len(found), dtype=F64))


def test_equal_rows_of_the_head_give_no_nan_and_no_shift():
    same = torch.ones(3, 4)
    found = DAL().worst(torch.randn(5, 4, generator=torch_stream(0)), same, radius=1.0)
    assert not found.any()


@pytest.mark.parametrize("objective", [
    DAL(radius=0.0), DAL(steps=0), DAL(mode="dual", steps=0), DAL(radius=0.0, relative=False),
], ids=repr)  # fmt: skip
def test_without_budget_it_trains_to_the_bits_of_outlier_exposure(objective):
    start = net()
    ends = [copy.deepcopy(start) for _ in range(2)]
    for model, one in zip(ends, (objective, OutlierExposure()), strict=True):
        trained(model, Step(one), [batch()])
    for mine, plain in zip(*(model.state_dict().values() for model in ends), strict=True):
        assert torch.equal(mine, plain)


def test_a_dual_step_of_length_zero_is_outlier_exposure_but_for_the_start():
    seen = view(state=DAL(mode="dual").begin(None))
    found = DAL(mode="dual", step=0.0)(seen)["outlier"]
    assert found.item() == pytest.approx(oe(seen.outlier.logits).item(), abs=1e-3)


def test_the_relative_radius_counts_in_median_lengths():
    seen = view()
    found = DAL(radius=0.3)(seen)["radius"].item()
    assert found == pytest.approx(0.3 * seen.outlier.features.norm(dim=-1).median().item())
    assert DAL(radius=0.3, relative=False)(seen)["radius"].item() == pytest.approx(0.3)


@pytest.mark.parametrize("objective", [DAL(), DAL(mode="official")], ids=["ball", "official"])
def test_the_gradient_reaches_features_and_head_and_takes_the_shift_as_constant(objective):
    seen = view(state=objective.begin(None))
    losses = objective(replace(seen, state=dict(seen.state)))
    grads = torch.autograd.grad(losses["outlier"], [seen.inputs, *seen.head.parameters()])
    features, (weight, bias) = seen.outlier.features.detach(), (
        p.detach() for p in seen.head.parameters()
    )  # fmt: skip
    shift = objective._searched(seen, features, (weight, bias))[0]
    leaves = [x.clone().requires_grad_() for x in (features, weight, bias)]
    oe(linear(leaves[0] + shift, leaves[1], leaves[2])).backward()
    for grad, leaf in zip(grads, leaves, strict=True):
        assert torch.allclose(grad, leaf.grad, atol=1e-7)
    assert all(not loss.requires_grad for name, loss in losses.items() if name != "outlier")


def test_the_published_numbers_leave_gamma_at_zero_after_one_batch():
    state = DAL(mode="official").begin(None)
    assert state["gamma"].item() == pytest.approx(0.01)
    for step in range(3):
        told = DAL(mode="official")(view(step=step, state=state))
        assert state["gamma"].item() == 0
        assert told["cost"].item() < 10 / 32**0.5  # steps * step / sqrt(width), far below rho = 10


@pytest.mark.parametrize(("rho", "moved"), [(0.0, 1), (100.0, -1)])
def test_gamma_rises_where_the_cost_is_above_rho_and_falls_where_below(rho, moved):
    objective = DAL(mode="dual", rho=rho, beta=0.001, gamma0=5.0)
    state = objective.begin(None)
    objective(view(state=state))
    assert (state["gamma"].item() - 5.0) * moved > 0


@given(st.floats(0, 50), st.floats(0, 100), st.integers(0, 50))
def test_gamma_stays_in_its_range(rho, beta, seed):
    objective = DAL(mode="dual", rho=rho, beta=beta, gamma_max=2.0)
    state = objective.begin(None)
    for step in range(3):
        objective(view(step=step, state=state, seed=seed))
        assert 0 <= state["gamma"].item() <= 2.0


def test_the_dual_shift_is_no_longer_than_its_steps():
    objective = DAL(mode="dual", steps=4, step=0.5)
    seen = view(state=objective.begin(None))
    weight, bias = (p.detach() for p in seen.head.parameters())
    shift, _ = objective._searched(seen, seen.outlier.features.detach(), (weight, bias))
    assert (shift.norm(dim=-1) <= 4 * 0.5 + 1e-4 * 32**0.5).all()


@given(SEEDS, st.floats(0, 5))
def test_the_dual_bounds_every_shift_within_the_budget(seed, gamma):
    """gamma rho + mean phi_gamma, phi by brute force over a grid that holds the shift itself."""
    shift = torch.randn(4, 2, dtype=F64, generator=torch_stream(seed, "shift"))
    grid = torch.cat([torch.zeros(1, 2, dtype=F64), shift])
    cost = grid.abs().mean(-1)
    features, rho = E1 + 0.1 * shift, shift.abs().mean().item()
    values = oe(((features[:, None] + grid) @ W.T).flatten(0, 1), reduction="none").view(4, 5)
    phi = (values - gamma * cost).amax(1)
    assert gamma * rho + phi.mean() >= oe((features + shift) @ W.T) - 1e-9


@pytest.mark.parametrize("changed", [
    {"radius": -1.0}, {"steps": -1}, {"gamma0": 20.0, "mode": "dual"},
    {"rho": 0.1}, {"radius": 2.0, "mode": "dual"}, {"rho": 0.1, "mode": "official"},
    {"radius": float("nan")},
])  # fmt: skip
def test_settings_out_of_range_or_of_another_mode_are_refused(changed):
    with pytest.raises(UsageError):
        DAL(**changed)
