"""Every memory score of a set of rows from one teacher-forced forward pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor, nn
from torch.nn import functional

from limen._core.errors import UsageError
from limen.train.modes import in_mode
from limen.unlearn.data import Source, read_rows
from limen.unlearn.encode import Encoded, encode_all, require_fit
from limen.unlearn.tokens import collate

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
    if batch < 1:
        raise UsageError(f"batch={batch} must be at least 1")
    encoded = _encoded(tokenizer, rows, template=template, eos=eos)
    require_fit(model, encoded)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
    found: dict[int, Tensor] = {}
    # Not inference_mode: what a model caches in its first forward must stay fit for training.
    with in_mode(model, training=False), torch.no_grad():
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            tokens = collate([encoded[i] for i in part]).to(device)
            logits = model(
                input_ids=tokens.ids, attention_mask=tokens.attention, use_cache=False
            ).logits
            for i, ids, line in zip(part, tokens.ids, logits, strict=True):
                first, last = encoded[i].answer, len(encoded[i].ids)
                found[i] = read(line[first - 1 : last - 1], ids[first:last]).cpu()
    return [found[i] for i in range(len(encoded))]


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
    both = answers(
        model, tokenizer, rows, read=_hits_and_log_probs, template=template, eos=eos, batch=batch
    )
    strength = [suffix_strength(hits.bool().tolist()) for hits, _ in both]
    count = np.array([len(hits) for hits, _ in both])
    exact = np.array([hits.mean() for hits, _ in both])
    loss = np.array([-log_p.mean() for _, log_p in both])
    with np.errstate(over="ignore"):
        return Recall(
            np.array(strength, dtype=np.float64), exact, np.exp(-loss), np.exp(loss), loss, count
        )


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


def _encoded(
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Encoded],
    *,
    template: str,
    eos: bool,
) -> list[Encoded]:
    if not isinstance(rows, str | Path) and any(isinstance(row, Encoded) for row in rows):
        return list(cast("Sequence[Encoded]", rows))
    if tokenizer is None:
        raise UsageError("tokenizer=None needs encoded rows; pass the model's tokenizer")
    return encode_all(tokenizer, read_rows(cast("Source", rows)), template=template, eos=eos)


def _hits_and_log_probs(logits: Tensor, target: Tensor) -> Tensor:
    wide = logits if logits.dtype == torch.float64 else logits.float()
    log_p = -functional.cross_entropy(wide, target, reduction="none")
    return torch.stack([hits(logits, target).double(), log_p.double()])
