"""Running text in pieces of so many tokens."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from limen._core.errors import UsageError
from limen.unlearn.data import Row

if TYPE_CHECKING:
    import transformers


def chunks(
    tokenizer: "transformers.PreTrainedTokenizerBase", texts: Iterable[Row], *, tokens: int
) -> list[Row]:
    """Each text in pieces of `tokens` tokens, cut where a token starts; nothing is lost.

    The tokens that the tokenizer puts around a text count. Where one token would be left over, the
    piece before gives it one of its own, or, if it has only two, takes it in. At a cut inside a
    word a tokenizer may find other tokens than in the whole text. A tokenizer that begins every
    text with a space counts one leading space of a piece as that space.

    Args:
        tokenizer: A fast tokenizer.
        texts: Rows; prompts stay before the first piece.
        tokens: Length of a piece, at least 2 more than the tokenizer adds to a text.

    Returns:
        The pieces in order, each with the place of its text.

    Raises:
        UsageError: `tokens` is too small, or the tokenizer does not say where its tokens stand.

    Example:
        >>> from limen.unlearn.toy import toy_tokenizer
        >>> [row.response for row in chunks(toy_tokenizer(["x"], vocabulary=260),
        ...     [Row("", "abcde")], tokens=2)]
        ['ab', 'cde']
    """
    size = _size(tokenizer, tokens)
    return [
        Row(row.prompt if part == 0 else "", text, row.where)
        for row in texts
        for part, text in enumerate(_pieces(tokenizer, row.response, size))
    ]


def opening(tokenizer: "transformers.PreTrainedTokenizerBase", row: Row, *, tokens: int) -> Row:
    """A row with no more of its response than the first `tokens` tokens, as `chunks` counts them.

    Raises:
        UsageError: As `chunks`.

    Example:
        >>> from limen.unlearn.toy import toy_tokenizer
        >>> opening(toy_tokenizer(["x"], vocabulary=260), Row("", "abcde"), tokens=4).response
        'abcd'
    """
    size = _size(tokenizer, tokens)
    starts = [*_starts(tokenizer, row.response), *[len(row.response)] * size]
    end = starts[size] or next((start for start in starts if start > 0), len(row.response))
    return replace(row, response=row.response[:end])


def _pieces(tokenizer: "transformers.PreTrainedTokenizerBase", text: str, size: int) -> list[str]:
    starts = _starts(tokenizer, text)
    cuts = starts[::size]
    # A last token alone would have nothing to be predicted from.
    if len(starts) > 1 and len(starts) % size == 1:
        cuts = [*cuts[:-1], *([starts[-2]] if size > 2 else [])]
    ends = sorted({0, *cuts, len(text)})
    return [piece for a, b in pairwise(ends) if (piece := text[a:b]).strip()]


def _size(tokenizer: "transformers.PreTrainedTokenizerBase", tokens: int) -> int:
    """How many tokens of text a piece holds.

    Raises:
        UsageError: Too few, or the tokenizer does not say where its tokens stand.
    """
    size = tokens - tokenizer.num_special_tokens_to_add()
    if size < 2:
        raise UsageError(f"tokens={tokens} must leave room for at least 2 tokens of text")
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError("cutting text needs a fast tokenizer, which says where its tokens stand")
    return size


def _starts(tokenizer: "transformers.PreTrainedTokenizerBase", text: str) -> list[int]:
    """Where each token of a text starts in it."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [start for start, _ in found["offset_mapping"]]
