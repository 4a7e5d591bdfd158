"""What to forget and what to keep, tokenised, paired and cut into batches in advance."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.unlearn.data import Row, Source, overlap, read_rows
from limen.unlearn.encode import Encoded, encode_all
from limen.unlearn.tokens import Tokens, collate

if TYPE_CHECKING:
    import transformers


@dataclass(frozen=True)
class Pair:
    """One micro-batch: rows to forget and, where there are any, rows to keep.

    Example:
        >>> from limen.unlearn.encode import Encoded
        >>> Pair(collate([Encoded([1, 2], answer=1)]), retain=None).forget.count
        1
    """

    forget: Tokens
    retain: Tokens | None

    def to(self, device: torch.device | str) -> "Pair":
        """The same micro-batch on `device`."""
        retain = None if self.retain is None else self.retain.to(device)
        return Pair(self.forget.to(device), retain)


class Task:
    """What to forget and what to keep, checked and tokenised.

    Args:
        tokenizer: The model's tokenizer.
        forget: Rows to forget: anything `read_rows` takes.
        retain: Rows to keep, likewise; may be left out.
        template: "auto", "chat" or "plain", see `encode`.
        eos: Whether the end of the response counts as a token of it.
        max_length: The model's context in tokens (`context_length(model)`).
        allow_overlap: Accept rows that are both to be forgotten and to be kept.

    Raises:
        UsageError: Unreadable or empty rows, the same row in both sets, too long a row, a row
            without a token to be predicted.

    Example:
        >>> import tokenizers, transformers
        >>> words = tokenizers.models.WordLevel({"?": 0, "two": 1, "and": 2, "four": 3}, "?")
        >>> words = tokenizers.Tokenizer(words)
        >>> words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        >>> words = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
        >>> task = Task(words, forget=[{"prompt": "two and two", "response": "four"}])
        >>> task.batches(1)[0].forget.ids
        tensor([[1, 2, 1, 3]])
    """

    def __init__(
        self,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        forget: Source,
        retain: Source | None = None,
        template: str = "auto",
        eos: bool = False,
        max_length: int | None = None,
        allow_overlap: bool = False,
    ):
        self.tokenizer, self.template, self.eos = tokenizer, template, eos
        self.forget_rows = read_rows(forget)
        self.retain_rows = [] if retain is None else read_rows(retain)
        both = overlap(self.forget_rows, self.retain_rows)
        if both and not allow_overlap:
            raise UsageError(
                f"forget and retain must not share rows; {len(both)} stand in both, the first at "
                f"{both[0].where or repr(both[0].response)}: remove them from one side, or allow "
                "the overlap (--allow-overlap)"
            )
        self.forget, self.retain = (
            encode_all(tokenizer, rows, template=template, eos=eos, max_length=max_length)
            for rows in (self.forget_rows, self.retain_rows)
        )
        _require_answers(self.forget, self.forget_rows, side="forget")
        _require_answers(self.retain, self.retain_rows, side="retain")

    def content_hash(self) -> str:
        """SHA-256 over all token ids and answer positions of both sets, in order."""
        content = [
            [[item.ids, item.answer] for item in part] for part in (self.forget, self.retain)
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def batches(
        self,
        size: int,
        *,
        retain_size: int | None = None,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> "PairedBatches":
        """Micro-batches of `size` rows to forget on each rank, see `PairedBatches`.

        Raises:
            UsageError: A size below 1, no rows to keep though `retain_size` asks for them, fewer
                rows than ranks.
        """
        return PairedBatches(self, size, retain_size=retain_size, seed=seed, rank=rank, world=world)

    def probes(self, count: int, *, seed: int = 0) -> tuple[Tokens, Tokens | None]:
        """At most `count` rows of each set, drawn by `seed`; None where nothing is to be kept.

        Raises:
            UsageError: `count` is below 1.
        """
        if count < 1:
            raise UsageError(f"count={count} must be at least 1")
        forget, retain = (
            [part[i] for i in _permutation(len(part), seed, "probes", name)[:count]]
            for name, part in (("forget", self.forget), ("retain", self.retain))
        )
        return collate(forget), collate(retain) if retain else None


class PairedBatches:
    """Micro-batch i as a pure function of (seed, i): resuming is an index.

    Every epoch shuffles the rows to forget and cuts them into batches whose sizes differ by at
    most one; nothing is dropped, nothing comes twice. The rows to keep follow a shuffled order of
    their own: within an epoch none comes twice before all came once, and the next epoch shuffles
    anew, whether all were seen or not. Row j of the one order is paired with row j of the other.
    Ranks take disjoint, non-empty parts of each batch.

    Args:
        task: The rows.
        size: Rows to forget in a micro-batch of one rank, at most; at least 1. (With size 1 on
            several ranks one row more, where no even cut gives every rank a row.)
        retain_size: Rows to keep in a micro-batch of one rank; None pairs them one to one.
        seed: Decides every order; the global generators are not touched.
        rank: This process; by default what torch.distributed says, or 0.
        world: Number of processes; by default what torch.distributed says, or 1.

    Raises:
        UsageError: A size below 1, `retain_size` without rows to keep, a rank outside the world,
            fewer rows than ranks.

    Example:
        >>> import tokenizers, transformers
        >>> words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, "a"))
        >>> words = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
        >>> task = Task(words, forget=[{"prompt": "a", "response": "b"}] * 5)
        >>> batches = PairedBatches(task, 2)
        >>> batches.per_epoch, [len(batches[i].forget) for i in range(batches.per_epoch)]
        (3, [2, 2, 1])
    """

    def __init__(
        self,
        task: Task,
        size: int,
        *,
        retain_size: int | None = None,
        seed: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ):
        spread = dist.is_available() and dist.is_initialized()
        self.rank = rank if rank is not None else dist.get_rank() if spread else 0
        self.world = world if world is not None else dist.get_world_size() if spread else 1
        if size < 1 or (retain_size is not None and retain_size < 1):
            raise UsageError(f"size={size} and retain_size={retain_size} must be at least 1")
        if retain_size is not None and not task.retain:
            raise UsageError(f"retain_size={retain_size} needs rows to keep; the task has none")
        if not 0 <= self.rank < self.world:
            raise UsageError(f"rank={self.rank} must be one of the {self.world} ranks from 0")
        rows = len(task.forget)
        if rows < self.world:
            raise UsageError(f"{self.world} ranks need as many rows to forget at least, got {rows}")
        self.task, self.size, self.retain_size, self.seed = task, size, retain_size, seed
        self.per_epoch = min(-(-rows // (size * self.world)), rows // self.world)

    def __getitem__(self, index: int) -> Pair:
        """Micro-batch `index`, counted from 0 over all epochs.

        Raises:
            UsageError: `index` is negative.
        """
        if index < 0:
            raise UsageError(f"index={index} must be at least 0: batches have no last one")
        epoch, batch = divmod(index, self.per_epoch)
        start, stop = _part(len(self.task.forget), self.per_epoch, batch)
        first, last = _part(stop - start, self.world, self.rank)
        mine = range(start + first, start + last)
        order = _permutation(len(self.task.forget), self.seed, "forget", epoch)
        forget = collate([self.task.forget[order[j]] for j in mine])
        if not self.task.retain:
            return Pair(forget, None)
        if self.retain_size is not None:
            first = (batch * self.world + self.rank) * self.retain_size
            mine = range(first, first + self.retain_size)
        return Pair(forget, collate([self.task.retain[i] for i in self._retained(mine, epoch)]))

    def __repr__(self) -> str:
        """What decides the batches; a run that resumes must have the same."""
        return (
            f"PairedBatches(size={self.size}, retain_size={self.retain_size}, seed={self.seed}, "
            f"rows={self.task.content_hash()[:12]})"
        )

    def forget_batches(self) -> Iterator[Tokens]:
        """Every row to forget once, in its set's order, `size` at a time; the same on all ranks."""
        for start in range(0, len(self.task.forget), self.size):
            yield collate(self.task.forget[start : start + self.size])

    def _retained(self, positions: range, epoch: int) -> list[int]:
        count = len(self.task.retain)
        laps = {j // count for j in positions}
        order = {lap: _permutation(count, self.seed, "retain", epoch, lap) for lap in laps}
        return [order[j // count][j % count] for j in positions]


def _require_answers(encoded: Sequence[Encoded], rows: Sequence[Row], *, side: str) -> None:
    """Each row has a token that one before it predicts.

    Raises:
        UsageError: One has none.
    """
    for item, row in zip(encoded, rows, strict=True):
        if len(item.ids) == item.answer:
            place = f"row {item.row + 1}" + (f" ({row.where})" if row.where else "")
            raise UsageError(
                f"{side}, {place} holds no token to be predicted; give it a prompt or more text"
            )


def _permutation(count: int, seed: int, *names: object) -> Sequence[int]:
    return torch.randperm(count, generator=torch_stream(seed, *names)).tolist()


def _part(count: int, parts: int, index: int) -> tuple[int, int]:
    """Where part `index` starts and stops when `count` things are cut nearly evenly."""
    return -(-count * index // parts), -(-count * (index + 1) // parts)
