"""Every score of a set of rows and their variants, from one pass, with intervals."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float64
from torch import nn

from limen._core.errors import UsageError, nearest
from limen.measure.interval import bootstrap
from limen.report.measured import Measured
from limen.report.strict import number, plain
from limen.run.progress import progress
from limen.unlearn.cache import cached
from limen.unlearn.data import Source
from limen.unlearn.deck import Deck, lay_out
from limen.unlearn.encode import Encoded
from limen.unlearn.probes import Probe, read_probes
from limen.unlearn.scores.forget_quality import forget_quality
from limen.unlearn.scores.metrics import CONVENTIONS, METRICS, Seen, chosen, kinds_for
from limen.unlearn.scores.min_k import require_share
from limen.unlearn.scores.one_pass import answer_text, columns
from limen.unlearn.scores.privleak import privleak
from limen.unlearn.scores.truth_ratio import looks_forgotten, looks_known

if TYPE_CHECKING:
    import transformers

_RATIOS = ("truth_ratio", "truth_ratio_geometric")
_MEMBERSHIP = ("min_k", "min_k_plus", "loss", "zlib")  # all with the sign of a loss


@dataclass(frozen=True)
class Evaluation:
    """What one model makes of one set of rows: a value of each metric for each row.

    Args:
        values: Arrays by metric, in the rows' order; nan where a row has no value.
        settings: How they were measured.

    Example:
        >>> found = Evaluation({"probability": np.array([0.25, 0.75])}, {})
        >>> found.mean("probability").value
        0.5
    """

    values: Mapping[str, Float64[np.ndarray, " rows"]]
    settings: Mapping[str, Any]

    def __getitem__(self, name: str) -> Float64[np.ndarray, " rows"]:
        if name not in self.values:
            known = nearest(name, self.values)
            raise UsageError(f"{name!r} must be one of the metrics measured, such as {known}")
        return self.values[name]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def mean(
        self, name: str, statistic: Callable[..., Any] = np.mean, *, level: float = 0.95
    ) -> Measured:
        """The mean of a metric over rows, with its bootstrap interval.

        Args:
            name: The metric.
            statistic: Another than the mean: `looks_forgotten`, `looks_known`, `np.median`.
            level: Nominal coverage.

        Returns:
            The value and both ends, which are nan for a single row or an infinite value. Rows
            without a value are left out; without any, all three are nan.

        Raises:
            UsageError: No such metric.
        """
        known = self[name][~np.isnan(self[name])]
        if not known.size:
            return Measured(np.nan, np.nan, np.nan)
        value = float(statistic(known, axis=-1))
        if not np.isfinite(known).all():
            return Measured(value, np.nan, np.nan)
        interval = bootstrap(known, statistic, level=level)
        return Measured(value, interval.low, interval.high)

    def means(self) -> dict[str, Measured]:
        """The mean of every metric; of a truth ratio, both of its readings.

        "..., forgotten" is `looks_forgotten`, for rows to forget; "..., known" is `looks_known`,
        for rows to keep. The mean of the ratios themselves would say nothing.
        """
        found = {name: self.mean(name) for name in self.values if name not in _RATIOS}
        for name in (name for name in _RATIOS if name in self.values):
            found[f"{name}, forgotten"] = self.mean(name, looks_forgotten)
            found[f"{name}, known"] = self.mean(name, looks_known)
        return found

    def forget_quality(self, retrained: "Evaluation", *, by: str = "truth_ratio") -> float:
        """`forget_quality` of these rows beside the same rows under a retrained model.

        Args:
            retrained: Evaluation of a model that never saw the rows.
            by: The truth ratio to compare.

        Returns:
            A p-value; higher = forgotten.

        Raises:
            UsageError: One of the two lacks the truth ratio, another metric, or they were measured
                with other options.
        """
        _require_one_of(by, _RATIOS)
        mine, theirs = self[by], retrained[by]
        self._require_alike(retrained, by, "content")
        return forget_quality(mine, theirs)

    def privleak(
        self, holdout: "Evaluation | None", *, by: str = "min_k", reference: float = 0.5
    ) -> float:
        """`privleak` of these rows, which are to be forgotten, beside rows that were never seen.

        Args:
            holdout: Evaluation of the same model on rows like these that it never saw.
            by: The score that tells members: min_k, min_k_plus, loss or zlib.
            reference: AUROC of a model retrained without these rows.

        Returns:
            A percentage; 0 = as in a retrained model.

        Raises:
            UsageError: No holdout, it lacks the score, another metric, or it was measured with
                other options.
        """
        _require_one_of(by, _MEMBERSHIP)
        if holdout is not None:
            self._require_alike(holdout, by)
        return privleak(self[by], None if holdout is None else holdout[by], reference)

    def _require_alike(self, other: "Evaluation", by: str, *more: str) -> None:
        """Refuse to compare what was measured in other ways; what is not noted is not compared.

        Raises:
            UsageError: A setting that the metric depends on differs.
        """
        share = ["k"] if by.startswith("min_k") else []
        for name in ("template", "eos", "compat", *share, *more):
            held = [it.settings[name] for it in (self, other) if name in it.settings]
            if len(held) == 2 and held[0] != held[1]:
                raise UsageError(
                    f"both must be measured with the same {name}; one was with {held[0]!r}, the "
                    f"other with {held[1]!r}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Values, means and settings as strict JSON."""
        means = {name: found.to_dict() for name, found in self.means().items()}
        held = {"values": dict(self.values), "means": means, "settings": dict(self.settings)}
        return cast("dict[str, Any]", plain(held))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Evaluation":
        """The inverse of `to_dict`."""
        values = {name: np.array([*map(number, row)]) for name, row in data["values"].items()}
        return cls(values, dict(data["settings"]))


