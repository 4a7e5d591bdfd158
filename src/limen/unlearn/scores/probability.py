"""Probability: how likely a model finds a response, token for token."""

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


def probability(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> Float64[np.ndarray, " rows"]:
    """How likely the model finds each response, per token; higher = more remembered.

    P^(1/n) = exp((1/n) sum_k log p(y_k | prompt, y_<k)), the geometric mean of the tokens'
    probabilities, so that responses of different length compare.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; None where the rows are encoded.
        rows: Anything `read_rows` takes, or encoded rows (`task.forget`).
        template: "auto", "chat" or "plain", see `encode`; not for encoded rows.
        eos: Whether the end of the response counts as a token of it; not for encoded rows.
        batch: Rows in one forward pass, at least 1.

    Returns:
        Values in [0, 1], one for each row; nan for a row without answer tokens.

    Raises:
        UsageError: No rows, or rows that the tokenizer or the model cannot take.

    Reference:
        Maini, Feng, Schwarzschild, Lipton and Kolter, "TOFU: A Task of Fictitious Unlearning for
        LLMs", COLM 2024.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> class Coin(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 2))
        >>> probability(Coin(), None, [Encoded([0, 1, 1, 0], answer=2)])
        array([0.5])
    """
    return recall(model, tokenizer, rows, template=template, eos=eos, batch=batch).probability
