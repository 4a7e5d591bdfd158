"""Queues, virtual outliers from the tail, and a logistic head that learns apart."""

import pytest
import torch
from outlier_toys import CLASSES, batch, net, rows, trained
from scipy.stats import chi2, kstest

from limen._core.errors import UsageError
from limen.bank.network import head_of, see
from limen.ood.objectives import VOS
from limen.ood.objectives.vos import _told_apart
from limen.ood.seen import View
from limen.ood.step import PairedRows, Step
from limen.search.tails import normal_tails


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def view(model, state, inputs, labels) -> View:
    return View(model, head_of(model), inputs, labels=labels, inlier=see(model, inputs),
                state=state)  # fmt: skip


def test_each_class_keeps_its_last_features():
    model, state, objective = net(norm="none").eval(), {}, VOS(queue=3)
    inputs, labels = rows(21)
    seen = see(model, inputs).features
    for start in (0, 5, 14):
        stop = {0: 5, 5: 14, 14: 21}[start]
        objective(view(model, state, inputs[start:stop], labels[start:stop]))
    for c in range(CLASSES):
        expected = seen[labels == c][-3:]
        kept = state["queue"][c]
        gaps = torch.cdist(expected, kept).min(1).values
        assert gaps.max() < 1e-3, c
    assert state["pushed"].tolist() == [7, 7, 7]


def test_it_waits_for_full_queues_and_then_begins():
    model, step = net(), Step(VOS(queue=20))
    losses = [row["outlier"] for row in trained(model, step, [batch()]).history]
    assert losses[0] == losses[1] == 0  # 8 of each class in a batch
    assert losses[2] > 0


def test_virtual_outliers_are_farther_than_nearly_all_draws():
    queue = torch.randn(2, 400, 3, generator=stream()) * torch.tensor([1.0, 2.0, 0.5])
    queue[1] += 10
    found = VOS(queue=400, draws=1000, select=5).virtual(queue, stream()).view(2, 5, 3)
    centred = queue - queue.mean(1, keepdim=True)
    covariance = centred.flatten(0, 1).T @ centred.flatten(0, 1) / 800 + 1e-4 * torch.eye(3)
    gaps = found - queue.mean(1, keepdim=True)
    lengths = torch.einsum("csd,de,cse->cs", gaps, covariance.inverse(), gaps)
    assert lengths.min() > chi2.ppf(0.98, 3)


def test_tails_have_the_law_of_the_longest_of_many_draws():
    drawn = torch.randn(4000, 20, 3, generator=stream(), dtype=torch.float64).norm(dim=-1)
    found = normal_tails(4000, 3, draws=20, select=2, stream=stream(1)).norm(dim=-1)
    for place in range(2):
        direct = found[:, place]
        slow = drawn.sort(-1, descending=True).values[:, place]
        assert kstest(direct.numpy(), slow.numpy()).pvalue > 0.01


def test_selected_tails_come_longest_first():
    lengths = normal_tails(3, 4, draws=50, select=50, stream=stream()).norm(dim=-1)
    assert (lengths.diff(dim=-1) <= 0).all()


def test_the_networks_gradient_comes_from_inliers_and_from_the_head():
    model, state = net(norm="none"), {}
    objective = VOS(queue=4)
    objective(view(model, state, *rows()))
    objective(view(model, state, *rows()))["outlier"].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_logistic_head_learns_to_tell_the_two_apart():
    model, step = net(), Step(VOS(queue=8, rate=0.05))
    trained(model, step, [batch()], steps=3)
    before = {name: x.clone() for name, x in step.state_dict()["state"].items()}
    trained_again = step.state_dict()["state"]
    step(model, batch())
    assert trained_again["log a"] != before["log a"]
    assert not torch.equal(trained_again["eta"], before["eta"])
    assert not any(x.requires_grad for x in trained_again.values())


def test_the_logistic_head_does_not_mind_the_scale_and_place_of_the_energies():
    state = {"eta": torch.zeros(3), "log a": torch.tensor(0.3), "b": torch.tensor(0.1)}
    inlier, virtual = torch.randn(2, 9, 3, generator=stream())
    one, moved = (_told_apart(state, inlier + c, virtual + c) for c in (0.0, 20.0))
    torch.testing.assert_close(one, moved, atol=1e-4, rtol=1e-4)


def test_the_head_pushes_outliers_to_the_smaller_energies_whatever_it_has_learnt():
    state = {"eta": torch.zeros(3), "log a": torch.tensor(-3.0), "b": torch.tensor(0.0)}
    inlier, virtual = torch.randn(2, 9, 3, generator=stream()).unbind()
    virtual = (virtual + 2).requires_grad_()  # on the wrong side
    _told_apart(state, inlier, virtual).backward()
    assert (virtual.grad > 0).all()


def test_it_needs_no_outliers():
    losses = Step(VOS(queue=4))(net(), PairedRows(*rows()))
    assert {"inlier", "outlier"} == losses.keys()


@pytest.mark.parametrize(
    "wrong",
    [{"queue": 1}, {"start": -1}, {"select": 0}, {"select": 3, "draws": 2}, {"ridge": 0.0},
     {"rate": 0.0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        VOS(**wrong)
