"""A small adapter instead of all weights."""

import warnings
from typing import Any

import torch

from limen._core.errors import UsageError
from limen._core.optional import require
from limen._core.streams import seed_for


def with_lora(model: Any, rank: int, *, seed: int = 0) -> Any:
    """The model with a fresh LoRA adapter on every linear layer but the head; only it trains.

    A fresh adapter changes nothing, and scaling it mixes the model with what it was: calibration
    then needs no copy of the weights.

    Args:
        model: A causal language model of transformers.
        rank: Rank of the adapter, at least 1; its scale is 2.
        seed: Decides the adapter's first weights; the global generator is left as it was.

    Returns:
        A PEFT model around the same weights.

    Raises:
        UsageError: `rank` is below 1, or the model has an adapter.

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
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # peft, of transformers
        torch.manual_seed(seed_for(seed, "adapter") % 2**31)
        return peft.get_peft_model(model, config)
