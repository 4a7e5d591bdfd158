"""Losses as tensors, functions, and at other weights."""

import pytest
import torch
from torch import nn
from training_toys import bits, close, grads_of, mse, net, one_loss, pairs, same

import limen
from limen import At, Loop, ParamVector, Weighted
from limen._core.errors import UsageError
from limen.train.losses import Back, in_order


def displacement(model, size=0.1):
    """A fixed step for every parameter."""
    return ParamVector.of(model).map(lambda p: size * torch.ones_like(p))


def trained(step, batches, *, combine=None, model=None, **loop):
    model = model or net()
    seen = []

    class Grads:
        def before_update(self, state):
            seen.append(state.grads.copy())

        def after_update(self, state): ...

    state = limen.fit(
        model,
        step,
        batches,
        steps=len(batches),
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        combine=combine,
        callbacks=[Grads()],
        loop=Loop(**loop),
    )
    return state, seen


# At: forward and backward at other weights.


def test_at_gives_the_exact_gradient_at_the_displaced_weights():
    (batch,) = pairs(1)
    model = net()
    by = displacement(model)
    with limen.algebra.shifted(model, by):
        expected = grads_of(model, mse(model, batch["retain"]))
    _, (found,) = trained(
        lambda model, batch: {"loss": At(by, lambda: mse(model, batch["retain"]))}, [batch]
    )
    close(found, expected, 0)


def test_at_gives_the_weights_back_bit_for_bit():
    model, (batch,) = net(), pairs(1)
    before = bits(model)
    Back(model)(At(displacement(model, 1e6), lambda: mse(model, batch["retain"])), 1.0)
    assert same(bits(model), before)


def test_at_gives_the_weights_back_when_the_loss_raises():
    model = net()
    before = bits(model)

    def explode():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Back(model)(At(displacement(model), explode), 1.0)
    assert same(bits(model), before)


@pytest.mark.parametrize(("buffers", "moved"), [("keep", False), ("update", True)])
def test_batch_norm_statistics_are_kept_unless_they_are_asked_to_move(buffers, moved):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double().train()
    before = model[1].running_mean.clone()
    loss = At(displacement(model), lambda: mse(model, pairs(1)[0]["retain"]), buffers)
    Back(model)(loss, 1.0)
    assert torch.equal(model[1].running_mean, before) != moved


def test_at_comes_after_the_graphs_that_it_would_make_stale():
    one = torch.ones((), requires_grad=True)
    losses = {"far": At(ParamVector({}), lambda: one), "lazy": lambda: one, "graph": one * 1}
    assert in_order(losses) == ["graph", "lazy", "far"]


def test_at_beside_a_graph_adds_up_to_both_gradients():
    (batch,) = pairs(1)
    model = net()
    by = displacement(model)
    with limen.algebra.shifted(model, by):
        there = grads_of(model, mse(model, batch["forget"]))
    expected = there + grads_of(model, mse(model, batch["retain"]))

    def step(model, batch):
        return {
            "far": At(by, lambda: mse(model, batch["forget"])),
            "near": mse(model, batch["retain"]),
        }

    _, (found,) = trained(step, [batch])
    close(found, expected, 1e-12)


def test_at_may_guard_a_rectified_step():
    """The goal's graph is made before the guard moves the weights, and must still be right."""
    (batch,) = pairs(1)
    model = net()
    by = displacement(model)
    with limen.algebra.shifted(model, by):
        guard = grads_of(model, mse(model, batch["retain"]))
    goal = grads_of(model, -mse(model, batch["forget"]))

    def step(model, batch):
        return {
            "forget": -mse(model, batch["forget"]),
            "retain": At(by, lambda: mse(model, batch["retain"])),
        }

    combine = limen.Rectify(goal="forget", guard="retain", ema=1.0)
    _, (found,) = trained(step, [batch], combine=combine)
    close(found, limen.algebra.rectified(goal, guard), 1e-12)


def test_at_stays_in_full_precision_under_autocast():
    seen = []

    def step(model, batch):
        def loss():
            out = model(batch["retain"][0])
            seen.append(out.dtype)
            return out.float().square().mean()

        return {"loss": At(displacement(model, 1e-3), loss), "other": loss}

    trained(step, pairs(1, dtype=torch.float32), model=net(dtype=torch.float32), precision="bf16")
    assert seen == [torch.bfloat16, torch.float32]


def test_at_refuses_an_unknown_treatment_of_buffers():
    with pytest.raises(UsageError, match="'keep' or 'update'"):
        At(ParamVector({}), lambda: torch.zeros(()), "move")


def test_at_without_a_model_says_where_to_give_it():
    with pytest.raises(UsageError, match=r"begin\(model\)"):
        Back()(At(ParamVector({}), lambda: torch.zeros(())), 1.0)


# Weighted.


def two_tensors(model, batch):
    return {"a": mse(model, batch["forget"]), "b": mse(model, batch["retain"])}


def test_the_default_is_the_gradient_of_the_sum():
    (batch,) = pairs(1)
    model = net()
    expected = grads_of(model, sum(two_tensors(model, batch).values()))
    _, (found,) = trained(two_tensors, [batch])
    close(found, expected, 1e-12)


