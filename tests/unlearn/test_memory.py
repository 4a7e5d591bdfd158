"""The memory that is told before a run, beside the memory that a run takes."""

import copy
import logging
from contextlib import nullcontext

import pytest
import torch
import transformers
from torch.profiler import ProfilerActivity, profile

import limen
from limen import Loop, Rectify
from limen._core.errors import UsageError, WorkError
from limen.unlearn.activation_checkpointing import activation_checkpointing, checkpoints
from limen.unlearn.lora import with_lora
from limen.unlearn.memory import MemoryEstimate, memory_estimate
from limen.unlearn.objectives import GA
from limen.unlearn.retain import KL, NLL
from limen.unlearn.step import Step
from limen.unlearn.task import Task
from limen.unlearn.toy import toy_model

FACTOR = 1.3
"""How far the estimate may be from what is measured, either way."""

GRU = {"goal": "forget", "guard": "retain"}
WAYS = {  # how a run trains, and what is told to the estimate
    "plain": ({}, {}),
    "gradient": ({"combine": Rectify(**GRU)}, {"rectify": True}),
    "update": ({"combine": Rectify(**GRU, on="update")}, {"rectify": True, "on": "update"}),
    "reference": ({"retain": KL()}, {"reference": True}),
    "mixed": ({"precision": "bf16"}, {"mixed": "bf16"}),
    "checkpointing": ({}, {"checkpointing": True}),
    "adapter": ({}, {}),
}


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    """Rows of about 70 tokens, all of them answers."""
    texts = [(row.prompt + row.response) * 2 for row in rows]
    return Task(tokenizer, forget=[{"text": t} for t in texts[:4]],
                retain=[{"text": t} for t in texts[4:]], max_length=256)  # fmt: skip


@pytest.fixture(scope="module", params=[1, pytest.param(4, marks=pytest.mark.slow)])
def model(request, tokenizer):
    """A Llama of a quarter of a million parameters, or of one."""
    return toy_model(tokenizer, layers=request.param)


def take_steps(model, task, *, combine=None, retain=None, precision=None):
    """Two steps of AdamW on four rows of each set."""
    limen.fit(
        model,
        Step(GA(), retain or NLL()),
        task.batches(4),
        steps=2,
        optimizer=torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-5),
        combine=combine,
        loop=Loop(precision=precision, label=""),
    )


def peak(run):
    """The most bytes that were allocated at once while it ran, by torch's own account."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


@pytest.mark.parametrize("way", WAYS)
def test_the_estimate_is_close_to_what_a_run_takes(way, model, task):
    settings, told = WAYS[way]
    trained = copy.deepcopy(model)
    if way == "adapter":
        trained = with_lora(trained, 4)
    length = max(len(item.ids) for item in (*task.forget, *task.retain))
    estimate = memory_estimate(trained, rows=4, length=length, **told)
    doubled = activation_checkpointing(trained) if way == "checkpointing" else nullcontext()
    with doubled:
        measured = peak(lambda: take_steps(trained, task, **settings)) + estimate.weights
    assert measured / FACTOR < estimate.total < FACTOR * measured


def working(model, **settings):
    found = memory_estimate(model, **{"rows": 4, "length": 64, **settings})
    return found.activations + found.logits


@pytest.mark.parametrize("more", [{"rows": 8}, {"length": 128}])
def test_what_a_pass_needs_doubles_with_rows_and_with_length(model, more):
    assert working(model, **more) == pytest.approx(2 * working(model), rel=0.1)


@pytest.mark.parametrize("less", [{"checkpointing": True}, {"mixed": "bf16"}])
def test_checkpointing_and_mixed_precision_save_activations(model, less):
    assert working(model, **less) < working(model)


def test_what_is_frozen_has_neither_gradient_nor_state(model):
    adapted = with_lora(copy.deepcopy(model), 4)
    trained = 4 * sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    found = memory_estimate(adapted, rows=1, length=8, rectify=True, guards=3, reference=True)
    assert (found.gradients, found.optimiser) == (trained, 2 * trained)
    assert (found.surgery, found.reference) == (3 * trained, trained)


def test_averages_of_half_precision_gradients_are_single(model):
    half = copy.deepcopy(model).bfloat16()
    found = memory_estimate(half, rows=1, length=8, rectify=True, optimizer="sgd")
    assert (found.surgery, found.optimiser) == (2 * found.gradients, 0)


def test_what_is_held_while_the_weights_move_never_meets_a_pass():
    small, large = (
        MemoryEstimate(weights=100, activations=8, logits=2, moving=moving) for moving in (3, 30)
    )
    assert (small.total, large.total) == (110, 130)


def test_a_model_without_content_can_be_asked(model):
    with torch.device("meta"):
        empty = type(model)(model.config)
    assert memory_estimate(empty, rows=2, length=16) == memory_estimate(model, rows=2, length=16)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_asking_changes_nothing(toy, kind):
    model = toy(kind)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    state = torch.get_rng_state()
    memory_estimate(model, rows=2, length=8, checkpointing=True, mixed="bf16")
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert all(type(t) is type(before[n]) for n, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not model.training
    assert not checkpoints(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_told_in_one_line_whose_parts_add_up():
    found = MemoryEstimate(weights=2**30, surgery=2**30, logits=2**29, moving=2**28)
    assert str(found) == "about 2.50 GiB: weights 1.00, surgery 1.00 + logits 0.50"
    found = MemoryEstimate(weights=2**30, logits=2**29, moving=2**30)
    assert str(found) == "about 2.00 GiB: weights 1.00 + moving 1.00"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rows": 0}, "rows=0 must be at least 1"),
        ({"length": 1}, "length=1 must be at least 2"),
        ({"guards": 0}, "guards=0 must be at least 1"),
        ({"optimizer": "adam"}, "optimizer='adam' must be one of adamw, sgd; nearest: adamw"),
        ({"on": "updates"}, "on='updates' must be one of gradient, update; nearest: update"),
        ({"mixed": "fp8"}, "mixed='fp8' must be one of bf16, fp16"),
    ],
)
def test_settings_that_no_run_can_have_are_refused(settings, sentence, llama):
    with pytest.raises(UsageError, match=sentence):
        memory_estimate(llama, **{"rows": 1, "length": 8, **settings})


def test_a_pass_that_cannot_be_played_through_is_told_quietly_and_in_one_sentence(caplog):
    experts = transformers.MixtralConfig(
        vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, num_local_experts=2, num_experts_per_tok=1,
    )  # fmt: skip
    model = transformers.MixtralForCausalLM(experts)
    with pytest.raises(WorkError, match="memory cannot be estimated for MixtralForCausalLM: "):
        memory_estimate(model, rows=1, length=8)
    assert caplog.records == []
    assert not logging.getLogger("torch._subclasses.fake_tensor").disabled


def test_a_small_estimate_is_told_in_a_unit_that_shows_it(model):
    said = str(memory_estimate(model, rows=1, length=4))
    assert "MiB" in said
    assert "weights 0.00" not in said
