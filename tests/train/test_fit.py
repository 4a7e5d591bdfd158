"""The loop: its order, its arithmetic, and what it refuses before any work starts."""

import math
from collections import OrderedDict, namedtuple

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset
from training_toys import Watch, bits, close, grads_of, mse, net, one_loss, pairs, same

import limen
from limen import Loop
from limen._core.errors import UsageError, WorkError
from limen.algebra.modes import in_mode
from limen.train import Batches, Callback, Combine, Step
from limen.train.feed import as_batches, moved


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr)


def fit(model, step, batches, **settings):
    loop = settings.pop("loop", {})
    settings = {"steps": 1, "optimizer": sgd(model), **settings}
    return limen.fit(model, step, batches, **settings, loop=Loop(**loop))


# Arithmetic.


def test_fit_trains_as_a_loop_by_hand_does():
    batches, model, twin = pairs(6), net(), net()
    optimizer = torch.optim.AdamW(model.parameters(), 0.05)
    state = fit(model, one_loss, batches, steps=6, optimizer=optimizer)
    by_hand = torch.optim.AdamW(twin.parameters(), 0.05)
    for batch, row in zip(batches, state.history, strict=True):
        by_hand.zero_grad()
        loss = mse(twin, batch["retain"])
        loss.backward()
        by_hand.step()
        assert row["loss"] == loss.item()
    assert same(bits(model), bits(twin))


class Tokens:
    """A mean over the tokens of unequal batches."""

    def __call__(self, model, batch):
        return {"loss": mse(model, batch)}

    def weigh(self, batch):
        return {"loss": len(batch[0])}


def test_unequal_micro_batches_add_up_to_the_mean_over_all_rows():
    torch.manual_seed(0)
    rows = [(torch.randn(n, 3).double(), torch.randn(n, 2).double()) for n in (1, 5, 2)]
    whole = tuple(torch.cat(column) for column in zip(*rows, strict=True))
    model, watch = net(), Watch()
    expected = grads_of(model, mse(model, whole))
    state = fit(model, Tokens(), rows, callbacks=[watch], loop={"accumulate": 3})
    close(watch.grads[0], expected, 1e-12)
    assert state.values["loss"] == pytest.approx(mse(net(), whole).item(), rel=1e-12)


def test_without_counts_micro_batches_weigh_alike():
    torch.manual_seed(0)
    rows = [(torch.randn(n, 3).double(), torch.randn(n, 2).double()) for n in (1, 5)]
    model, watch = net(), Watch()
    expected = 0.5 * sum(
        (grads_of(model, mse(model, row)) for row in rows[1:]), grads_of(model, mse(model, rows[0]))
    )
    fit(model, lambda m, b: {"loss": mse(m, b)}, rows, callbacks=[watch], loop={"accumulate": 2})
    close(watch.grads[0], expected, 1e-12)


def test_counts_of_other_names_on_another_batch_are_refused():
    class Fickle(Tokens):
        def weigh(self, batch):
            return {"loss": 1} if len(batch[0]) == 1 else {"other": 1}

    rows = [(torch.randn(n, 3).double(), torch.randn(n, 2).double()) for n in (1, 5)]
    with pytest.raises(UsageError, match="same names for every batch"):
        fit(net(), Fickle(), rows, loop={"accumulate": 2})


def test_clipping_scales_the_final_gradient():
    batches, free, tight = pairs(1), Watch(), Watch()
    fit(net(), one_loss, batches, callbacks=[free])
    fit(net(), one_loss, batches, callbacks=[tight], loop={"clip": 0.01})
    assert tight.grads[0].norm() == pytest.approx(0.01)
    close(tight.grads[0], free.grads[0] * (0.01 / free.grads[0].norm()), 1e-15)


def test_a_gradient_below_the_bound_is_not_touched():
    batches, free, loose = pairs(1), Watch(), Watch()
    fit(net(), one_loss, batches, callbacks=[free])
    fit(net(), one_loss, batches, callbacks=[loose], loop={"clip": 1e6})
    close(loose.grads[0], free.grads[0], 0)


def test_an_infinite_gradient_cannot_be_clipped():
    model = net()

    def step(model, batch):
        p = model[0].weight
        return {"loss": (0 * p).sum() + (p - p.detach()).abs().sqrt().sum()}  # slope inf at 0

    before = bits(model)
    with pytest.raises(WorkError, match="gradient must be finite"):
        fit(model, step, pairs(1), loop={"clip": 1.0})
    assert same(bits(model), before)


def test_the_update_a_callback_sees_is_what_was_taken():
    model, watch = net(), Watch()
    before = bits(model)
    fit(model, one_loss, pairs(1), callbacks=[watch])
    close(watch.updates[0], {n: before[n] - p for n, p in bits(model).items()}, 0)


