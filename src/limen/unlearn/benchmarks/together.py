"""Several sets of rows in one teacher-forced pass, so that rows of like length share batches."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch import nn

from limen._core.errors import UsageError
from limen.unlearn.data import Row
from limen.unlearn.encode import Encoded, encode_all, require_fit
from limen.unlearn.scores.one_pass import Recall, columns

if TYPE_CHECKING:
    import transformers

Key = TypeVar("Key", str, tuple[str, str])


def recall_together(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    sets: Mapping[Key, Sequence[Row]],
    *,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> dict[Key, Recall]:
    """Every memory score of every row of every set; higher = better held.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        sets: Rows by name.
        template: "auto", "chat" or "plain", see `encode`.
        eos: Whether the end of the response counts as a token of it.
        batch: Rows in one forward pass, at least 1.

    Returns:
        What `recall` says of each set.

    Raises:
        UsageError: As `recall`; a row is named by its set and its number there.
    """
    encoded: list[Encoded] = []
    for name, part in sets.items():
        try:
            mine = encode_all(tokenizer, part, template=template, eos=eos)
            require_fit(model, mine)
        except UsageError as wrong:
            where = name if isinstance(name, str) else ", ".join(map(str, name))
            raise UsageError(f"{where}: {wrong}") from wrong
        encoded += mine
    texts = [row.response for part in sets.values() for row in part]
    whole = columns(model, encoded, texts, batch=batch)
    whole["tokens"] = whole["tokens"].astype(np.int64)
    found, start = {}, 0
    for name, part in sets.items():
        here = slice(start, start := start + len(part))
        found[name] = Recall(**{score: values[here] for score, values in whole.items()})
    return found
