"""The settings of a forgetting run, and what they come to."""

import copy
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from limen import Rectify, Weighted
from limen._core.errors import UsageError
from limen.train.randomness import random_state
from limen.unlearn.objectives import GA, NPO, WGA
from limen.unlearn.retain import KL, NLL
from limen.unlearn.steer import Steer
from limen.unlearn.task import Task
from limen.unlearn.training import Training


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:2], retain=rows[2:5])


def trained(model, task, **settings):
    model = copy.deepcopy(model)
    history = Training(steps=2, lr=1e-3, batch=2, **settings).run(model, task, label="").history
    return history, [p.detach() for p in model.parameters()]


def test_a_plain_run_sums_its_losses():
    plan = Training(GA(), rectify=False, retain=NLL(), weight=3.0)
    assert isinstance(plan.combine(), Weighted)
    assert repr(plan.step()) == "Step(forget=GA(), retain=NLL(), weight=3.0)"


def test_a_rectified_run_without_a_retain_loss_is_guarded_by_the_nll():
    plan = Training(GA(), retain=None)
    assert plan.step().retain == NLL()
    assert plan.combine().guard_weight == 0.0


def test_a_rectified_run_with_a_retain_loss_contains_its_weight():
    plan = Training(GA(), retain=NLL(), weight=3.0)
    assert plan.step().retain == NLL()
    assert plan.combine().guard_weight == 3.0


def test_kl_is_a_retain_loss_and_no_guard():
    assert Training(retain=KL(), rectify=False).step().retain == KL()
    for rectify in (True, partial(Rectify, on="update")):
        with pytest.raises(UsageError, match="gradient vanishes at the start"):
            Training(retain=KL(), rectify=rectify)


def test_a_special_rectify_keeps_what_it_was_made_with():
    plan = Training(rectify=partial(Rectify, ema=0.5, on="update"))
    assert (plan.combine().ema, plan.combine().on) == (0.5, "update")


@pytest.mark.parametrize("weight", [0.0, 7.0])
def test_the_weight_of_no_retain_loss_leaves_the_guard_alone(weight, learnt, task):
    (log, params), (plain_log, plain) = (
        trained(learnt, task, weight=w, retain=None) for w in (weight, 1.0)
    )
    assert log == plain_log
    assert all(torch.equal(a, b) for a, b in zip(params, plain, strict=True))


def test_a_retain_loss_of_weight_zero_still_guards(learnt, task):
    free, _ = trained(learnt, task, weight=0.0, retain=NLL())
    guarded, _ = trained(learnt, task, retain=None)
    assert free == guarded


def test_the_weight_of_a_retain_loss_decides_without_surgery(learnt, task):
    runs = [trained(learnt, task, rectify=False, weight=w, retain=NLL())[1] for w in (0.1, 10.0)]
    assert not all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_every_setting_that_decides_numbers_is_told():
    plain = Training().spec()
    changed = {
        "objective": NPO(),
        "rectify": False,
        "retain": NLL(),
        "weight": 2.0,
        "steps": 7,
        "lr": 1e-4,
        "batch": 2,
        "accumulate": 3,
        "clip": None,
        "weight_decay": 0.1,
        "seed": 4,
        "precision": "bf16",
        "check_every": 2,
    }
    for name, value in changed.items():
        retain = {"retain": NLL()} if name == "weight" else {}
        assert Training(**{**retain, name: value}).spec() != plain, name


def test_the_name_says_objective_and_surgery():
    assert Training(WGA()).name == "WGA rectified"
    assert Training(WGA(), rectify=partial(Rectify, on="update")).name == (
        "WGA rectified on the update"
    )
    assert Training(NPO(), rectify=False).name == "NPO"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", 0),
        ("batch", 0),
        ("accumulate", 0),
        ("save_every", 0),
        ("lr", 0.0),
        ("lr", math.nan),
        ("weight", -1.0),
        ("weight", math.inf),
        ("clip", 0.0),
        ("weight_decay", -0.1),
        ("precision", "fp16"),
        ("check_every", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(setting, value):
    with pytest.raises(UsageError, match=setting):
        Training(**{setting: value})


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf])
def test_a_bound_below_every_loss_is_refused(bound):
    with pytest.raises(UsageError, match=r"bound=.* must be finite and above 0"):
        Training(rectify=False, bound=bound)


def test_looks_that_would_never_be_taken_are_refused():
    assert Training(steps=3).check_every > 3  # of no matter without a stop
    with pytest.raises(UsageError, match="check_every=5 must be at most steps=4"):
        Training(steps=4, stop=(0.1, 0.9))