def test_an_update_nobody_asked_for_is_refused():
    state = fit(net(), one_loss, pairs(1))
    with pytest.raises(UsageError, match="needs_before"):
        _ = state.update


def test_constrain_has_the_last_word_on_the_weights():
    def positive(params):
        for p in params.values():
            p.clamp_(min=0)

    model = net()
    fit(model, one_loss, pairs(2), steps=2, loop={"constrain": positive})
    assert all((p >= 0).all() for p in model.parameters())


@pytest.mark.parametrize("given", ["instance", "function"])
def test_the_schedule_moves_once_a_step(given):
    def halving(optimizer):
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    model = net()
    optimizer, rates = sgd(model, 1e-3), []

    class Rates:
        def before_update(self, state):
            rates.append(state.optimizer.param_groups[0]["lr"])

        def after_update(self, state): ...

    schedule = halving(optimizer) if given == "instance" else halving
    fit(
        model, one_loss, pairs(3), steps=3, optimizer=optimizer, callbacks=[Rates()],
        loop={"schedule": schedule, "accumulate": 2},
    )  # fmt: skip
    assert rates == [1e-3, 5e-4, 2.5e-4]


def test_what_the_optimizer_does_not_hold_does_not_move():
    model = net()
    before = bits(model)
    combine = limen.Rectify(goal="a", guard="b", on="update")
    state = fit(
        model,
        lambda m, b: {"a": -mse(m, b["forget"]), "b": mse(m, b["retain"])},
        pairs(2),
        steps=2,
        combine=combine,
        optimizer=torch.optim.AdamW(model[3].parameters(), 0.1),
    )
    after = bits(model)
    assert list(state.params) == ["3.weight", "3.bias"]
    assert torch.equal(after["0.weight"], before["0.weight"])
    assert not torch.equal(after["3.weight"], before["3.weight"])


