import copy

import pytest
import torch
from outlier_toys import batch, net, trained
from torch import nn

from limen._core.errors import UsageError
from limen.algebra.shifted import shifted
from limen.bank.network import Seen
from limen.ood.objectives.doe import DOE
from limen.ood.objectives.losses import oe, scale_gradient
from limen.ood.objectives.outlier_exposure import OutlierExposure
from limen.ood.seen import View, kept_bn
from limen.ood.step import PairedRows, Step
from limen.train.losses import At, Back

X = torch.tensor([[1.0, 2.0], [-1.0, 0.5]], dtype=torch.float64)
P = [[0.0452288539, -0.9856780281], [0.0955626435, 2.0758200821], [-0.1407914974, -1.0901420540]]


def linear() -> nn.Sequential:
    layer = nn.Linear(2, 3, bias=False, dtype=torch.float64)
    weight = torch.tensor([[1.0, -1.0], [0.0, 2.0], [0.5, 0.5]], dtype=torch.float64)
    layer.weight = nn.Parameter(weight)
    return nn.Sequential(layer)


def view(
    objective: DOE,
    model: nn.Module,
    rows: PairedRows | None = None,
    *,
    step: int = 0,
    bn: str = "joint",
) -> View:
    if rows is None:
        rows = PairedRows(X[:1], torch.zeros(1, dtype=torch.int64), X)
    layer = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    inlier = Seen(torch.zeros(len(rows.labels), layer.out_features), torch.zeros(1, 1))
    return View(
        model, layer, rows.inputs, rows.labels, rows.outliers,
        inlier=inlier, state=objective.begin(model), step=step, bn=bn,
    )  # fmt: skip


def paid(seen: View, losses: dict) -> float:
    """The value of the perturbed loss; its gradient is left in .grad."""
    return Back(seen.model)(losses["outlier"], 1.0).item()


def searched(objective: DOE, model: nn.Module) -> dict[str, torch.Tensor]:
    seen = view(objective, model, batch())
    objective(seen)
    return seen.state["average"]


def test_the_direction_is_the_worked_example():
    found = view(DOE(), linear())
    DOE()(found)
    average = found.state["average"]["0.weight"]
    assert torch.allclose(average, torch.tensor(P, dtype=torch.float64), atol=1e-8)
    assert found.state["unperturbed"] == pytest.approx(2.0744390549, abs=1e-9)


@pytest.mark.parametrize(("mode", "strength", "regret", "value"), [
    ("ascent", 0.1, 3.4534624485, 2.2963267662),
    ("ascent", 0.01, 2.5267292933, 2.0959543976),
    ("descent", 0.1, 1.5886071445, 1.8707480547),
    ("ascent", 0.0, 2.4319831275, 2.0744390549),
])  # fmt: skip
def test_the_perturbed_loss_is_the_worked_example(mode, strength, regret, value):
    objective, model = DOE(strength, mode=mode), linear()
    seen = view(objective, model)
    losses = objective(seen)
    assert paid(seen, losses) == pytest.approx(value, abs=1e-9)
    with shifted(model, losses["outlier"].by):
        assert scale_gradient(model(X)).square().item() == pytest.approx(regret, abs=1e-8)


def test_the_squared_regret_and_its_negative_have_the_same_normalised_gradient():
    model = linear()
    weight = model[0].weight
    found = []
    for scale in (1.0, -1.0):  # squared afterwards: the sign is lost
        (grad,) = torch.autograd.grad((scale * scale_gradient(model(X))).square(), weight)
        found.append(grad * weight.detach().norm() / grad.norm())
    for direction in found:
        assert torch.allclose(direction, torch.tensor(P, dtype=torch.float64), atol=1e-8)


@pytest.mark.parametrize("inner", ["regret", "oe"])
@pytest.mark.parametrize(("mode", "sign"), [("ascent", 1), ("descent", -1), ("official", -1)])
@pytest.mark.parametrize("strength", [1e-4, 1e-3])
def test_a_small_step_raises_the_search_loss_uphill_and_lowers_it_downhill(
    inner, mode, sign, strength
):
    objective, model, rows = DOE(strength, mode=mode, inner=inner), net(), batch()
    seen = view(objective, model, rows)
    by = objective(seen)["outlier"].by
    value = scale_gradient if inner == "regret" else oe

    def now() -> float:
        with kept_bn(model), torch.no_grad():
            return value(objective._logits(seen)).item()

    before = now()
    with shifted(model, by):
        assert (now() - before) * sign > 0


