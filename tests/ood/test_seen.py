"""One more look under the same rules, and random numbers that a batch's number decides."""

import pytest
import torch
from outlier_toys import net, rows, strange

from limen._core.errors import UsageError
from limen.bank.network import head_of, see
from limen.ood.seen import View, frozen_bn, has_bn, kept_bn, passed


def view(model, **named) -> View:
    inputs, labels = rows()
    seen = see(model, inputs)
    return View(model, head_of(model), inputs, labels=labels, inlier=seen, **named)


def test_the_head_turns_features_into_the_logits():
    model = net()
    found = view(model)
    torch.testing.assert_close(found.head(found.inlier.features), found.inlier.logits)


def test_another_pass_carries_gradient_to_the_first_layer():
    model = net()
    view(model).forward(strange()).logits.sum().backward()
    assert next(model.parameters()).grad.abs().sum() > 0


def test_another_pass_under_joint_is_the_models_own():
    model, twin = net(), net()
    twin(rows()[0])
    torch.testing.assert_close(view(model).forward(strange()).logits, twin(strange()))


def test_the_stream_depends_on_name_step_and_seed():
    model = net()
    draws = {
        torch.rand(1, generator=view(model, step=step, seed=seed).stream(name)).item()
        for step, seed, name in [(0, 0, "a"), (0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]
    }
    assert len(draws) == 4


def test_asking_for_outliers_that_are_not_there_says_so():
    with pytest.raises(UsageError, match="learns from outliers"):
        view(net()).require_outliers()


def test_inliers_move_the_statistics_under_id_stats_and_others_do_not():
    model = net()
    before = model.body[2].running_mean.clone()
    passed(model, strange(), layer=model.fc, bn="id_stats", inliers=False)
    assert torch.equal(before, model.body[2].running_mean)
    passed(model, rows()[0], layer=model.fc, bn="id_stats")
    assert not torch.equal(before, model.body[2].running_mean)


def test_kept_statistics_are_the_same_tensors_afterwards():
    model = net()
    before = list(model.buffers())
    with kept_bn(model):
        model(rows()[0])
    assert all(one is other for one, other in zip(before, model.buffers(), strict=True))


def test_frozen_leaves_other_modules_in_their_mode():
    model = net(dropout=0.5)
    with frozen_bn(model):
        modes = {type(m).__name__: m.training for m in model.modules()}
    assert modes["BatchNorm1d"] is False
    assert modes["Dropout"] is True
    assert all(m.training for m in model.modules())


def test_only_layers_with_running_statistics_count_as_batch_norm():
    assert has_bn(net())
    assert not has_bn(net(norm="layer"))
    assert not has_bn(torch.nn.BatchNorm1d(3, track_running_stats=False))
