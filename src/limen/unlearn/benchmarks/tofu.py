"""TOFU: questions about authors who never lived, some of them to be forgotten."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from limen._core.errors import UsageError
from limen.unlearn.benchmarks.judgement import Judgement
from limen.unlearn.benchmarks.parts import read_part
from limen.unlearn.benchmarks.retrained import Retrained, check_said, said
from limen.unlearn.benchmarks.tofu_scores import COMPARED, judge_tofu
from limen.unlearn.data import Row
from limen.unlearn.task import Task

if TYPE_CHECKING:
    import transformers

PUBLISHED = ("forget01", "forget05", "forget10")
"""The splits on the hub."""
_ASKED = {"question": "text", "answer": "text"}
_REPHRASED = {**_ASKED, "paraphrased_question": "text", "paraphrased_answer": "text"}
_WRONG = {"perturbed_answer": "texts"}


@dataclass(frozen=True)
class TOFU:
    r"""TOFU's parts, read when first asked for and checked, its task and its scores.

    Args:
        split: What to forget: "forget01", "forget05" or "forget10", a share of the authors. What
            is kept ("retain99" ...) and what was never seen ("holdout01" ...) follow from it.
        data: A folder with the parts as JSON or JSON lines, named as on the hub, or a copy of the
            hub's; None reads the hub.
        hub: Id on the hub.
        form: How question and answer stand in a text; what comes before {answer} is the prompt,
            but spaces just before it belong to the answer, as tokenizers have it. Published:
            "Question: {question}\nAnswer: {answer}" for Phi-1.5,
            "[INST] {question} [/INST]{answer}" for Llama-2. A chat template comes on top.

    Raises:
        UsageError: Another split or form; on reading, a part that is missing or not whole.

    Reference:
        Maini, Feng, Schwarzschild, Lipton and Kolter, "TOFU: A Task of Fictitious Unlearning for
        LLMs", COLM 2024. The holdout sets were added by open-unlearning, for membership inference.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "forget01.jsonl").write_text('{"question": "Who?", "answer": "Ada."}')
        >>> tofu = TOFU("forget01", data=folder, form="Question: {question} Answer: {answer}")
        >>> tofu.forget[0].prompt, tofu.forget[0].response
        ('Question: Who? Answer:', ' Ada.')
    """

    split: str = "forget01"
    data: str | Path | None = None
    hub: str = "locuslab/TOFU"
    form: str = "{question}{answer}"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"forget\d\d", self.split):
            raise UsageError(
                f"split={self.split!r} must be forget01, forget05, forget10 or the like: 'forget' "
                "and two digits"
            )
        if self.data is None and self.split not in PUBLISHED:
            raise UsageError(
                f"split={self.split!r} must be one of {', '.join(PUBLISHED)} on the hub; others "
                "need a folder of their own, data=FOLDER"
            )
        if self.form.count("{question}") != 1 or not self.form.endswith("{answer}"):
            raise UsageError(
                f"form={self.form!r} must hold {{question}} once and end with {{answer}}"
            )

    @cached_property
    def forget(self) -> list[Row]:
        """What is to be forgotten."""
        return self.rows(self._part(self.split, _ASKED))

    @cached_property
    def retain(self) -> list[Row]:
        """What is to be kept: the other authors."""
        return self.rows(self._part(f"retain{100 - self._share:02d}", _ASKED))

    @cached_property
    def holdout(self) -> list[Row]:
        """Authors that no model has seen."""
        return self.rows(self._part(f"holdout{self._share:02d}", _ASKED))

    @cached_property
    def forget_perturbed(self) -> list[dict[str, Any]]:
        """What is to be forgotten with its paraphrases and wrong answers, as records."""
        return self._part(f"{self.split}_perturbed", {**_REPHRASED, **_WRONG})

    @cached_property
    def retain_perturbed(self) -> list[dict[str, Any]]:
        """Some of what is to be kept, likewise."""
        return self._part("retain_perturbed", {**_REPHRASED, **_WRONG})

    @cached_property
    def real_authors(self) -> list[Row]:
        """Questions about authors who lived."""
        return self.rows(self._part("real_authors", _ASKED))

    @cached_property
    def real_authors_perturbed(self) -> list[dict[str, Any]]:
        """The same with wrong answers, as records."""
        return self._part("real_authors_perturbed", {**_ASKED, **_WRONG})

    @cached_property
    def world_facts(self) -> list[Row]:
        """Questions about the world."""
        return self.rows(self._part("world_facts", _ASKED))

    @cached_property
    def world_facts_perturbed(self) -> list[dict[str, Any]]:
        """The same with wrong answers, as records."""
        return self._part("world_facts_perturbed", {**_ASKED, **_WRONG})

    def task(
        self,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        template: str = "auto",
        eos: bool = False,
        max_length: int | None = None,
    ) -> Task:
        """What to forget and what to keep, tokenised; see `Task`.

        Raises:
            UsageError: A part is missing, or as `Task`.
        """
        return Task(
            tokenizer,
            forget=self.forget,
            retain=self.retain,
            template=template,
            eos=eos,
            max_length=max_length,
        )

    def check(self, *, retrained: Retrained = None, mean: str = "arithmetic") -> None:
        """Read all that `judge` reads, so that what is missing shows before a model is loaded.

        Args:
            retrained: As for `judge`; a model is not looked at.
            mean: As for `judge`.

        Raises:
            UsageError: A part is missing or not whole, or `retrained` cannot be compared with.
        """
        _ = self.forget_perturbed, self.retain_perturbed, self.holdout
        _ = self.real_authors_perturbed, self.world_facts_perturbed
        if retrained is not None and not isinstance(retrained, nn.Module):
            rows = COMPARED.get(mean, ())
            check_said(said(retrained), benchmark=f"TOFU {self.split}", rows=rows)

    def judge(
        self,
        model: nn.Module,
        tokenizer: "transformers.PreTrainedTokenizerBase",
        *,
        retrained: Retrained = None,
        generation: bool = True,
        limit: int | None = 300,
        template: str = "auto",
        eos: bool = False,
        mean: str = "arithmetic",
        batch: int = 16,
    ) -> Judgement:
        """What a model still knows of each of TOFU's sets, and what it is still good for.

        Each set has probability, truth ratio (both means) and, with `generation`, ROUGE-L recall;
        forget and retain rows also exact memorisation, and extraction strength with the question as
        it is and rephrased. Then PrivLeak, model utility (needs `generation`) and forget quality
        (needs `retrained`). All but PrivLeak: higher = better known; but the truth ratio of rows to
        forget and forget quality, higher = better forgotten.

        Args:
            model: A causal language model.
            tokenizer: Its tokenizer.
            retrained: A model that never saw the rows to forget, its judgement, or the file of
                that, made with the same options; also the reference of PrivLeak, which is 0.5
                without it.
            generation: Whether to generate answers, which takes longer than all the rest.
            limit: Rows of each set, from the start; 300 as published, None for all.
            template: "auto", "chat" or "plain", see `encode`.
            eos: Whether the end of an answer counts in probabilities, as published: for models that
                were trained with it. Extraction strength and exact memorisation never count it.
            mean: The truth ratio in model utility and forget quality: "arithmetic", the paper's, or
                "geometric", open-unlearning's.
            batch: Rows in one forward pass, at least 1.

        Returns:
            The scores, with per-row values and R under "forget: R, arithmetic" and its like.

        Raises:
            UsageError: A part is missing or not whole, rows that the model cannot take, another
                word for `mean`, or a `retrained` that was judged on something else.

        Reference:
            Maini, Feng, Schwarzschild, Lipton and Kolter, "TOFU: A Task of Fictitious Unlearning
            for LLMs", COLM 2024, section 2.2. Departures: prompt and answer are tokenised apart;
            nothing is cut to fit; the end of an answer counts only with `eos`.
        """
        return judge_tofu(
            self,
            model,
            tokenizer,
            retrained=retrained,
            generation=generation,
            limit=limit,
            template=template,
            eos=eos,
            mean=mean,
            batch=batch,
        )

    def rows(
        self,
        records: Sequence[Mapping[str, Any]],
        *,
        question: str = "question",
        answer: str = "answer",
    ) -> list[Row]:
        """Records in this benchmark's form.

        Args:
            records: Records of a part.
            question: The column that asks, such as "paraphrased_question".
            answer: The column that answers, text or a list of texts, each a row of its own.

        Returns:
            The rows in order.
        """
        head = self.form.removesuffix("{answer}")
        prompt = head.rstrip(" ")
        lead = head[len(prompt) :]
        return [
            Row(prompt.replace("{question}", r[question]), lead + text, r["where"])
            for r in records
            for text in ([r[answer]] if isinstance(r[answer], str) else r[answer])
        ]

    @property
    def _share(self) -> int:
        return int(self.split[-2:])

    def _part(self, name: str, columns: Mapping[str, str]) -> list[dict[str, Any]]:
        return read_part(
            name, data=self.data, hub=self.hub, columns=columns, config=name, split="train"
        )