def test_each_layer_moves_by_its_own_length_and_averages_are_no_longer():
    objective, model = DOE(), net()
    seen = view(objective, model, batch())
    objective(seen)
    params = dict(model.named_parameters())
    for name, moved in seen.state["average"].items():
        assert moved.norm().item() == pytest.approx(params[name].norm().item(), rel=1e-5)
    seen.outliers, seen.step = batch(seed=1).outliers, 1
    objective(seen)
    for name, moved in seen.state["average"].items():
        assert moved.norm() <= params[name].norm() * (1 + 1e-5)


def test_norms_and_biases_are_left_alone():
    model = net()
    wide = {name for name, p in model.named_parameters() if p.ndim > 1}
    assert searched(DOE(), model).keys() == wide
    assert len(wide) == 3


def test_a_pattern_chooses_the_layers_and_embedding_tables_are_left_out():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(3, 2))
    assert DOE().searched(model).keys() == {"2.weight"}
    last = list(DOE().searched(net()))[-1]
    assert DOE(layers=f"^{last}$").searched(net()).keys() == {last}
    with pytest.raises(UsageError, match="finds none"):
        DOE(layers="nothing").begin(model)


@pytest.mark.parametrize(("keep", "share"), [(0.0, 1.0), (0.6, 0.4)])
def test_the_average_leaves_the_stated_share_of_the_old(keep, share):
    model = net()
    one, two = DOE(keep=keep), DOE()
    seen, alone = (view(o, model, batch(seed=i), bn="id_stats") for i, o in enumerate((one, two)))
    one(seen)
    first = dict(seen.state["average"])
    seen.outliers, seen.step = batch(seed=1).outliers, 1
    one(seen)
    two(alone)
    for name, found in seen.state["average"].items():
        wanted = (1 - share) * first[name] + share * alone.state["average"][name]
        assert torch.allclose(found, wanted, atol=1e-6)


def test_it_searches_at_every_refreshth_batch_after_the_warmup():
    objective, model = DOE(refresh=2, warmup=1), net()
    seen = view(objective, model, batch())
    kinds, moved = [], []
    for step in range(5):
        seen.step, seen.outliers = step, batch(seed=step).outliers
        before = {k: v.clone() for k, v in seen.state["average"].items()}
        kinds.append(isinstance(objective(seen)["outlier"], At))
        after = seen.state["average"]
        moved.append(
            bool(after) and (not before or any((after[k] != before[k]).any() for k in after))
        )
    assert kinds == [False, True, True, True, True]
    assert moved == [False, True, False, True, False]


@pytest.mark.parametrize("bn", ["id_stats", "frozen"])
def test_strength_zero_trains_as_outlier_exposure(bn):
    start = net(norm="batch")
    ends = [copy.deepcopy(start) for _ in range(2)]
    for model, objective in zip(ends, (DOE(0.0), OutlierExposure()), strict=True):
        trained(model, Step(objective, bn=bn), [batch()])
    for mine, plain in zip(*(model.state_dict().values() for model in ends), strict=True):
        assert torch.allclose(mine, plain, atol=1e-6)


def test_warm_up_trains_as_outlier_exposure():
    start = net()
    ends = [copy.deepcopy(start) for _ in range(2)]
    for model, objective in zip(ends, (DOE(warmup=9), OutlierExposure()), strict=True):
        trained(model, Step(objective, bn="id_stats"), [batch()])
    for mine, plain in zip(*(model.state_dict().values() for model in ends), strict=True):
        assert torch.allclose(mine, plain, atol=1e-6)


@pytest.mark.parametrize("mode", ["ascent", "random", "official"])
def test_weights_and_gradients_of_the_window_come_back_bit_for_bit(mode):
    objective, model = DOE(mode=mode), net(dropout=0.2)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    held = [p.grad for p in model.parameters()]
    before = copy.deepcopy(model.state_dict())
    seen = view(objective, model, batch())
    losses = objective(seen)
    for (name, value), p in zip(before.items(), model.state_dict().values(), strict=True):
        assert torch.equal(value, p), name  # running statistics among them
    assert all(
        p.grad is g and (g == 1).all() for p, g in zip(model.parameters(), held, strict=True)
    )
    paid(seen, losses)
    for name, p in model.named_parameters():
        assert torch.equal(before[name], p), name


