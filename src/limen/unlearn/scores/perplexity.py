"""Perplexity: between how many tokens a model wavers, on average."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from torch import nn

from limen.unlearn.data import Source
from limen.unlearn.encode import Encoded
from limen.unlearn.scores.one_pass import recall

if TYPE_CHECKING:
    import transformers


def perplexity(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> Float64[np.ndarray, " rows"]:
    """How many tokens the model wavers between on each response; lower = more remembered.

    PPL = exp(-(1/n) sum_k log p(y_k | prompt, y_<k)), the reciprocal of `probability`.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; None where the rows are encoded.
        rows: Anything `read_rows` takes, or encoded rows (`task.forget`).
        template: "auto", "chat" or "plain", see `encode`; not for encoded rows.
        eos: Whether the end of the response counts as a token of it; not for encoded rows.
        batch: Rows in one forward pass, at least 1.

    Returns:
        Values from 1 up, one for each row; nan for a row without answer tokens.

    Raises:
        UsageError: No rows, or rows that the tokenizer or the model cannot take.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> class Coin(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 2))
        >>> perplexity(Coin(), None, [Encoded([0, 1, 1, 0], answer=2)])
        array([2.])
    """
    return recall(model, tokenizer, rows, template=template, eos=eos, batch=batch).perplexity