def evaluate(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Probe] | Sequence[Encoded],
    *,
    metrics: Sequence[str] | None = None,
    template: str = "auto",
    eos: bool | None = None,
    k: float = 0.4,
    batch: int = 16,
    cache: str | Path | None = None,
    compat: str | None = None,
) -> Evaluation:
    """Every metric of every row, for the price of one teacher-forced pass over them.

    Each row goes forward once with its answer, and once with each variant that a metric looks at:
    the question in other words, the answer in other words, false answers. All of them are sorted
    by length and go in one pass. Which way each metric is up stands in its own documentation.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; may be None where the rows are encoded.
        rows: Anything `read_rows` takes, with the variants that `read_probes` reads; or encoded
            rows, which have none.
        metrics: Names of metrics; all that the rows allow if left out. Of the row itself:
            probability, perplexity, loss, exact_memorisation, extraction_strength, min_k,
            min_k_plus, zlib. With paraphrased_question: rephrased_extraction_strength. With
            paraphrased_answer: paraphrase_probability. With perturbed_answer: truth_ratio
            (arithmetic), truth_ratio_geometric, choice_probability.
        template: "auto", "chat" or "plain", see `encode`; not for encoded rows.
        eos: Whether the end of the response counts as a token of it; not for encoded rows. If left
            out: no, but yes with compat.
        k: Share of the tokens that Min-K% and Min-K%++ look at, above 0 and at most 1.
        batch: Sequences in one forward pass, at least 1; the values do not depend on it.
        cache: A folder for the scores of this model. What lies there is not computed again.
        compat: "open-unlearning" computes as that tool does where it differs; left out: as the
            metrics are defined.

    Returns:
        The values of each row, with their means on demand.

    Raises:
        UsageError: Rows that cannot be read, encoded or taken by the model, or that lack what a
            metric needs; another option than these; a cache made by another model.

    Reference:
        Maini, Feng, Schwarzschild, Lipton and Kolter, "TOFU: A Task of Fictitious Unlearning for
        LLMs", COLM 2024, for the variants. Departures: by default the EOS is no part of the
        answer, and truth ratios are arithmetic.

    Example:
        >>> import torch
        >>> from types import SimpleNamespace
        >>> class Coin(nn.Module):
        ...     def forward(self, input_ids, **_):
        ...         return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 2))
        >>> found = evaluate(Coin(), None, [Encoded([0, 1, 0, 0], answer=1)])
        >>> found["probability"], found["extraction_strength"].round(2)
        (array([0.5]), array([0.67]))
    """
    if compat not in CONVENTIONS:
        raise UsageError(f"compat={compat!r} must be 'open-unlearning', or be left out")
    require_share(k)
    conventions = CONVENTIONS[compat]
    settings = {
        "template": _resolved(tokenizer, template),
        "eos": conventions.eos if eos is None else eos,
        "k": k,
        "compat": compat,
        "dtype": str(next((p.dtype for p in model.parameters()), None)),
    }
    deck, names = _deck(tokenizer, rows, metrics=metrics, settings=settings)

    def compute() -> dict[str, np.ndarray]:
        with progress("scoring", total=len(deck.encoded)) as advance:
            return columns(
                model,
                deck.encoded,
                deck.texts,
                score=lambda tokens: conventions.row_scores(tokens, k=k),
                batch=batch,
                advance=advance,
            )

    content = {"ids": [(row.ids, row.answer) for row in deck.encoded], "texts": deck.texts}
    if cache is None:
        found = compute()
    else:
        found = cached(cache, model, content={**content, **settings}, compute=compute)
    seen = Seen(deck.own(found), deck.variants(found), conventions)
    kept = {**settings, "content": _digest(content)}
    return Evaluation({name: METRICS[name].formula(seen) for name in names}, kept)


def _resolved(tokenizer: "transformers.PreTrainedTokenizerBase | None", template: str) -> str:
    """What "auto" comes to with this tokenizer."""
    if template != "auto":
        return template
    return "chat" if tokenizer is not None and tokenizer.chat_template else "plain"


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _require_one_of(by: str, known: Sequence[str]) -> None:
    if by not in known:
        raise UsageError(
            f"by={by!r} must be one of {', '.join(known)}; nearest: {nearest(by, known, count=1)}"
        )


def _deck(
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    rows: Source | Sequence[Probe] | Sequence[Encoded],
    *,
    metrics: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> tuple[Deck, list[str]]:
    """What goes forward, and the metrics that follow from it."""
    held: Any = rows if isinstance(rows, str | Path) else list(rows)
    if not isinstance(rows, str | Path) and any(isinstance(row, Encoded) for row in held):
        given = cast("list[Encoded]", held)
        return Deck(given, [answer_text(tokenizer, row) for row in given]), chosen(metrics, [])
    probes = read_probes(held)
    names = chosen(metrics, probes)
    kinds = kinds_for(names, probes)
    deck = lay_out(
        tokenizer,
        probes,
        kinds,
        template=settings["template"],
        eos=settings["eos"],
        decoded=settings["compat"] is not None,
    )
    return deck, names