@pytest.mark.parametrize(
    ("objective", "moved"),
    [(DOE(), False), (DOE(mode="official"), True)],
    ids=["apart", "official"],
)
def test_only_where_rows_pass_together_the_perturbed_pass_moves_running_statistics(
    objective, moved
):
    model = net()
    seen = view(objective, model, batch())
    losses = objective(seen)
    before = [b.clone() for b in model.buffers()]
    paid(seen, losses)
    assert any((a != b).any() for a, b in zip(before, model.buffers(), strict=True)) == moved


def test_the_gradient_is_that_of_the_perturbed_weights_with_the_direction_held():
    objective, model = DOE(0.3), net(norm="layer")
    seen = view(objective, model, batch())
    by = objective(seen)["outlier"].by
    paid(seen, objective(seen))
    leaves = {
        name: (p.detach() + by.get(name, 0.0)).requires_grad_()
        for name, p in model.named_parameters()
    }
    oe(torch.func.functional_call(model, leaves, (seen.outliers,))).backward()
    for name, p in model.named_parameters():
        assert torch.allclose(p.grad, leaves[name].grad, atol=1e-6)


def test_the_search_drops_nothing_and_leaves_the_modes():
    model = net(dropout=0.5)
    model.train()
    first, second = (searched(DOE(), model) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(m.training for m in model.modules())


def test_a_grid_draws_one_strength_a_batch():
    objective, model = DOE(mode="official"), net()
    seen = view(objective, model, batch())
    drawn = []
    for seen.step in range(40):
        drawn.append(objective._drawn(seen))
    assert set(drawn) == {0.1, 0.01, 0.001, 0.0001}


def test_the_clean_loss_stands_beside_the_perturbed_one():
    model = net()
    losses = Step(DOE(0.0, clean=True))(model, batch())
    clean = losses["clean"].item()
    assert Back(model)(losses["outlier"], 1.0).item() == pytest.approx(clean, abs=1e-6)


@pytest.mark.parametrize("bn", ["joint", "id_stats", "frozen"])
@pytest.mark.parametrize("mode", ["ascent", "descent", "random", "official"])
def test_every_mode_trains_under_every_batch_norm_rule(bn, mode):
    history = trained(net(dropout=0.1), Step(DOE(mode=mode), bn=bn), [batch()]).history
    assert history[-1]["inlier"] < history[0]["inlier"]
    assert history[-1]["unperturbed"] < history[0]["unperturbed"] + 0.1


def test_outliers_twice_over_change_nothing():
    rows = batch()
    twice = rows._replace(outliers=torch.cat([rows.outliers, rows.outliers]))
    values = []
    for given in (rows, twice):
        model = net()
        seen = view(DOE(), model, given, bn="id_stats")
        values.append(paid(seen, DOE()(seen)))
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_no_outliers_are_refused():
    with pytest.raises(UsageError, match="give pairs"):
        DOE()(view(DOE(), net(), batch()._replace(outliers=None)))


@pytest.mark.parametrize("changed", [
    {"strength": -0.1}, {"strength": ()}, {"keep": 1.0}, {"refresh": 0}, {"warmup": -1},
])  # fmt: skip
def test_settings_out_of_range_are_refused(changed):
    with pytest.raises(UsageError):
        DOE(**changed)


@pytest.mark.parametrize("objective", [DOE(warmup=9), DOE(clean=True)], ids=["warm-up", "clean"])
def test_running_statistics_may_see_inliers_alone(objective):
    model, alone = net(), net()
    trained(model, Step(objective, bn="id_stats"), [batch()], steps=1)
    trained(alone, Step(None), [batch()], steps=1)
    for mine, inliers in zip(model.buffers(), alone.buffers(), strict=True):
        assert torch.equal(mine, inliers)


@pytest.mark.parametrize("bn", ["joint", "id_stats", "frozen"])
@pytest.mark.parametrize("objective", [DOE(strength=0.0), DOE(warmup=9)], ids=["0", "warm-up"])
def test_without_a_perturbation_it_is_outlier_exposure_under_every_rule(objective, bn):
    model, plain = net(), net()
    trained(model, Step(objective, bn=bn), [batch()], steps=2)
    trained(plain, Step(OutlierExposure(), bn=bn), [batch()], steps=2)
    for mine, theirs in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_joint_statistics_are_those_of_the_pass_at_the_weights_themselves():
    model, plain = net(), net()
    trained(model, Step(DOE(strength=0.5)), [batch()], steps=1)
    trained(plain, Step(OutlierExposure()), [batch()], steps=1)
    for mine, theirs in zip(model.buffers(), plain.buffers(), strict=True):
        assert torch.equal(mine, theirs)
