"""The step: separate means, batch-norm rules, labels, counts, exact resume."""

import copy
from dataclasses import dataclass

import pytest
import torch
from outlier_toys import CLASSES, WIDTH, batch, net, rows, strange, trained
from torch import nn
from torch.nn.functional import cross_entropy

import limen
from limen._core.errors import UsageError
from limen.ood import objectives
from limen.ood.objectives.losses import oe
from limen.ood.seen import View, kept_bn
from limen.ood.step import PairedRows, Step

RULES = ("joint", "id_stats", "frozen")
OE = objectives.OutlierExposure()


def buffers(model: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in model.buffers()]


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def paid(model: nn.Module, step: Step, rows: PairedRows) -> dict[str, torch.Tensor]:
    """Gradient of inlier + outlier / 2."""
    losses = step(model, rows)
    (losses["inlier"] + 0.5 * losses["outlier"]).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def test_duplicating_every_outlier_leaves_the_loss_unchanged():
    model, found = net(norm="none"), batch()
    twice = found._replace(outliers=found.outliers.repeat(2, 1))
    one, two = (Step(OE)(model, x) for x in (found, twice))
    torch.testing.assert_close(one["outlier"], two["outlier"])
    torch.testing.assert_close(one["inlier"], two["inlier"])


def test_both_losses_are_the_means_over_their_own_rows():
    model, (inputs, labels, outliers) = net(), batch()
    losses = Step(OE)(model, batch())
    logits = model(torch.cat([inputs, outliers]))
    torch.testing.assert_close(losses["inlier"], cross_entropy(logits[:24], labels))
    torch.testing.assert_close(losses["outlier"], oe(logits[24:]))


def test_without_an_objective_it_is_cross_entropy():
    model = net(norm="none")
    losses = Step()(model, batch())
    assert list(losses) == ["inlier"]
    torch.testing.assert_close(losses["inlier"], cross_entropy(model(rows()[0]), rows()[1]))


def test_joint_keeps_the_statistics_of_all_rows_together():
    model, twin = net(), net()
    Step(OE)(model, batch())
    twin(torch.cat([rows()[0], strange()]))
    assert same(buffers(model), buffers(twin))


def test_id_stats_keeps_the_statistics_of_the_inliers_alone():
    model, twin = net(), net()
    Step(OE, bn="id_stats")(model, batch())
    twin(rows()[0])
    assert same(buffers(model), buffers(twin))


def test_id_stats_normalises_outliers_by_their_own_batch():
    model, twin = net(), net()
    losses = Step(OE, bn="id_stats")(model, batch())
    torch.testing.assert_close(losses["outlier"], oe(twin(strange())))


def test_frozen_uses_and_keeps_the_running_statistics():
    model = net()
    model(rows()[0])
    before, expected = buffers(model), copy.deepcopy(model).eval()
    losses = Step(OE, bn="frozen")(model, batch())
    assert same(before, buffers(model))
    torch.testing.assert_close(losses["outlier"], oe(expected(strange())))


def test_frozen_trains_scale_and_shift_and_gives_the_modes_back():
    model = net()
    grads = paid(model, Step(OE, bn="frozen"), batch())
    assert all(grad.abs().sum() > 0 for name, grad in grads.items() if "body.2" in name)
    assert all(module.training for module in model.modules())


@dataclass(frozen=True)
class Once:
    """Makes its own outliers and passes them once more."""

    def __call__(self, view: View) -> dict:
        return {"outlier": oe(view.forward(strange(seed=view.step)).logits)}


@pytest.mark.parametrize("bn", ["id_stats", "frozen"])
def test_generated_rows_never_move_the_running_statistics(bn):
    model, twin = net(), net()
    Step(Once(), bn=bn)(model, PairedRows(*rows()))
    Step(bn=bn)(twin, PairedRows(*rows()))
    assert same(buffers(model), buffers(twin))


def test_generated_rows_move_the_running_statistics_under_joint():
    model, twin = net(), net()
    Step(Once())(model, PairedRows(*rows()))
    Step()(twin, PairedRows(*rows()))
    assert not same(buffers(model), buffers(twin))


