"""Which layers get an adapter, and what it changes: nothing yet."""

import re

import pytest
import torch

from limen._core.errors import UsageError
from limen.unlearn.lora import with_lora


def adapted(model):
    """Names of the layers that carry an adapter."""
    return [
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        if hasattr(module, "lora_A")
    ]


def logits(model):
    return model(input_ids=torch.arange(6)[None], use_cache=False).logits.detach()


def test_a_fresh_adapter_changes_nothing(llama):
    before = logits(llama)
    assert torch.equal(logits(with_lora(llama, 2)), before)


def test_only_the_adapter_trains(llama):
    names = [n for n, p in with_lora(llama, 2).named_parameters() if p.requires_grad]
    assert names
    assert all("lora_" in name for name in names)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_by_default_every_linear_layer_but_the_head_has_one(toy, kind):
    names = adapted(with_lora(toy(kind), 2))
    assert len(names) == 2 * (4 if kind == "gpt2" else 7)
    assert not any("lm_head" in name for name in names)


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        ("q_proj", 2),
        (["q_proj", "v_proj"], 4),
        ("mlp.*", 6),
        ("layers.1.*", 7),
        ("model.layers.0.self_attn.k_proj", 1),
        ("[qk]_proj", 4),
        (["q_proj", "self_attn.q_proj"], 2),
    ],
)
def test_a_target_means_the_layers_whose_name_it_ends(llama, targets, count):
    names = adapted(with_lora(llama, 2, targets=targets))
    assert len(names) == count


def test_a_target_is_no_part_of_a_word(toy):
    with pytest.raises(UsageError, match="'proj' matches no linear layer"):
        with_lora(toy(), 2, targets="proj")


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        ("q_porj", "LoRA target 'q_porj' matches no linear layer .* nearest: q_proj, .*all-linear"),
        (["q_proj", "query"], "LoRA target 'query' matches"),
        ("layers.2.mlp.up_proj", r"nearest: .*model\.layers\.1\.mlp\.up_proj"),
        ("lm_head", "'lm_head' matches"),
        ("input_layernorm", "'input_layernorm' matches"),
        ([], "must name at least one layer"),
    ],
)
def test_a_target_that_matches_nothing_is_refused_with_the_nearest(llama, targets, sentence):
    with pytest.raises(UsageError, match=sentence) as told:
        with_lora(llama, 2, targets=targets)
    assert not re.search(r"\.\s", str(told.value))  # one sentence
    assert not adapted(llama)


def test_the_seed_alone_decides_the_first_weights(toy):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, same, other = (
        dict(with_lora(toy(), 2, seed=seed).named_parameters()) for seed in (0, 0, 1)
    )
    assert all(torch.equal(p, same[name]) for name, p in one.items())
    assert not all(torch.equal(p, other[name]) for name, p in one.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_second_adapter_and_an_empty_one_are_refused(llama, toy):
    with pytest.raises(UsageError, match="rank=0 must be at least 1"):
        with_lora(llama, 0)
    with pytest.raises(UsageError, match="must not carry an adapter already"):
        with_lora(with_lora(toy(), 2), 2)


def test_a_rank_beyond_every_layer_is_refused(llama):
    with pytest.raises(UsageError, match=r"rank=100000 must be at most \d+"):
        with_lora(llama, 100_000)
