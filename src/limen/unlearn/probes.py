"""A row and its variants: the same question in other words, true and false answers to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from limen._core.errors import UsageError
from limen.unlearn.data import Row, Source, read_records, read_rows

# Our name of each kind of variant, and the columns it is read from.
COLUMNS = {
    "prompts": ("paraphrased_prompt", "paraphrased_question"),
    "paraphrased": ("paraphrased_response", "paraphrased_answer"),
    "perturbed": ("perturbed_response", "perturbed_answer"),
}


@dataclass(frozen=True)
class Probe:
    """A row with its variants; each tuple may be empty.

    Args:
        row: The prompt and the response.
        prompts: The prompt in other words; the response stays.
        paraphrased: The response in other words.
        perturbed: Responses that are false.

    Example:
        >>> Probe(Row("Two and two?", "Four."), perturbed=("Five.", "Six.")).texts("perturbed")[1]
        Row(prompt='Two and two?', response='Six.', where='perturbed_answer')
    """

    row: Row
    prompts: tuple[str, ...] = ()
    paraphrased: tuple[str, ...] = ()
    perturbed: tuple[str, ...] = ()

    def texts(self, kind: str) -> list[Row]:
        """The variants of one kind as rows."""
        ask, answer = self.row.prompt, self.row.response
        where = f"{self.row.where}, {COLUMNS[kind][1]}".lstrip(", ")
        if kind == "prompts":
            return [Row(other, answer, where) for other in self.prompts]
        return [Row(ask, other, where) for other in getattr(self, kind)]


def read_probes(source: Source | Sequence[Probe]) -> list[Probe]:
    """Read rows with their variants, in order.

    Beside what `read_rows` reads, a row may carry `paraphrased_question` (or `_prompt`),
    `paraphrased_answer` (or `_response`) and `perturbed_answer` (or `_response`), each a text or a
    list of texts.

    Args:
        source: Anything `read_rows` takes, or probes.

    Returns:
        At least one probe.

    Raises:
        UsageError: As `read_rows`; a variant that is not text; a kind of variant that some rows
            carry and others lack.

    Example:
        >>> row = {"question": "Two and two?", "answer": "Four.", "perturbed_answer": ["Five."]}
        >>> read_probes([row])[0].perturbed
        ('Five.',)
    """
    given: Any = source if isinstance(source, str | Path) else list(source)
    if isinstance(given, list) and given and all(isinstance(row, Probe) for row in given):
        found = cast("list[Probe]", given)
    else:
        rows = read_rows(cast("Source", given))
        columns = _columns(cast("Source", given))
        found = [
            Probe(row, **{kind: _variants(record, kind, row.where) for kind in COLUMNS})
            for row, record in zip(rows, columns, strict=True)
        ]
    for kind in COLUMNS:
        _require_all_or_none(found, kind)
    return found


def _columns(source: Source) -> list[Mapping[str, Any]]:
    """The columns of each row, as they are; none for a row that is a `Row`."""
    if isinstance(source, str | Path):
        found = [record for _, record in read_records(source, split=None, config=None)]
    else:
        found = list(source)
    return [record if isinstance(record, Mapping) else {} for record in found]


def _variants(record: Mapping[str, Any], kind: str, where: str) -> tuple[str, ...]:
    for column in COLUMNS[kind]:
        value = record.get(column)
        texts = [value] if isinstance(value, str) else value
        if texts is None:
            continue
        if not _is_texts(texts):
            raise UsageError(f"{where}: {column} must be text or a list of texts, got {value!r}")
        return tuple(texts)
    return ()


def _is_texts(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(t, str) and t.strip() for t in value)


def _require_all_or_none(probes: Sequence[Probe], kind: str) -> None:
    bare = [number for number, probe in enumerate(probes, 1) if not getattr(probe, kind)]
    if bare and len(bare) < len(probes):
        raise UsageError(
            f"row {bare[0]} has no {COLUMNS[kind][1]} and others do ({len(bare)} of "
            f"{len(probes)} rows lack it); give it to every row or to none"
        )
