"""Every memory score of a set of rows from one teacher-forced forward pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.unlearn.data import Source, read_rows
from limen.unlearn.encode import Encoded, encode_all
from limen.unlearn.scores.forward import forward_once
from limen.unlearn.scores.row_scores import row_scores
from limen.unlearn.scores.token_scores import TokenScores, token_scores
from limen.unlearn.scores.zlib_loss import zlib_loss
from limen.unlearn.tokens import Tokens

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class Recall:
    """How well a model holds each row: arrays with one value for each row, in the rows' order.

    A row without an answer token has nan everywhere and `tokens` 0.

    Args:
        extraction_strength: Longest end of the answer that the model says by itself, as a share.
        exact_memorisation: Share of answer tokens that the model would say given those before.
        probability: Geometric mean of the answer tokens' probabilities.
        perplexity: 1 / probability.
        loss: Mean negative log-likelihood of the answer tokens, in nats.
        tokens: Number of answer tokens.
        min_k: Mean negative log-likelihood of the 40 % least likely answer tokens, see `min_k`.
        min_k_plus: The same of standardised log-likelihoods, see `min_k_plus`.
        zlib: Loss for each byte of the compressed response; nan where its text is not known.

    Example:
        >>> one = np.ones(1)
        >>> len(Recall(one, one, one, one, 0 * one, np.array([7])))
        1
    """

    extraction_strength: Float64[np.ndarray, " rows"]
    exact_memorisation: Float64[np.ndarray, " rows"]
    probability: Float64[np.ndarray, " rows"]
    perplexity: Float64[np.ndarray, " rows"]
    loss: Float64[np.ndarray, " rows"]
    tokens: Int64[np.ndarray, " rows"]
    min_k: Float64[np.ndarray, " rows"] | None = None
    min_k_plus: Float64[np.ndarray, " rows"] | None = None
    zlib: Float64[np.ndarray, " rows"] | None = None

    def __len__(self) -> int:
        return len(self.tokens)


def answers(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    read: Callable[[Tensor, Tensor], Tensor],
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> list[Tensor]:
    """What `read` makes of the logits at each row's answer; each row goes forward once.

    The answer is given to the model (teacher forcing). Rows of like length share a batch.

    Args:
        model: A causal language model, used where it is and as it is, in eval mode meanwhile.
        tokenizer: Its tokenizer; None where the rows are encoded.
        rows: Anything `read_rows` takes, or encoded rows.
        read: Function of the logits (tokens, vocabulary) that predict an answer, and of its token
            ids (tokens).
        template: "auto", "chat" or "plain", see `encode`.
        eos: Whether the end of the response counts as a token of it.
        batch: Rows in one forward pass, at least 1.

    Returns:
        What `read` returned, on the CPU, in the rows' order.

    Raises:
        UsageError: No rows, a batch below 1, rows that the tokenizer or the model cannot take.
    """
    encoded, _ = encoded_rows(tokenizer, rows, template=template, eos=eos)

    def each(logits: Tensor, tokens: Tokens) -> list[Tensor]:
        ends, counts = tokens.attention.sum(1).tolist(), tokens.answer.sum(1).tolist()
        spans = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        lines = zip(logits, tokens.ids, spans, strict=True)
        return [read(line[s.start - 1 : s.stop - 1], ids[s]).cpu() for line, ids, s in lines]

    return forward_once(model, encoded, read=each, batch=batch)


def hits(logits: Tensor, target: Tensor) -> Tensor:
    """Whether each token is the one greedy decoding would choose (the first of equals)."""
    return logits.max(-1).indices == target


def recall(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str = "auto",
    eos: bool = False,
    batch: int = 16,
) -> Recall:
    """All memory scores at once; each row goes forward once, and higher means better held.

    The answer is given to the model (teacher forcing), and its logits at the answer's positions
    say which tokens it would have chosen and how sure it was.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; None where the rows are encoded.
        rows: Anything `read_rows` takes, or encoded rows (`task.forget`).
        template: "auto", "chat" or "plain", see `encode`; not for encoded rows.
        eos: Whether the end of the response counts as a token of it; not for encoded rows.
        batch: Rows in one forward pass, at least 1; the scores do not depend on it.

    Returns:
        One value of each score for each row.

    Raises:
        UsageError: No rows, a batch below 1, rows that the tokenizer or the model cannot take.

    Example:
        >>> from types import SimpleNamespace
        >>> class Counts(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=nn.functional.one_hot(input_ids + 1, 10).float())
        >>> r = recall(Counts(), None, [Encoded([1, 2, 3, 7, 8], answer=1)])
        >>> r.extraction_strength, r.exact_memorisation
        (array([0.25]), array([0.75]))
    """
    encoded, texts = encoded_rows(tokenizer, rows, template=template, eos=eos)
    found = columns(model, encoded, texts, batch=batch)
    return Recall(**{**found, "tokens": found["tokens"].astype(np.int64)})


def columns(
    model: nn.Module,
    encoded: Sequence[Encoded],
    texts: Sequence[str | None],
    *,
    score: Callable[[TokenScores], dict[str, np.ndarray]] = row_scores,
    batch: int = 16,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Float64[np.ndarray, " rows"]]:
    """The arrays of a `Recall` by name, from one pass over rows that are encoded.

    Args:
        model: A causal language model.
        encoded: At least one row.
        texts: The text of each answer, None where it is not known.
        score: Makes the scores of a batch's rows from those of their tokens.
        batch: Rows in one forward pass, at least 1.
        advance: Told the number of rows after each batch.

    Returns:
        What `score` gives, with probability, perplexity and zlib, which follow from the loss.

    Raises:
        UsageError: A batch below 1, or rows that the model cannot take.
    """

    def read(logits: Tensor, tokens: Tokens) -> list[dict[str, float]]:
        found = score(token_scores(logits, tokens))
        lines = zip(*found.values(), strict=True)
        return [dict(zip(found, line, strict=True)) for line in lines]

    lines = forward_once(model, encoded, read=read, batch=batch, advance=advance)
    found = {name: np.array([line[name] for line in lines]) for name in lines[0]}
    loss = found["loss"]
    with np.errstate(over="ignore"):
        found |= {"probability": np.exp(-loss), "perplexity": np.exp(loss)}
    return {**found, "zlib": zlib_loss(loss, texts)}


def encoded_rows(
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str = "auto",
    eos: bool = False,
) -> tuple[list[Encoded], list[str | None]]:
    """The rows encoded, and the text of each answer where it is known.

    Raises:
        UsageError: No rows, rows that the tokenizer cannot take, or no tokenizer for plain rows.
    """
    held: Any = rows if isinstance(rows, str | Path) else list(rows)
    if isinstance(held, list) and any(isinstance(row, Encoded) for row in held):
        given = cast("list[Encoded]", held)
        return given, [answer_text(tokenizer, row) for row in given]
    if tokenizer is None:
        raise UsageError("tokenizer=None needs encoded rows; pass the model's tokenizer")
    read = read_rows(held)
    encoded = encode_all(tokenizer, read, template=template, eos=eos)
    return encoded, [row.response for row in read]


def answer_text(
    tokenizer: "transformers.PreTrainedTokenizerBase | None", row: Encoded
) -> str | None:
    """The text of an encoded row's answer, special tokens left out; None without a tokenizer."""
    if tokenizer is None:
        return None
    return str(tokenizer.decode(row.ids[row.answer :], skip_special_tokens=True))


def suffix_strength(hits: Sequence[bool]) -> float | None:
    """Extraction strength from hits alone: the share of the answer after its last miss.

    Greedy decoding from the first k answer tokens reproduces the rest exactly if every
    teacher-forced choice after k is a hit, so the shortest prefix that suffices ends at the last
    miss, and one pass replaces a generation for each prefix.

    Args:
        hits: For each answer token, whether the model would choose it given all before it.

    Returns:
        A share in [0, 1]; None without tokens.

    Example:
        >>> suffix_strength([True, False, True, True, True])
        0.6
    """
    if not len(hits):
        return None
    misses = [k for k, hit in enumerate(hits, 1) if not hit]
    return (len(hits) - max(misses, default=0)) / len(hits)
