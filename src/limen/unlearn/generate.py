"""What a model says to prompts: greedy, in batches of like length."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError
from limen._core.optional import require
from limen.algebra.modes import in_mode
from limen.run.progress import progress
from limen.unlearn.data import Row
from limen.unlearn.encode import context_length, encode_all, require_fit

if TYPE_CHECKING:
    import transformers


def generate(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    prompts: Sequence[str | Row],
    *,
    new_tokens: int = 200,
    batch: int = 16,
    template: str = "auto",
    stop: Sequence[str] = (),
) -> list[str]:
    """What the model says to each prompt, the likeliest token each time.

    Prompts are padded on the left and share a batch with prompts of like length. What is said does
    not depend on the batch, but that rounding, in short formats above all, may decide between
    tokens just as likely. Settings that the model was shipped with (sampling, least lengths, tokens
    never to be said) are left aside, but for the tokens that end an answer.

    Args:
        model: A causal language model of transformers, in eval mode meanwhile.
        tokenizer: Its tokenizer.
        prompts: Texts, or rows whose prompts are taken and whose responses are not looked at.
        new_tokens: Say at most so many tokens, at least 1; fewer where the model's context ends.
        batch: Prompts in one batch, at least 1.
        template: "auto", "chat" or "plain", see `encode`.
        stop: Texts at which an answer is cut off; they do not belong to it.

    Returns:
        One text for each prompt, in order, up to where the model ends it; no special tokens.

    Raises:
        UsageError: No prompts, a number below 1, a prompt that fills the context, a model that
            cannot generate, or a tokenizer that is not the model's.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["a b c"], vocabulary=260)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> len(generate(model, tokenizer, ["a", "a b"], new_tokens=3))
        2
    """
    if min(new_tokens, batch) < 1:
        raise UsageError(f"new_tokens={new_tokens} and batch={batch} must be at least 1")
    if isinstance(prompts, str) or not len(prompts):
        raise UsageError("prompts must be a list of at least one text")
    if not hasattr(model, "generate"):
        raise UsageError("model must be a causal language model of transformers, with generate()")
    asked = [Row(p.prompt if isinstance(p, Row) else p, "") for p in prompts]
    encoded = encode_all(tokenizer, asked, template=template)
    require_fit(model, encoded)
    contexts = [item.ids for item in encoded]
    rooms = _rooms(contexts, new_tokens, limit=context_length(model))
    said: dict[int, str] = {}
    with (
        in_mode(model, training=False),
        torch.no_grad(),
        progress("generating", total=len(prompts)) as advance,
    ):
        for part in _buckets(contexts, rooms, batch):
            ids = _greedy(model, tokenizer, [contexts[i] for i in part], room=rooms[part[0]])
            for i, line in zip(part, ids, strict=True):
                text = tokenizer.decode(
                    line, skip_special_tokens=True, clean_up_tokenization_spaces=False
                )
                said[i] = _cut(text, stop)
            advance(len(part))
    return [said[i] for i in range(len(prompts))]


def _rooms(contexts: Sequence[list[int]], new_tokens: int, *, limit: int | None) -> list[int]:
    """How many tokens each prompt may be answered with.

    Raises:
        UsageError: A prompt fills the context.
    """
    rooms = [min(new_tokens, limit - len(ids)) if limit else new_tokens for ids in contexts]
    for i, room in enumerate(rooms):
        if room < 1:
            raise UsageError(
                f"prompt {i + 1} must leave room for an answer in the model's context of {limit} "
                f"tokens and has {len(contexts[i])}: shorten it"
            )
    return rooms


def _buckets(
    contexts: Sequence[list[int]], rooms: Sequence[int], batch: int
) -> Iterator[list[int]]:
    """Positions of prompts that go together: of like length, and with the same room."""
    # Longest first: what does not fit into memory shows at once.
    order = sorted(range(len(contexts)), key=lambda i: -len(contexts[i]))
    for _, group in groupby(order, key=lambda i: rooms[i]):
        same = list(group)
        yield from (same[start : start + batch] for start in range(0, len(same), batch))


def _greedy(
    model: Any,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    contexts: Sequence[list[int]],
    *,
    room: int,
) -> list[list[int]]:
    device = next(model.parameters()).device
    ends = _ends(model, tokenizer)
    pad = ends[0] if ends else 0
    longest = max(map(len, contexts))
    ids = torch.tensor([[pad] * (longest - len(line)) + line for line in contexts], device=device)
    lengths = torch.tensor([[len(line)] for line in contexts], device=device)
    attention = (torch.arange(longest, device=device) >= longest - lengths).long()
    plainly = _plainly(ends, pad=pad, room=room)
    with _shipped_with(model, plainly):
        out: Tensor = model.generate(
            input_ids=ids,
            attention_mask=attention,
            generation_config=plainly,
            logits_processor=[_require_numbers],
        )
    return [_until(line, ends) for line in out[:, longest:].tolist()]


def _require_numbers(_ids: Tensor, scores: Tensor) -> Tensor:
    """Refuse nan, of which the likeliest token is none.

    Raises:
        WorkError: The model's output is not a number.
    """
    if not scores.amax(-1).isfinite().all():
        raise WorkError(
            "the model's output is not a number; its weights are broken, or too large for their "
            "type"
        )
    return scores


def _ends(model: Any, tokenizer: "transformers.PreTrainedTokenizerBase") -> list[int]:
    """Tokens that end an answer, by the tokenizer and by the model (chat models may have more)."""
    named = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    return [end for end in dict.fromkeys([tokenizer.eos_token_id, *several]) if end is not None]


@contextmanager
def _shipped_with(model: nn.Module, settings: "transformers.GenerationConfig") -> Iterator[None]:
    """The model as if it had been shipped with these settings, from which gaps are filled in."""
    before = {m: m.generation_config for m in model.modules() if "generation_config" in vars(m)}
    try:
        for module in before:
            module.generation_config = settings
        yield
    finally:
        for module, own in before.items():
            module.generation_config = own


def _plainly(ends: list[int], *, pad: int, room: int) -> "transformers.GenerationConfig":
    return require("transformers", extra="llm").GenerationConfig(
        max_new_tokens=room,
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        use_cache=True,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        min_new_tokens=0,
        eos_token_id=ends or None,
        pad_token_id=pad,
    )


def _until(ids: list[int], ends: Sequence[int]) -> list[int]:
    first = next((k for k, token in enumerate(ids) if token in ends), len(ids))
    return ids[:first]


def _cut(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.index(word) for word in stop if word in text), default=len(text))]
