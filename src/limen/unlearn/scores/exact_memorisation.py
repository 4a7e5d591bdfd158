"""Exact memorisation: the share of tokens that a model would have chosen itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from torch import nn

from limen.unlearn.data import Source
from limen.unlearn.encode import Encoded
from limen.unlearn.scores.one_pass import answers, hits

if TYPE_CHECKING:
    import transformers


def exact_memorisation(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> Float64[np.ndarray, " rows"]:
    """How many of each response's tokens the model would choose; higher = more remembered.

    EM = (1/n) sum_k [ argmax p(. | prompt, y_<k) = y_k ], with the right tokens before each.

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
        Tirumala, Markosyan, Zettlemoyer and Aghajanyan, "Memorization Without Overfitting:
        Analyzing the Training Dynamics of Large Language Models", NeurIPS 2022.

    Example:
        >>> from types import SimpleNamespace
        >>> class Counts(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=nn.functional.one_hot(input_ids + 1, 10).float())
        >>> exact_memorisation(Counts(), None, [Encoded([1, 2, 3, 7, 8], answer=1)])
        array([0.75])
    """
    hit = answers(model, tokenizer, rows, read=hits, template=template, eos=eos, batch=batch)
    return np.array([row.double().mean() for row in hit])
