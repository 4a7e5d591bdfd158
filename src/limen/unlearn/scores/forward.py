"""Rows through a model once each, with the answer given: the pass that every memory score reads."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError
from limen.algebra.modes import in_mode
from limen.unlearn.encode import Encoded, require_fit
from limen.unlearn.tokens import Tokens, collate

Found = TypeVar("Found")


def forward_once(
    model: nn.Module,
    encoded: Sequence[Encoded],
    *,
    read: Callable[[Float[Tensor, "rows length vocabulary"], Tokens], Iterable[Found]],
    batch: int = 16,
    advance: Callable[[int], None] | None = None,
) -> list[Found]:
    """What `read` makes of the logits of each row; each row goes forward once, in a batch.

    Rows of like length share a batch, so that little of it is padding.

    Args:
        model: A causal language model, used where it is and as it is, in eval mode meanwhile.
        encoded: At least one row.
        read: Function of a batch's logits and tokens, that gives one thing for each of its rows.
        batch: Rows in one forward pass, at least 1.
        advance: Told the number of rows after each batch.

    Returns:
        What `read` gave, in the rows' order.

    Raises:
        UsageError: A batch below 1, or rows that the model cannot take.
        WorkError: The model's output is not a number.

    Example:
        >>> from types import SimpleNamespace
        >>> class Counts(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=nn.functional.one_hot(input_ids + 1, 10).float())
        >>> rows = [Encoded([1, 2, 3], 1), Encoded([7], 1)]
        >>> forward_once(Counts(), rows, read=lambda _, tokens: tokens.attention.sum(1).tolist())
        [3, 1]
    """
    if batch < 1:
        raise UsageError(f"batch={batch} must be at least 1")
    require_fit(model, encoded)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
    found: dict[int, Found] = {}
    # Not inference_mode: what a model caches in its first forward must stay fit for training.
    with in_mode(model, training=False), torch.no_grad():
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            tokens = collate([encoded[i] for i in part]).to(device)
            logits = model(
                input_ids=tokens.ids, attention_mask=tokens.attention, use_cache=False
            ).logits
            _require_numbers(logits, tokens, [encoded[i].row for i in part])
            found.update(zip(part, read(logits, tokens), strict=True))
            if advance is not None:
                advance(len(part))
    return [found[i] for i in range(len(encoded))]


def _require_numbers(
    logits: Float[Tensor, "rows length vocabulary"], tokens: Tokens, numbers: Sequence[int]
) -> None:
    """Refuse nan, which would be read as a token never said, or always.

    Raises:
        WorkError: A row's output is nan, or has no largest logit.
    """
    broken = (~logits.amax(-1).isfinite() & tokens.attention.bool()).any(1)
    if broken.any():
        raise WorkError(
            f"row {numbers[int(broken.int().argmax())] + 1}: the model's output is not a number; "
            "its weights are broken, or too large for their type"
        )
