"""Extraction strength: how little of a text must be given for the rest to come by itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from torch import nn

from limen.unlearn.data import Source
from limen.unlearn.encode import Encoded
from limen.unlearn.scores.one_pass import answers, hits, suffix_strength

if TYPE_CHECKING:
    import transformers


def extraction_strength(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> Float64[np.ndarray, " rows"]:
    """How much of each response the model can recite by itself; higher = more remembered.

    ES = 1 - min{k : greedy decoding from prompt and first k answer tokens gives the rest} / n,
    for an answer of n tokens. One forward pass suffices: greedy decoding from k gives the rest
    exactly if all teacher-forced choices after k are hits, so n - k is the longest run of hits at
    the answer's end. ES never exceeds exact memorisation, and one is 1 exactly if the other is.

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
        Wang, Han, Yang, Zhu, Liu and Sugiyama, "Towards Effective Evaluations and Comparisons
        for LLM Unlearning Methods", ICLR 2025. Departures: one pass in place of a bisection over
        generations; a last token that is missed gives 0; the answer is never tokenised again.

    Example:
        >>> from types import SimpleNamespace
        >>> class Counts(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=nn.functional.one_hot(input_ids + 1, 10).float())
        >>> extraction_strength(Counts(), None, [Encoded([1, 2, 3, 7, 8], answer=1)])
        array([0.25])
    """
    hit = answers(model, tokenizer, rows, read=hits, template=template, eos=eos, batch=batch)
    return np.array([suffix_strength(row.tolist()) for row in hit], dtype=np.float64)