def test_bfloat16_autocast_trains_float32_weights():
    model, seen = net(dtype=torch.float32), []

    def step(model, batch):
        out = model(batch["retain"][0])
        seen.append(out.dtype)
        return {"loss": out.float().square().mean(), "lazy": lambda: note(model, batch)}

    def note(model, batch):
        out = model(batch["retain"][0])
        seen.append(out.dtype)
        return out.float().square().mean()

    fit(model, step, pairs(1, dtype=torch.float32), loop={"precision": "bf16"})
    assert seen == [torch.bfloat16, torch.bfloat16]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_accelerate_launch_decides_the_precision_that_nobody_asked_for(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert Loop().mixed == "bf16"
    assert Loop(precision="no").mixed == "no"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(UsageError, match="'fp16' must be 'no' or 'bf16'"):
        Loop()


def test_a_setting_of_accelerate_launch_cannot_rescale_the_gradient(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    model, watch = net(), Watch()
    expected = grads_of(model, one_loss(model, pairs(1)[0])["loss"])
    fit(model, one_loss, pairs(1), callbacks=[watch])
    close(watch.grads[0], expected, 0)


# Order, modes, history.


def test_one_step_keeps_its_order():  # noqa: C901  one probe for each part of the loop
    told = []
    model = net()

    class Told(limen.Weighted):
        needs_before = True

        def begin(self, params):
            assert all(p.grad is None for p in params.values())
            told.append("begin")

        def backward(self, losses, share, back):
            told.append("backward")
            return super().backward(losses, share, back)

        def finish(self):
            told.append("finish")
            return {"finished": 1.0}

        def updated(self, before):
            assert before is not None
            told.append("updated")
            return {"corrected": 2.0}

        def observe(self, values):
            told.append(f"observe {sorted(values)}")

    class Probe:
        def before_update(self, state):
            assert state.grads.norm() == pytest.approx(0.5)  # clipped before anybody looks
            told.append(f"before_update {state.step}")

        def after_update(self, state):
            told.append(f"after_update {state.step} {sorted(state.values)}")

    class Optimizer(torch.optim.SGD):
        def step(self, closure=None):
            told.append("optimizer")
            return super().step(closure)

    class Scheduled(torch.optim.lr_scheduler.ConstantLR):
        started = False

        def step(self, *given):
            if self.started:
                told.append("schedule")
            super().step(*given)

    def schedule(optimizer):
        made = Scheduled(optimizer)
        made.started = True
        return made

    fit(
        model,
        lambda m, b: {"loss": 100 * mse(m, b["retain"])},
        pairs(2),
        combine=Told(),
        callbacks=[Probe()],
        optimizer=lambda params: Optimizer(params, 1e-3),
        loop={
            "accumulate": 2, "clip": 0.5, "schedule": schedule,
            "constrain": lambda params: told.append("constrain"),
        },
    )  # fmt: skip
    assert told == [
        "begin", "backward", "backward", "finish", "before_update 0", "optimizer", "updated",
        "constrain", "schedule", "observe ['loss']",
        "after_update 1 ['corrected', 'finished', 'loss']",
    ]  # fmt: skip


def test_a_step_prepares_once_and_observes_the_windows_means():
    class Careful:
        prepared, observed = 0, ()

        def __call__(self, model, batch):
            return one_loss(model, batch)

        def prepare(self, model, batches):
            self.prepared += 1

        def observe(self, values):
            self.observed = (*self.observed, values["loss"])

    step = Careful()
    state = fit(net(), step, pairs(4), steps=2, loop={"accumulate": 2})
    assert step.prepared == 1
    assert list(step.observed) == [row["loss"] for row in state.history]


def test_the_parameters_before_the_update_are_copied_only_if_somebody_asks():
    state = fit(net(), one_loss, pairs(1))
    assert state.before is None
    assert fit(net(), one_loss, pairs(1), callbacks=[Watch()]).before is not None


@pytest.mark.parametrize("fails", [False, True])
def test_every_module_gets_its_own_mode_back(fails):
    model = net(dropout=0.5).eval()
    model[2].train()
    seen = []

    def step(model, batch):
        seen.append([module.training for module in model])
        if fails:
            raise ZeroDivisionError
        return one_loss(model, batch)

    if fails:
        with pytest.raises(ZeroDivisionError):
            fit(model, step, pairs(1))
    else:
        fit(model, step, pairs(1))
    assert seen == [[True] * 4]
    assert [module.training for module in model] == [False, False, True, False]


def test_in_mode_restores_after_an_exception():
    layer = nn.Dropout().train()
    with pytest.raises(ZeroDivisionError), in_mode(layer, training=False):
        raise ZeroDivisionError
    assert layer.training


def test_no_steps_change_nothing():
    model = net()
    before = bits(model)
    assert fit(model, one_loss, pairs(1), steps=0).history == []
    assert same(bits(model), before)


# Where batches come from.


def seen_by(batches, steps, accumulate=1):
    seen = []

    def step(model, batch):
        seen.append(int(batch[0, 0]) if torch.is_tensor(batch) else int(batch[0][0, 0]))
        return {"loss": model(torch.ones(1, 3).double()).square().mean()}

    fit(net(), step, batches, steps=steps, loop={"accumulate": accumulate})
    return seen


def numbered(count):
    return [torch.full((1, 3), float(i)) for i in range(count)]


@pytest.mark.parametrize("container", [list, tuple, iter, DataLoader])
def test_lists_are_cycled_and_iterables_read_in_order(container):
    data = numbered(3)
    batches = DataLoader(data, batch_size=None) if container is DataLoader else container(data)
    if container is iter:
        assert seen_by(batches, 3) == [0, 1, 2]
    else:
        assert seen_by(batches, 5) == [0, 1, 2, 0, 1]


def test_accumulation_takes_consecutive_micro_batches():
    assert seen_by(numbered(10), 2, accumulate=3) == [0, 1, 2, 3, 4, 5]


def test_anything_with_an_index_is_asked_for_its_number():
    class Endless:
        def __getitem__(self, i):
            return torch.full((1, 3), 10.0 * i)

    assert seen_by(Endless(), 3) == [0, 10, 20]


def test_an_exhausted_generator_is_an_error_and_not_a_repetition():
    with pytest.raises(UsageError, match="ended after 2"):
        seen_by(iter(numbered(2)), 3)


@pytest.mark.parametrize("nothing", [[], (), iter([])])
def test_no_batches_are_refused(nothing):
    with pytest.raises(UsageError, match="batches must"):
        seen_by(nothing, 1)


@pytest.mark.parametrize("wrong", [3, {"a": 1}, "text", None])
def test_what_holds_no_batches_is_refused(wrong):
    with pytest.raises(UsageError, match="batches must be a list, a DataLoader"):
        as_batches(wrong, resumable=False)


DATA = TensorDataset(torch.arange(4.0).reshape(4, 1))


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(DATA, shuffle=True),
        DataLoader(DATA, sampler=SubsetRandomSampler(range(4))),
        DataLoader(DATA, sampler=SubsetRandomSampler(range(4)), generator=torch.Generator()),
        DataLoader(
            DATA,
            batch_sampler=torch.utils.data.BatchSampler(SubsetRandomSampler(range(4)), 2, False),
        ),
    ],
    ids=["shuffle", "sampler", "sampler beside a generator", "batch sampler"],
)
def test_a_loader_shuffled_by_the_global_generator_cannot_be_resumed(loader):
    with pytest.raises(UsageError, match=r"needs generator=torch\.Generator\(\)"):
        as_batches(loader, resumable=True)
    as_batches(loader, resumable=False)


def test_a_loader_with_a_generator_or_without_shuffling_can_be_resumed():
    for loader in (DataLoader(DATA), DataLoader(DATA, shuffle=True, generator=torch.Generator())):
        assert as_batches(loader, resumable=True)[0] is not None


