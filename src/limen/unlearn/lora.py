"""A small adapter instead of all weights."""

import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, cast

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen._core.streams import seed_for

ALL = "all-linear"


def with_lora(model: Any, rank: int, *, seed: int = 0, targets: str | Sequence[str] = ALL) -> Any:
    """The model with a fresh LoRA adapter on linear layers; only the adapter trains.

    A layer's weight W becomes `W + 2 B A`, with A (rank, in) random and B (out, rank) zero. A
    fresh adapter changes nothing, and scaling it mixes the model with what it was: calibration
    then needs no copy of the weights, and the reference is the model with the adapter off.

    Args:
        model: A causal language model of transformers.
        rank: Rank of the adapter, at least 1; its scale is 2.
        seed: Decides the adapter's first weights; the global generator is left as it was.
        targets: Which linear layers: "all-linear" for all but the head, or names of modules,
            "q_proj" or "layers.0.mlp.up_proj", with the wildcards `*`, `?` and `[01]`. A name
            means every layer whose own name is, or ends in a dot and, that name.

    Returns:
        A PEFT model around the same weights.

    Raises:
        UsageError: `rank` is below 1 or above what a layer has, the model has an adapter, or a
            target matches no layer.

    Reference:
        Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> model = toy_model(toy_tokenizer(["a b"], vocabulary=260), width=32, layers=1)
        >>> adapted = with_lora(model, rank=2)
        >>> sum(p.numel() for p in adapted.parameters() if p.requires_grad)
        1280
    """
    if rank < 1:
        raise UsageError(f"rank={rank} must be at least 1")
    if getattr(model, "peft_config", None):
        raise UsageError("model must not carry an adapter already; merge it first")
    peft = require("peft", extra="llm")
    layers = _linear(model)
    chosen = _matched(list(layers), targets)
    most = max(min(cast("Tensor", layers[name].weight).shape) for name in chosen)
    if rank > most:
        raise UsageError(
            f"rank={rank} must be at most {most}, the smaller side of the largest layer it adapts"
        )
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=chosen,
        fan_in_fan_out=not all(isinstance(layers[name], nn.Linear) for name in chosen),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # peft, of transformers
        torch.manual_seed(seed_for(seed, "adapter") % 2**31)
        return peft.get_peft_model(model, config)


def _linear(model: Any) -> dict[str, nn.Module]:
    """The linear layers by name, without the head."""
    transformers = require("transformers", extra="llm")
    kinds = (nn.Linear, transformers.pytorch_utils.Conv1D)  # GPT-2's linear layers
    head = model.get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, kinds) and module is not head
    }


def _matched(layers: Sequence[str], targets: str | Sequence[str]) -> list[str]:
    """The layers that `targets` names.

    Raises:
        UsageError: A target, or the list of them, names none.
    """
    if targets == ALL:
        return [*layers]
    patterns = [targets] if isinstance(targets, str) else list(targets)
    if not patterns:
        raise UsageError(f"targets must name at least one layer, or be {ALL!r}; it is empty")
    for pattern in patterns:
        if not any(_means(pattern, layer) for layer in layers):
            known = layers if "." in pattern else [layer.rpartition(".")[2] for layer in layers]
            raise UsageError(
                f"LoRA target {pattern!r} matches no linear layer of the model; nearest: "
                f"{nearest(pattern, set(known))}; or {ALL!r}"
            )
    return [layer for layer in layers if any(_means(pattern, layer) for pattern in patterns)]


def _means(pattern: str, layer: str) -> bool:
    return fnmatchcase(layer, pattern) or fnmatchcase(layer, f"*.{pattern}")
