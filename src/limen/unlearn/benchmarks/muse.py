"""MUSE: news or books to be forgotten, word for word, in substance and without a trace."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from limen._core.errors import UsageError, nearest
from limen.measure.separation import auroc
from limen.unlearn.benchmarks.chunks import chunks, opening
from limen.unlearn.benchmarks.judgement import Judgement, Rows, mean_known
from limen.unlearn.benchmarks.parts import read_part, require_limit
from limen.unlearn.benchmarks.retrained import (
    Retrained,
    check_said,
    needed,
    privleak_beside,
    said,
    settings_of,
)
from limen.unlearn.benchmarks.together import recall_together
from limen.unlearn.data import Row
from limen.unlearn.generate import generate
from limen.unlearn.scores.rouge_l import rouge_l
from limen.unlearn.task import Task

if TYPE_CHECKING:
    import transformers

_HUBS = {"news": "muse-bench/MUSE-News", "books": "muse-bench/MUSE-Books"}
_TEXT = {"text": "text"}
_COMPARED = ("forget: min-k", "holdout: min-k")
_QA = {"question": "text", "answer": "text"}
_SPLITS = ("forget", "retain", "holdout")
_PROTOCOL = (
    "Verbatim: ROUGE-L F1 of 128 new tokens with the 128 that follow a prompt. Knowledge: ROUGE-L "
    "F1 of at most 32 new tokens after worked examples. PrivLeak: Min-K% with k = 40 %, forget "
    "against holdout; 0 is ideal. Greedy answers."
)


@dataclass(frozen=True)
class MUSE:
    """MUSE's parts, read when first asked for and checked, its task and its scores.

    Args:
        corpus: "news" or "books".
        data: A folder with one folder for each configuration and in it one file for each split,
            as JSON or JSON lines ("knowmem/forget_qa.json"), or a copy of the hub's; None reads
            the hub.
        hub: Id on the hub; empty for the corpus's own.

    Raises:
        UsageError: Another corpus; on reading, a part that is missing or not whole.

    Reference:
        Shi, Lee, Huang, Malladi, Zhao, Holtzman, Liu, Zettlemoyer, Smith and Zhang, "MUSE:
        Machine Unlearning Six-Way Evaluation for Language Models", ICLR 2025.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "raw").mkdir()
        >>> _ = (folder / "raw" / "forget.jsonl").write_text('{"text": "Once upon a time."}')
        >>> MUSE("books", data=folder).forget[0].response
        'Once upon a time.'
    """

    corpus: str = "news"
    data: str | Path | None = None
    hub: str = ""

    def __post_init__(self) -> None:
        if self.corpus not in _HUBS:
            raise UsageError(f"corpus={self.corpus!r} must be one of {nearest(self.corpus, _HUBS)}")

    @cached_property
    def forget(self) -> list[Row]:
        """Texts to forget."""
        return self._texts("raw", "forget")

    @cached_property
    def retain(self) -> list[Row]:
        """Texts to keep, for training."""
        return self._texts("raw", "retain1")

    @cached_property
    def verbatim(self) -> list[Row]:
        """Beginnings of texts to forget, and how they go on."""
        found = self._part("verbmem", "forget", {"prompt": "text", "gt": "text"})
        return [Row(r["prompt"], f" {r['gt'].lstrip()}", r["where"]) for r in found]

    @cached_property
    def forget_questions(self) -> list[Row]:
        """Questions about texts to forget, each behind the worked examples."""
        return self._questions("forget_qa")

    @cached_property
    def retain_questions(self) -> list[Row]:
        """Questions about texts to keep, likewise."""
        return self._questions("retain_qa")

    def membership(self, split: str) -> list[Row]:
        """Texts for membership inference.

        Args:
            split: "forget", "retain" or "holdout".

        Returns:
            Rows without prompts.

        Raises:
            UsageError: The part is missing or not whole.
        """
        return self._texts("privleak", split)

    def task(
        self,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        tokens: int = 2048,
        max_length: int | None = None,
        allow_overlap: bool = False,
    ) -> Task:
        """What to forget and what to keep, in pieces of `tokens` tokens; see `Task`.

        Raises:
            UsageError: A part is missing, or as `chunks` and `Task`.
        """
        return Task(
            tokenizer,
            forget=chunks(tokenizer, self.forget, tokens=tokens),
            retain=chunks(tokenizer, self.retain, tokens=tokens),
            template="plain",
            max_length=max_length,
            allow_overlap=allow_overlap,
        )

    def check(self, *, retrained: Retrained = None, generation: bool = True) -> None:
        """Read all that `judge` reads, so that what is missing shows before a model is loaded.

        Args:
            retrained: As for `judge`; a model is not looked at.
            generation: As for `judge`.

        Raises:
            UsageError: A part is missing or not whole, or `retrained` cannot be compared with.
        """
        _ = self.verbatim, [self.membership(split) for split in _SPLITS]
        if generation:
            _ = self.forget_questions, self.retain_questions
        if retrained is not None and not isinstance(retrained, nn.Module):
            check_said(said(retrained), benchmark=f"MUSE {self.corpus}", rows=_COMPARED)

    def judge(
        self,
        model: nn.Module,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        retrained: Retrained = None,
        generation: bool = True,
        limit: int | None = None,
        tokens: int = 2048,
        stem: bool = False,
        batch: int = 16,
    ) -> Judgement:
        """How much of the texts a model recites, knows and gives away; lower is better forgotten.

        Verbatim and knowledge memorisation of forget texts are to fall, that of retain texts is
        to stay, PrivLeak is to be 0. Extraction strength of the verbatim rows is limen's own.

        Args:
            model: A causal language model.
            tokenizer: Its tokenizer, a fast one.
            retrained: A model that never saw the texts to forget, its judgement, or the file of
                that: the reference of PrivLeak, which is 0.5 without it.
            generation: Whether to generate answers.
            limit: Rows of each part, from the start; None for all.
            tokens: Look at so many tokens of each text for membership, from its start.
            stem: Whether ROUGE-L takes the inflection off words, as open-unlearning does; MUSE's
                own code does not.
            batch: Rows in one forward pass, at least 1.

        Returns:
            The scores, with per-row values.

        Raises:
            UsageError: A part is missing or not whole, rows that the model cannot take, or a
                `retrained` that was judged on something else.

        Reference:
            As the class, section 3. Departure: "Answer:" is put without the space that MUSE's own
            prompt ends with, since the answer's first token brings it.
        """
        require_limit(limit)
        name = f"MUSE {self.corpus}"
        sets = {
            split: _starts(tokenizer, self.membership(split)[:limit], tokens) for split in _SPLITS
        }
        settings = settings_of(
            tokenizer,
            {split: sets[split] for split in ("forget", "holdout")},
            template="plain",
            tokens=tokens,
        )
        known = needed(
            retrained,
            lambda it: self.judge(
                it, tokenizer, generation=False, limit=limit, tokens=tokens, batch=batch
            ),
            benchmark=name,
            rows=_COMPARED,
            settings=settings,
        )
        sets["verbatim"] = self.verbatim[:limit]
        asked = self._asked(tokenizer, limit) if generation else {}
        found = recall_together(model, tokenizer, sets, template="plain", batch=batch)
        rows: dict[str, Rows] = {}
        for what, (part, options) in asked.items():
            heard = generate(model, tokenizer, part, template="plain", batch=batch, **options)
            wanted = [row.response for row in part]
            rows[what] = rouge_l(heard, wanted, variant="f1", stem=stem)
        rows["forget: extraction strength"] = found["verbatim"].extraction_strength
        values = {what: mean_known(per_row) for what, per_row in rows.items()}
        for split in _SPLITS:
            rows[f"{split}: min-k"] = np.asarray(found[split].min_k)
        for split in ("forget", "retain"):
            scores = rows[f"{split}: min-k"], rows["holdout: min-k"]
            values[f"{split}: AUROC against holdout"] = auroc(*scores)
        values["PrivLeak"] = privleak_beside(rows, known)
        return Judgement(name, values, rows, protocol=_PROTOCOL, settings=settings)

    def _asked(
        self, tokenizer: "transformers.PreTrainedTokenizerBase", limit: int | None
    ) -> dict[str, tuple[Sequence[Row], dict[str, Any]]]:
        """What is generated: the rows, and for how long."""
        short = {"new_tokens": 32, "stop": ("\n\n", "\nQuestion", "Question:")}
        verbatim = _starts(tokenizer, self.verbatim[:limit], 128)
        return {
            "forget: verbatim memorisation": (verbatim, {"new_tokens": 128}),
            "forget: knowledge memorisation": (self.forget_questions[:limit], short),
            "retain: knowledge memorisation": (self.retain_questions[:limit], short),
        }

    def _questions(self, split: str) -> list[Row]:
        examples = self._part("knowmem", f"{split}_icl", _QA)
        shown = "".join(f"Question: {e['question']}\nAnswer: {e['answer']}\n\n" for e in examples)
        return [
            Row(f"{shown}Question: {r['question']}\nAnswer:", f" {r['answer']}", r["where"])
            for r in self._part("knowmem", split, _QA)
        ]

    def _texts(self, config: str, split: str) -> list[Row]:
        return [Row("", r["text"], r["where"]) for r in self._part(config, split, _TEXT)]

    def _part(self, config: str, split: str, columns: dict[str, str]) -> list[dict[str, Any]]:
        return read_part(
            f"{config}/{split}",
            data=self.data,
            hub=self.hub or _HUBS[self.corpus],
            columns=columns,
            config=config,
            split=split,
        )


def _starts(
    tokenizer: "transformers.PreTrainedTokenizerBase", rows: Sequence[Row], tokens: int
) -> list[Row]:
    return [opening(tokenizer, row, tokens=tokens) for row in rows]