def test_weights_scale_each_named_loss():
    (batch,) = pairs(1)
    model = net()
    expected = grads_of(model, mse(model, batch["forget"]) + 0.25 * mse(model, batch["retain"]))
    _, (found,) = trained(two_tensors, [batch], combine=Weighted(b=0.25))
    close(found, expected, 1e-12)


def test_weight_zero_only_logs():
    (batch,) = pairs(1)
    model = net()
    expected = grads_of(model, mse(model, batch["forget"]))
    state, (found,) = trained(two_tensors, [batch], combine=Weighted(b=0))
    close(found, expected, 0)
    assert state.values["b"] == pytest.approx(mse(net(), batch["retain"]).item())


def shared_forward(model, batch):
    out = model(batch["retain"][0])
    return {"a": out.square().mean(), "b": out.abs().mean(), "c": out.sum()}


def lazily(model, batch):
    x = batch["retain"][0]
    return {
        "a": lambda: model(x).square().mean(),
        "b": lambda: model(x).abs().mean(),
        "c": lambda: model(x).sum(),
    }


def test_functions_tensors_and_one_shared_graph_give_one_gradient():
    (batch,) = pairs(1)
    combine = Weighted(b=0.5, c=0.25)
    _, (shared,) = trained(shared_forward, [batch], combine=combine)
    _, (lazy,) = trained(lazily, [batch], combine=combine)
    close(shared, lazy, 1e-12)


def test_losses_that_share_a_graph_are_paid_by_one_pass_through_it():
    passes = []

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            passes.append(True)
            return grad

    def step(model, batch):
        out = Counted.apply(model(batch["retain"][0]))
        return {"a": out.square().mean(), "b": out.abs().mean(), "c": out.sum()}

    (batch,) = pairs(1)
    trained(step, [batch])
    assert len(passes) == 1


def test_a_loss_of_several_numbers_is_named():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(UsageError, match=r"loss 'b' must be a scalar; got shape \(2,\)"):
        Weighted().backward({"a": x.sum(), "b": x + 1})


def test_each_graph_is_freed_before_the_next_function_runs():
    alive = []

    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark = object()
            alive.append(True)
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            alive.pop()
            return grad

    def step(model, batch):
        def loss():
            assert not alive, "the loss before this one still holds its graph"
            return Kept.apply(mse(model, batch["retain"]))

        return {"a": loss, "b": loss, "c": loss}

    trained(step, pairs(1))
    assert not alive


def test_a_detached_loss_is_logged_and_never_trained_on():
    (batch,) = pairs(1)

    def step(model, batch):
        return {**one_loss(model, batch), "accuracy": torch.tensor(0.75)}

    state, (found,) = trained(step, [batch])
    _, (alone,) = trained(one_loss, [batch])
    assert state.values["accuracy"] == 0.75
    close(found, alone, 0)


def test_a_weight_for_a_missing_loss_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"Weighted\(outlyer=2\).*nearest: outlier"):
        Weighted(outlyer=2).backward({"outlier": torch.ones((), requires_grad=True)})


def test_a_weight_for_a_detached_loss_is_refused():
    with pytest.raises(UsageError, match="trainable loss 'a'"):
        Weighted(a=1).backward({"a": torch.ones(())})


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(UsageError, match=r"scalar.*\(2,\)"):
        Weighted().backward({"a": torch.ones(2, requires_grad=True)})


def test_a_function_whose_loss_is_detached_is_refused():
    with pytest.raises(UsageError, match="requires_grad=False"):
        Weighted().backward({"a": lambda: torch.ones(())})


def test_absent_groups_count_nothing():
    """A combine over groups, of which some are absent from a batch: 0 * z.sum(), count 0."""

    class Groups:
        def __call__(self, model, batch):
            x, y = batch["retain"]
            rows = (model(x) - y).square().mean(1)
            low = y[:, 0] < batch["cut"]
            return {
                name: rows[at].mean() if at.any() else 0 * rows.sum()
                for name, at in {"low": low, "high": ~low}.items()
            }

        def weigh(self, batch):
            low = (batch["retain"][1][:, 0] < batch["cut"]).sum().item()
            return {"low": low, "high": len(batch["retain"][1]) - low}

    cuts = [-100.0, 100.0, 0.0]
    batches = [{**batch, "cut": cut} for batch, cut in zip(pairs(3), cuts, strict=True)]
    model = net()
    rows, low = [], []
    for batch in batches:
        x, y = batch["retain"]
        rows.append((model(x) - y).square().mean(1))
        low.append(y[:, 0] < batch["cut"])
    rows, low = torch.cat(rows), torch.cat(low)
    expected = grads_of(model, rows[low].mean() + rows[~low].mean())

    found = []

    class Grads:
        def before_update(self, state):
            found.append(state.grads.copy())

        def after_update(self, state): ...

    model = net()
    limen.fit(
        model,
        Groups(),
        batches,
        steps=1,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        callbacks=[Grads()],
        loop=Loop(accumulate=3),
    )
    close(found[0], expected, 1e-12)