def test_skipping_forward_leaves_no_trace_in_the_global_generators():
    def noisy():
        for _ in range(5):
            yield torch.rand(1)

    torch.manual_seed(0)
    whole = as_batches(noisy(), resumable=True)
    expected = [whole[i] for i in range(5)][3:]
    torch.manual_seed(0)
    resumed = as_batches(noisy(), resumable=True)
    for _ in range(3):
        torch.rand(1)  # where a checkpoint after three batches would have left the generator
    assert [resumed[3], resumed[4]] == expected


def test_batches_read_in_order_cannot_go_back():
    source = as_batches(iter(numbered(3)), resumable=False)
    _ = source[1]
    with pytest.raises(UsageError, match="asked for 0 again"):
        _ = source[0]


Pair = namedtuple("Pair", "x y")


def test_batches_are_moved_whatever_holds_them():
    one = torch.ones(1)
    batch = OrderedDict(a=[one, "text"], b=Pair(one, 3), c=(one, None))
    there = moved(batch, torch.device("meta"))
    assert there["a"][0].is_meta
    assert there["a"][1] == "text"
    assert isinstance(there["b"], Pair)
    assert there["b"].x.is_meta
    assert there["c"][0].is_meta
    assert not one.is_meta


# What is refused before any work starts.


def test_ddp_is_refused():
    class Wrapped(nn.parallel.DistributedDataParallel):
        def __init__(self, module):  # without a process group
            nn.Module.__init__(self)
            self.module = module

    model = Wrapped(net())
    with pytest.raises(UsageError, match="DDP"):
        fit(model, one_loss, pairs(1))


def test_several_processes_without_a_group_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="init_process_group"):
        fit(net(), one_loss, pairs(1))


def test_a_frozen_model_is_refused():
    model = net().requires_grad_(False)
    with pytest.raises(UsageError, match="all of them are frozen"):
        fit(model, one_loss, pairs(1), optimizer=lambda params: sgd(net()))


def test_another_models_optimizer_is_refused():
    with pytest.raises(UsageError, match="it holds others"):
        fit(net(), one_loss, pairs(1), optimizer=sgd(net()))


@pytest.mark.parametrize("steps", [-1])
def test_a_negative_number_of_steps_is_refused(steps):
    with pytest.raises(UsageError, match="steps=-1"):
        fit(net(), one_loss, pairs(1), steps=steps)


def test_a_loss_that_is_no_mean_cannot_be_accumulated():
    class Contrastive:
        additive = False

        def __call__(self, model, batch):
            return one_loss(model, batch)

    with pytest.raises(UsageError, match="accumulate=2 must be 1"):
        fit(net(), Contrastive(), pairs(2), loop={"accumulate": 2})
    assert fit(net(), Contrastive(), pairs(1)).step == 1


@pytest.mark.parametrize(
    "settings",
    [{"accumulate": 0}, {"clip": 0.0}, {"clip": -1.0}, {"save_every": 0}, {"precision": "fp16"}],
    ids=str,
)
def test_loop_settings_out_of_range_are_refused(settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        Loop(**settings)


def test_a_bare_loss_is_refused_with_the_form_it_needs():
    with pytest.raises(UsageError, match="dict of named losses, got Tensor"):
        fit(net(), lambda model, batch: mse(model, batch["retain"]), pairs(1))


def test_a_logged_value_must_be_one_number():
    with pytest.raises(UsageError, match=r"'row' must be one number"):
        fit(net(), lambda m, b: {**one_loss(m, b), "row": torch.ones(3)}, pairs(1))


# Failing work.


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_loss_that_is_no_number_stops_with_the_blame_and_untouched_weights(bad):
    class Blaming:
        def __call__(self, model, batch):
            return {"loss": mse(model, batch["retain"]) * (bad if batch.get("bad") else 1)}

        def blame(self, model, batch):
            return "row 7 of forget.jsonl" if batch.get("bad") else ""

    model = net()
    batches = [*pairs(2), {**pairs(1)[0], "bad": True}]
    expected = net()
    fit(expected, one_loss, pairs(2), steps=2)
    with pytest.raises(WorkError, match=r"'loss' is (inf|nan) at step 2 \(row 7 of forget.jsonl\)"):
        fit(model, Blaming(), batches, steps=3)
    assert same(bits(model), bits(expected))


# Protocols.


def test_what_ships_fulfils_the_protocols():
    assert isinstance(one_loss, Step)
    assert isinstance(limen.Weighted(), Combine)
    assert isinstance(limen.Rectify(goal="a", guard="b"), Combine)
    assert isinstance(Watch(), Callback)
    assert isinstance([1], Batches)
    assert not isinstance(object(), Combine)