@pytest.mark.parametrize("bn", RULES)
def test_gradients_survive_the_rule(bn):
    model = net()
    model(rows()[0])
    grads = paid(model, Step(Once(), bn=bn), PairedRows(*rows()))
    assert all(torch.isfinite(grad).all() for grad in grads.values())


@pytest.mark.parametrize("bn", RULES)
def test_without_batch_norm_all_three_rules_are_one(bn):
    model = net(norm="layer")
    expected = paid(copy.deepcopy(model), Step(OE), batch())
    for name, grad in paid(model, Step(OE, bn=bn), batch()).items():
        torch.testing.assert_close(grad, expected[name], msg=name)


@pytest.mark.parametrize("bn", RULES)
def test_dropout_stays_on(bn):
    model = net(norm="none", dropout=0.5)
    first, second = (Step(OE, bn=bn)(model, batch())["outlier"].item() for _ in range(2))
    assert first != second


def test_kept_statistics_come_back_bit_for_bit_even_after_an_error():
    model = net()
    before = buffers(model)
    with pytest.raises(ZeroDivisionError):
        failing(model)
    assert same(before, buffers(model))


def failing(model: nn.Module) -> None:
    """Moves the statistics, then fails."""
    with kept_bn(model):
        model(rows()[0])
        raise ZeroDivisionError


@pytest.mark.parametrize("objective", [OE, objectives.EnergyMargin(-3.0, -1.0)])
def test_accumulated_micro_batches_equal_one_batch(objective):
    model = net(norm="none").double()
    twin, found = copy.deepcopy(model), batch()
    whole = PairedRows(found.inputs.double(), found.labels, found.outliers.double())
    parts = [PairedRows(*(x[half::2] for x in whole)) for half in range(2)]
    trained(model, Step(objective), [whole], steps=2)
    trained(twin, Step(objective), parts, steps=2, accumulate=2)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_unequal_micro_batches_of_outlier_exposure_equal_one_batch():
    model = net(norm="none").double()
    twin, found = copy.deepcopy(model), batch()
    whole = PairedRows(found.inputs.double(), found.labels, found.outliers.double())
    parts = [PairedRows(whole.inputs[:7], whole.labels[:7], whole.outliers[:30]),
             PairedRows(whole.inputs[7:], whole.labels[7:], whole.outliers[30:])]  # fmt: skip
    trained(model, Step(OE), [whole], steps=1)
    trained(twin, Step(OE), parts, steps=1, accumulate=2)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)


def test_an_objective_that_is_no_mean_over_rows_refuses_accumulation():
    with pytest.raises(UsageError, match="accumulate=2"):
        trained(net(), Step(objectives.VOS(queue=4)), [batch()], accumulate=2)


@pytest.mark.parametrize("killed", [1, 4])
@pytest.mark.parametrize(
    "objective", [OE, objectives.MixOE(), objectives.VOS(queue=4)], ids=lambda x: type(x).__name__
)
def test_a_killed_run_continues_to_the_same_bits(objective, killed, tmp_path):
    found = [batch(seed=seed) for seed in range(3)]
    straight, resumed = net(dropout=0.2), net(dropout=0.2)
    torch.manual_seed(0)
    trained(straight, Step(objective), found, steps=6)
    torch.manual_seed(0)

    class Dying(Step):
        def __call__(self, model, rows):
            if self.state_dict()["count"] == killed:
                raise KeyboardInterrupt
            return super().__call__(model, rows)

    with pytest.raises(KeyboardInterrupt):
        trained(resumed, Dying(objective), found, steps=6, into=tmp_path, save_every=1)
    fresh = net(dropout=0.2)
    trained(fresh, Step(objective), found, steps=6, into=tmp_path, save_every=1)
    assert same(straight.state_dict().values(), fresh.state_dict().values())


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_labels_beyond_the_head_are_refused_before_the_first_pass(label):
    bad = batch()._replace(labels=torch.full((24,), label))
    with pytest.raises(UsageError, match=f"from 0 to {CLASSES - 1}"):
        Step(OE)(net(), bad)


def test_the_extra_class_is_no_label():
    bad = batch()._replace(labels=torch.full((24,), CLASSES))
    with pytest.raises(UsageError, match=f"from 0 to {CLASSES - 1}"):
        Step(objectives.NTOM())(net(extra=1), bad)


