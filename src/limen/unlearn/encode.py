"""A row as token ids: what is context, and what is answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from limen._core.errors import UsageError, nearest
from limen.unlearn.data import Row

if TYPE_CHECKING:
    import transformers


_MARKS = ("\n", ".", "0")  # texts that a response is tokenised behind; one stays a token of its own


@dataclass(frozen=True)
class Encoded:
    """Token ids of one row: `ids[:answer]` is context, `ids[answer:]` is trained and scored.

    Args:
        ids: Token ids of prompt and response.
        answer: Position of the first answer token; at least 1, because the first token of a text
            has no predecessor to be predicted from.
        row: Position of the row in its set.

    Raises:
        UsageError: `answer` is not a position from 1 to the number of ids.

    Example:
        >>> Encoded([5, 6, 7], answer=2).ids[2:]
        [7]
    """

    ids: list[int]
    answer: int
    row: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.answer <= len(self.ids):
            raise UsageError(
                f"answer={self.answer} must lie between 1 and the number of ids, {len(self.ids)}"
            )


def encode(
    tokenizer: "transformers.PreTrainedTokenizerBase",
    row: Row,
    *,
    template: str = "auto",
    eos: bool = False,
    max_length: int | None = None,
    index: int = 0,
) -> Encoded:
    """Tokenise a row: the prompt, then the response, each on its own, nothing between.

    Prompt and response are tokenised apart, so that no token straddles the boundary. Special
    tokens that the tokenizer puts in front (a BOS) are kept, those it puts behind are not. A
    tokenizer that begins every text with a space (SentencePiece's "\u2581") does so for the prompt
    alone: a response gets the tokens that it has behind other text. Where a text or an assistant's
    turn begins with the response, it has one such space, whether written out or not.

    Args:
        tokenizer: A tokenizer of transformers.
        row: What to encode.
        template: "plain", as above; "chat" puts the prompt through the tokenizer's chat template,
            up to where the assistant speaks; "auto" is chat where the tokenizer has a template
            and the row a prompt, else plain.
        eos: Whether one end-of-sequence token follows the response and counts as its last token.
        max_length: The model's context in tokens; a longer row is refused, never cut.
        index: Position of the row in its set, for messages and results.

    Returns:
        The ids. Without prompt and BOS the first token of the response serves as context.

    Raises:
        UsageError: Too long a row, a tokenizer that does not know the response's tokens, or one
            that lacks the template or the token asked for.

    Example:
        >>> import tokenizers, transformers
        >>> words = tokenizers.models.WordLevel({"?": 0, "two": 1, "and": 2, "four": 3}, "?")
        >>> words = tokenizers.Tokenizer(words)
        >>> words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        >>> words = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
        >>> encode(words, Row("two and two", "four"))
        Encoded(ids=[1, 2, 1, 3], answer=3, row=0)
    """
    name = f"row {index + 1}" + (f" ({row.where})" if row.where else "")
    begins = not row.prompt or _is_chat(tokenizer, row, template=template)
    response = _behind(tokenizer, row.response, begins=begins)
    lost = _unknown(tokenizer, row.response, response)
    if lost:
        raise UsageError(
            f"{name}: the tokenizer must know the response; it has no token for {lost}"
        )
    if eos:
        if tokenizer.eos_token_id is None:
            raise UsageError(
                "eos=True needs a tokenizer with an end-of-sequence token; it has none"
            )
        response = [*response, tokenizer.eos_token_id]
    context = _context(tokenizer, row, template=template)
    ids = [*context, *response]
    if not ids:
        raise UsageError(f"{name} must hold at least one token; prompt and response are empty")
    if max_length is not None and len(ids) > max_length:
        raise UsageError(
            f"{name} must fit the context of {max_length} tokens and has {len(ids)}: "
            "shorten it or take a model with a longer context"
        )
    return Encoded(ids, max(len(context), 1), index)


def encode_all(
    tokenizer: "transformers.PreTrainedTokenizerBase",
    rows: Iterable[Row],
    *,
    template: str = "auto",
    eos: bool = False,
    max_length: int | None = None,
) -> list[Encoded]:
    """`encode` for a whole set; each result carries its row's position.

    Raises:
        UsageError: As `encode`.
    """
    return [
        encode(tokenizer, row, template=template, eos=eos, max_length=max_length, index=index)
        for index, row in enumerate(rows)
    ]


def context_length(model: nn.Module) -> int | None:
    """The longest text the model was built for, in tokens; None where it does not say."""
    return getattr(getattr(model, "config", None), "max_position_embeddings", None)


def require_fit(model: nn.Module, encoded: Sequence[Encoded]) -> None:
    """Refuse rows that the model cannot take: unknown token ids, or too many of them.

    Raises:
        UsageError: A row is longer than the model's context, or the tokenizer is another model's.
    """
    longest = context_length(model)
    embedding = getattr(model, "get_input_embeddings", lambda: None)
    size = getattr(embedding(), "num_embeddings", None)
    for item in encoded:
        if longest is not None and len(item.ids) > longest:
            raise UsageError(
                f"row {item.row + 1} must fit the model's context of {longest} tokens and has "
                f"{len(item.ids)}: shorten it or take a model with a longer context"
            )
        if size is not None and max(item.ids) >= size:
            raise UsageError(
                f"row {item.row + 1}: token {max(item.ids)} must be one of the model's {size} "
                "tokens; use the tokenizer that belongs to the model"
            )


def _context(
    tokenizer: "transformers.PreTrainedTokenizerBase", row: Row, *, template: str
) -> list[int]:
    known = ("auto", "chat", "plain")
    if template not in known:
        raise UsageError(f"template={template!r} must be one of {nearest(template, known)}")
    if template == "chat" and not tokenizer.chat_template:
        raise UsageError("template='chat' needs a tokenizer with a chat template; take 'plain'")
    if not _is_chat(tokenizer, row, template=template):
        return [*_front(tokenizer, row), *_plain(tokenizer, row.prompt)]
    turn = [{"role": "user", "content": row.prompt}]
    return list(
        tokenizer.apply_chat_template(
            turn, add_generation_prompt=True, tokenize=True, return_dict=False
        )
    )


def _is_chat(tokenizer: "transformers.PreTrainedTokenizerBase", row: Row, *, template: str) -> bool:
    """Whether the prompt goes through the tokenizer's chat template."""
    if not tokenizer.chat_template:
        return False
    return template == "chat" or (template == "auto" and bool(row.prompt))


def _behind(
    tokenizer: "transformers.PreTrainedTokenizerBase", text: str, *, begins: bool
) -> list[int]:
    """Token ids of a text behind others, without the space of the tokenizer's own.

    With `begins`, the text has just one leading space, as the tokenizer would begin it.
    """
    if not text or _after_mark(tokenizer, "x") in (None, _plain(tokenizer, "x")):
        return _plain(tokenizer, text)  # a tokenizer that puts no space before a text
    wanted = f" {text.removeprefix(' ')}" if begins else text
    found = _after_mark(tokenizer, wanted)
    return _plain(tokenizer, text.removeprefix(" ")) if found is None else found


def _after_mark(tokenizer: "transformers.PreTrainedTokenizerBase", text: str) -> list[int] | None:
    """Token ids of a text that follows another; None where the border always gets lost."""
    for mark in _MARKS:
        head, whole = _plain(tokenizer, mark), _plain(tokenizer, mark + text)
        known = head and tokenizer.unk_token_id not in head
        if known and whole[: len(head)] == head and len(whole) > len(head):
            return whole[len(head) :]
    return None


def _plain(tokenizer: "transformers.PreTrainedTokenizerBase", text: str) -> list[int]:
    # verbose=False: the length is checked here, against the model's own context.
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _front(tokenizer: "transformers.PreTrainedTokenizerBase", row: Row) -> list[int]:
    """The special tokens that the tokenizer puts before a text."""
    if not getattr(tokenizer, "is_fast", False):
        text = -1  # stands for a text of one token
        whole = tokenizer.build_inputs_with_special_tokens([text])
        return list(whole[: whole.index(text)])
    full = tokenizer(row.prompt + row.response, return_special_tokens_mask=True, verbose=False)
    added = full["special_tokens_mask"]
    return list(full["input_ids"][: added.index(0)]) if 0 in added else []


def _unknown(
    tokenizer: "transformers.PreTrainedTokenizerBase", text: str, ids: Sequence[int]
) -> str:
    """How much of a text the tokenizer has no token for: "", "it" or "some of it"."""
    unknown = tokenizer.unk_token_id
    if not text or (ids and (unknown not in ids or str(tokenizer.unk_token) in text)):
        return ""
    return "it" if all(token == unknown for token in ids) else "some of it"
