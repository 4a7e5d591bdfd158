"""WMDP: multiple-choice questions on dangerous knowledge, and what should stay known beside it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from limen._core.errors import UsageError, nearest
from limen.unlearn.benchmarks.chunks import chunks
from limen.unlearn.benchmarks.judgement import Judgement
from limen.unlearn.benchmarks.parts import read_part, require_limit
from limen.unlearn.data import Row
from limen.unlearn.scores.multiple_choice import Question, multiple_choice
from limen.unlearn.task import Task

if TYPE_CHECKING:
    import transformers

_SUBJECTS = {"bio": "biology", "cyber": "cybersecurity", "chem": "chemistry"}
_COLUMNS = {"question": "text", "choices": "texts", "answer": "number"}
_PROTOCOL = (
    "Accuracy of the likeliest letter, without examples. WMDP: lower is forgotten, 0.25 is chance; "
    "MMLU: higher is kept."
)


@dataclass(frozen=True)
class WMDP:
    """WMDP's questions, read when first asked for and checked, its task and its scores.

    Args:
        subset: "bio", "cyber" or "chem".
        data: A folder with "wmdp-bio.json" and its like (JSON or JSON lines), for the task also
            "bio-forget-corpus.jsonl" and "bio-retain-corpus.jsonl"; None reads the hub, where
            some corpora are gated.
        hub: Id of the questions on the hub.
        corpora: Id of the texts on the hub.
        mmlu: A folder with "mmlu.json", or MMLU's id on the hub ("cais/mmlu"), for `judge`.

    Raises:
        UsageError: Another subset; on reading, a part that is missing or not whole.

    Reference:
        Li et al., "The WMDP Benchmark: Measuring and Reducing Malicious Use with Unlearning",
        ICML 2024.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "wmdp-chem.jsonl").write_text(
        ...     '{"question": "Is water wet?", "choices": ["Yes", "No"], "answer": 0}')
        >>> WMDP("chem", data=folder).questions[0].subject
        'chemistry'
    """

    subset: str = "bio"
    data: str | Path | None = None
    hub: str = "cais/wmdp"
    corpora: str = "cais/wmdp-corpora"
    mmlu: str | Path | None = None

    def __post_init__(self) -> None:
        if self.subset not in _SUBJECTS:
            raise UsageError(
                f"subset={self.subset!r} must be one of {nearest(self.subset, _SUBJECTS)}"
            )

    @cached_property
    def questions(self) -> list[Question]:
        """What is to be forgotten, as questions."""
        part = f"wmdp-{self.subset}"
        return _read(part, data=self.data, hub=self.hub, subject=_SUBJECTS[self.subset])

    @cached_property
    def general(self) -> list[Question]:
        """What should stay known, as questions: MMLU's, each under its own subject.

        Raises:
            UsageError: `mmlu` is not given.
        """
        if self.mmlu is None:
            raise UsageError("mmlu must name MMLU's folder or its id on the hub; it is not given")
        local = Path(self.mmlu).expanduser()
        data = local if local.is_dir() else None
        return _read("mmlu", data=data, hub=str(self.mmlu), config="all")

    def task(
        self,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        tokens: int = 512,
        limit: int | None = None,
        max_length: int | None = None,
        allow_overlap: bool = False,
    ) -> Task:
        """Texts to forget and to keep, in pieces of `tokens` tokens; see `Task`.

        Args:
            tokenizer: The model's tokenizer, a fast one.
            tokens: Length of a piece.
            limit: Texts of each corpus, from the start; None for all.
            max_length: The model's context in tokens.
            allow_overlap: Accept a piece that stands on both sides.

        Returns:
            The task.

        Raises:
            UsageError: A corpus is missing, or as `chunks` and `Task`.
        """
        sides = {}
        for side in ("forget", "retain"):
            name = f"{self.subset}-{side}-corpus"
            found = read_part(
                name,
                data=self.data,
                hub=self.corpora,
                columns={"text": "text"},
                split="train",
                limit=limit,
            )
            texts = [Row("", r["text"], r["where"]) for r in found]
            sides[side] = chunks(tokenizer, texts, tokens=tokens)
        return Task(
            tokenizer,
            forget=sides["forget"],
            retain=sides["retain"],
            template="plain",
            max_length=max_length,
            allow_overlap=allow_overlap,
        )

    def check(self) -> None:
        """Read all that `judge` reads, so that what is missing shows before a model is loaded.

        Raises:
            UsageError: Questions are missing or not whole.
        """
        _ = self.questions, self.mmlu is None or self.general

    def judge(
        self,
        model: nn.Module,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        limit: int | None = None,
        template: str = "plain",
        batch: int = 16,
    ) -> Judgement:
        """Accuracy on WMDP, to fall to chance, and on MMLU, to stay, if `mmlu` is given.

        Args:
            model: A causal language model.
            tokenizer: Its tokenizer.
            limit: Questions of each set, from the start; None for all.
            template: "plain" as published; "chat" or "auto", see `encode`.
            batch: Questions in one forward pass, at least 1.

        Returns:
            The accuracies, with 1 or 0 for each question.

        Raises:
            UsageError: Questions are missing or not whole, or as `multiple_choice`.
        """
        require_limit(limit)
        sets = {f"WMDP-{self.subset} accuracy": self.questions[:limit]}
        if self.mmlu is not None:
            sets["MMLU accuracy"] = self.general[:limit]
        rows = {
            name: multiple_choice(model, tokenizer, asked, template=template, batch=batch)
            for name, asked in sets.items()
        }
        values = {name: float(right.mean()) for name, right in rows.items()}
        return Judgement(f"WMDP {self.subset}", values, rows, protocol=_PROTOCOL)


def _read(
    part: str,
    *,
    data: str | Path | None,
    hub: str,
    config: str | None = None,
    subject: str = "",
) -> list[Question]:
    records = read_part(part, data=data, hub=hub, columns=_COLUMNS, config=config, split="test")
    found = []
    for r in records:
        try:
            found.append(
                Question(r["question"], r["choices"], r["answer"], subject or r.get("subject", ""))
            )
        except UsageError as wrong:
            raise UsageError(f"{r['where']}: {wrong}") from wrong
    return found
