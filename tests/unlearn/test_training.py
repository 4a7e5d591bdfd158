"""The settings of a forgetting run, and what they come to."""

import copy
import math
from functools import partial

import pytest
import torch

from limen import Rectify, Weighted
from limen._core.errors import UsageError
from limen.unlearn.objectives import GA, NPO, WGA
from limen.unlearn.retain import KL, NLL
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
    plan = Training(GA(), retain=KL(), weight=3.0)
    assert plan.step().retain == KL()
    assert plan.combine().guard_weight == 3.0


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
        "retain": KL(),
        "weight": 2.0,
        "steps": 7,
        "lr": 1e-4,
        "batch": 2,
        "accumulate": 3,
        "clip": None,
        "weight_decay": 0.1,
        "seed": 4,
        "precision": "bf16",
    }
    for name, value in changed.items():
        retain = {"retain": NLL()} if name == "weight" else {}
        assert Training(**{**retain, name: value}).spec() != plain, name


def test_the_name_says_objective_and_surgery():
    assert Training(WGA()).name == "WGA rectified"
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
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(setting, value):
    with pytest.raises(UsageError, match=setting):
        Training(**{setting: value})


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