def test_labels_in_memory_are_checked_once_and_before_training():
    class Listed(list):
        labels = torch.tensor([0, 1, 7])

    with pytest.raises(UsageError, match="0 to 7"):
        Step(OE).prepare(net(), Listed([batch()]))


def test_a_set_with_one_class_is_refused():
    class Listed(list):
        labels = torch.zeros(4, dtype=torch.int64)

    with pytest.raises(UsageError, match="two classes or more"):
        Step(OE).prepare(net(), Listed([batch()]))


@pytest.mark.parametrize(
    "empty",
    [
        PairedRows(torch.zeros(0, WIDTH), torch.zeros(0, dtype=torch.int64), strange()),
        PairedRows(*rows(), torch.zeros(0, WIDTH)),
    ],
)
def test_an_empty_batch_is_refused(empty):
    with pytest.raises(UsageError, match="must have rows"):
        Step(OE)(net(), empty)


def test_missing_outliers_are_asked_for():
    with pytest.raises(UsageError, match="pairs"):
        Step(OE)(net(), PairedRows(*rows()))


@pytest.mark.parametrize("labels", [torch.zeros(24), torch.zeros(5, dtype=torch.int64)])
def test_labels_that_are_no_whole_numbers_for_each_row_are_refused(labels):
    with pytest.raises(UsageError, match="as many whole-number labels"):
        Step(OE)(net(), batch()._replace(labels=labels))


def test_a_head_of_one_output_is_refused():
    model = nn.Sequential(nn.Linear(WIDTH, 1))
    with pytest.raises(UsageError, match="two classes or more"):
        Step(OE)(model, batch()._replace(labels=torch.zeros(24, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("settings", "said"), [({"bn": "union"}, "bn="), ({"outlier": objectives.MixOE}, "objective")]
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        Step(**settings)


def test_two_shapes_pass_apart_where_no_layer_mixes_rows():
    model = nn.Sequential(nn.AdaptiveAvgPool1d(WIDTH), nn.Flatten(), net(norm="none"))
    inputs, labels = rows()
    losses = Step(OE)(model, PairedRows(inputs[:, None], labels, torch.randn(3, 1, 2 * WIDTH)))
    assert torch.isfinite(losses["outlier"])


def test_two_shapes_are_refused_under_one_batch_norm():
    model = nn.Sequential(nn.AdaptiveAvgPool1d(WIDTH), nn.Flatten(), net())
    with pytest.raises(UsageError, match="one shape"):
        Step(OE)(model, PairedRows(rows()[0][:, None], rows()[1], torch.randn(3, 1, 9)))


def test_the_head_may_be_named():
    model = nn.ModuleDict({"right": nn.Linear(WIDTH, CLASSES), "wrong": nn.Linear(WIDTH, 2)})
    model.forward = lambda x: model["right"](x)
    assert "outlier" in Step(OE, head="right")(model, batch())


def test_another_seed_draws_other_mixtures():
    model = net(norm="none")
    found = [Step(objectives.MixOE(), seed=s)(model, batch())["outlier"].item() for s in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


@dataclass(frozen=True)
class Counting:
    """Counts its batches in the state."""

    def begin(self, _model: nn.Module) -> dict:
        return {"seen": torch.zeros(())}

    def __call__(self, view: View) -> dict:
        view.state["seen"] += 1
        return {"outlier": oe(view.require_outliers().logits)}


def test_the_objectives_state_is_kept_between_batches_and_begun_anew_by_each_training():
    step = Step(Counting())
    trained(net(), step, [batch()], steps=3)
    assert step.state_dict()["state"]["seen"] == 3
    trained(net(), step, [batch()], steps=2)
    assert step.state_dict()["state"]["seen"] == 2


def test_weighted_by_zero_the_outlier_term_is_only_logged():
    with_it, without = net(norm="none"), net(norm="none")
    limen.fit(
        with_it, Step(OE), [batch()], steps=2, loop=limen.Loop(label=""),
        optimizer=torch.optim.SGD(with_it.parameters(), 0.1), combine=limen.Weighted(outlier=0.0),
    )  # fmt: skip
    trained(without, Step(), [batch()], steps=2)
    for one, other in zip(with_it.parameters(), without.parameters(), strict=True):
        torch.testing.assert_close(one, other)