def test_the_settings_name_every_guard():
    assert "guard=('retain', 'facts')" in Training().spec(("facts",))["combine"]
    bound = Training(rectify=False, bound=1.0).spec(("facts",))["combine"]
    assert "guard=('retain', 'facts')" in bound


def test_a_stop_of_ones_own_takes_the_place_of_the_runs(learnt, task):
    plan = Training(GA(), rectify=False, stop=(0.5, 0.0), check_every=1, steps=20, lr=3e-3, batch=2)
    model, stop = copy.deepcopy(learnt), plan.early_stop(task)
    with_own = plan.run(model, task, label="", callbacks=[stop]).history
    assert plan.run(copy.deepcopy(learnt), task, label="").history == with_own
    assert stop.every == 1
    assert 0 < len(with_own) == stop.steps[-1] < 20
    assert stop.stopped.startswith(f"step {len(with_own)}: ")


def test_a_single_row_cannot_be_steered(llama, tokenizer, rows):
    single = Task(tokenizer, forget=rows[:1], retain=rows[2:5])
    for how in ("drop", "weigh"):
        with pytest.raises(UsageError, match="needs two rows to forget"):
            Training(steer=Steer(how)).check(single)
    Training(steer=Steer("freeze")).check(single)


@pytest.mark.parametrize("settings", [{"rectify": True}, {"rectify": False, "retain": NLL()}])
def test_a_guard_needs_rows_to_guard(settings, llama, tokenizer, rows):
    task = Task(tokenizer, forget=rows[:2])
    with pytest.raises(UsageError, match="retain rows are needed"):
        Training(**settings).run(llama, task, label="")


def test_rows_of_another_tokenizer_are_refused_before_training(llama, tokenizer, rows):
    task = Task(tokenizer, forget=rows[:2], retain=rows[2:])
    llama.resize_token_embeddings(100)
    with pytest.raises(UsageError, match="belongs to the model"):
        Training().run(llama, task, label="")


def test_bf16_trains_beside_weights_of_full_precision(learnt, task):
    _, full = trained(learnt, task)
    _, half = trained(learnt, task, precision="bf16")
    assert all(p.dtype == torch.float32 for p in half)
    assert not all(torch.equal(a, b) for a, b in zip(full, half, strict=True))


def with_dropout(toy):
    model = toy("gpt2")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    return model


def test_the_seed_decides_dropout_and_the_global_generator_stays(toy, task):
    plan = {"steps": 2, "lr": 1e-3, "batch": 4}  # one batch an epoch: the order decides nothing
    logs = []
    for somewhere, seed in ((1, 0), (2, 0), (1, 5)):
        torch.manual_seed(somewhere)
        found = torch.get_rng_state()
        model = with_dropout(toy)
        logs.append(Training(**plan, seed=seed).run(model, task, label="").history)
        assert torch.equal(torch.get_rng_state(), found)
    assert logs[0] == logs[1] != logs[2]


def test_taking_a_run_up_leaves_every_global_generator_as_found(toy, task, tmp_path):
    for steps in (1, 2):
        model, state = toy(), random_state()
        Training(steps=steps, lr=1e-3, batch=2).run(model, task, into=tmp_path, label="")
        found = random_state()
        for name in ("torch", "numpy"):  # beartype draws from Python's own during tests
            assert repr(found[name]) == repr(state[name])
        np.random.random()  # noqa: NPY002  so that the checkpoint holds another state


def test_a_run_with_dropout_continues_to_the_same_bits(toy, task, tmp_path):
    plan = Training(steps=4, lr=1e-3, batch=2)
    whole = plan.run(with_dropout(toy), task, label="").history
    for steps in (2, 4):
        model = with_dropout(toy)
        state = replace(plan, steps=steps).run(model, task, into=tmp_path, label="")
    assert state.history == whole


@pytest.mark.parametrize(
    ("dtype", "lr", "warned"),
    [
        (torch.bfloat16, 1e-4, "use --dtype float32"),
        (torch.bfloat16, 1e-2, None),
        (torch.float32, 1e-9, "take a larger --lr"),
        (torch.float32, 1e-5, None),
    ],
)
def test_steps_that_round_away_are_told(dtype, lr, warned, llama, task, monkeypatch):
    said = []
    monkeypatch.setattr("limen.unlearn.training.say", said.append)
    llama.to(dtype)
    with torch.no_grad():
        for p in llama.parameters():
            p.fill_(1.0)  # bfloat16 has steps of 1/128 above it and 1/256 below
    Training(lr=lr, steps=1, batch=1).run(llama, task, label="")
    heard = [line for line in said if f"steps of lr={lr:g} round away for 100%" in line]
    assert len(heard) == (warned is not None)
    assert all(warned in line for line in heard)
