"""Rows of text to forget or to keep, from files, data sets or plain Python."""

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen._core.errors import UsageError, WorkError
from limen._core.optional import require

_COLUMNS = (("prompt", "response"), ("question", "answer"), ("", "text"))
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_FILES = (".csv", ".json", ".jsonl")


@dataclass(frozen=True)
class Row:
    """A prompt and the response that is forgotten or kept.

    Args:
        prompt: What is asked; empty for a piece of running text.
        response: What the model answers; only its tokens are trained and scored.
        where: Where the row was read, for messages: "forget.jsonl:3".

    Example:
        >>> Row("Who wrote it?", "Nobody knows.").response
        'Nobody knows.'
    """

    prompt: str
    response: str
    where: str = ""


Source = str | Path | Iterable[Row | Mapping[str, Any]]


def read_rows(
    source: Source,
    *,
    split: str | None = None,
    config: str | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Read prompts and responses, in order.

    A row carries `prompt` and `response`, or `question` and `answer`, or `text` (an empty prompt,
    with the text as the response); the prompt may be left out, the response not.

    Args:
        source: A .jsonl, .json (a list, or JSON lines) or .csv file; a folder or hub id of a
            Hugging Face data set; or a list of rows or dicts.
        split: Split of a data set; may be left out where there is only one.
        config: Configuration of a data set, such as TOFU's "forget01".
        limit: Read at most this many rows, from the start; at least 1.

    Returns:
        At least one row.

    Raises:
        UsageError: No such file or data set, a broken line, a row without a response, no row.
        WorkError: The hub could not be reached.

    Example:
        >>> read_rows([{"question": "Two and two?", "answer": "Four."}])
        [Row(prompt='Two and two?', response='Four.', where='row 1')]
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit={limit} must be at least 1, or left out")
    if isinstance(source, str | Path):
        name, records = str(source), read_records(source, split=split, config=config)
    else:
        name, records = "the list of rows", ((f"row {i}", r) for i, r in enumerate(source, 1))
    rows = [_row(record, where) for where, record in itertools.islice(records, limit)]
    if not rows:
        raise UsageError(f"{name} must hold at least one row; it is empty")
    return rows


def overlap(forget: Iterable[Row], retain: Iterable[Row]) -> list[Row]:
    """The rows of `forget` that stand in `retain` too, white space around them aside.

    Example:
        >>> overlap([Row("a", "b"), Row("c", "d")], [Row("a ", "b")])
        [Row(prompt='a', response='b', where='')]
    """
    kept = {_content(row) for row in retain}
    return [row for row in forget if _content(row) in kept]


def _content(row: Row) -> tuple[str, str]:
    return row.prompt.strip(), row.response.strip()


def _row(record: object, where: str) -> Row:
    if isinstance(record, Row):
        return record
    if not isinstance(record, Mapping):
        kind = type(record).__name__
        raise UsageError(f"{where}: a row must have named columns (an object), got a {kind}")
    ask, answer = _pair(record, where)
    prompt, response = record.get(ask), record.get(answer)
    for name, value in ((ask, prompt), (answer, response)):
        if not isinstance(value, str | None):
            raise UsageError(f"{where}: {name} must be text, got {value!r}")
    if response and response.strip():
        return Row(prompt or "", response, where)
    raise UsageError(
        f"{where}: a row needs a response that is not empty, in the column {answer}; "
        f"{_columns(record)}"
    )


def _pair(record: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The columns of prompt and response, by which of them are there, whatever they hold.

    Raises:
        UsageError: None or several of them fit.
    """
    asked = [name for name in ("prompt", "question") if name in record]
    if "text" in record and asked:
        raise UsageError(
            f"{where}: text is a whole row and must not stand beside {asked[0]}; remove one"
        )
    found = [pair for pair in _COLUMNS if any(name in record for name in pair)]
    whole = [pair for pair in found if all(name in record for name in pair)]
    if whole or len(found) == 1:
        return (whole or found)[0]
    raise UsageError(
        f"{where}: a row needs prompt and response, question and answer, or text; "
        f"{_columns(record)}"
    )


def _columns(record: Mapping[str, Any]) -> str:
    names = ", ".join(sorted(str(name) for name in record if name is not None)) or "none"
    return f"its columns are {names}"


def read_records(
    source: str | Path, *, split: str | None, config: str | None
) -> Iterable[tuple[str, object]]:
    """Records of a file or a data set as they come, each with its place, for messages.

    Raises:
        UsageError: No such file or data set, or one that cannot be read.
    """
    path = Path(source).expanduser()
    if path.is_file():
        if split is not None or config is not None:
            raise UsageError(f"split and config belong to data sets; {source} is one file")
        return _file(path)
    hub = isinstance(source, str) and _HUB_ID.fullmatch(source) and path.suffix not in _FILES
    if path.is_dir() or hub:
        return _dataset(str(path) if path.is_dir() else str(source), split=split, config=config)
    raise UsageError(f"{source} must be a file or folder here, or a hub id org/name: no such file")


def _file(path: Path) -> Iterable[tuple[str, object]]:
    if path.suffix not in _FILES:
        raise UsageError(f"{path} must end in .jsonl, .json or .csv to be read as rows")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as broken:
        raise UsageError(f"{path} must be text in UTF-8: {broken}") from broken
    if path.suffix == ".csv":
        return _csv(text, path.name)
    return _json_list(text, path.name) if text.lstrip()[:1] == "[" else _json_lines(text, path.name)


def _csv(text: str, name: str) -> Iterator[tuple[str, object]]:
    reader = csv.DictReader(text.splitlines(keepends=True))
    line = 2
    try:
        for record in reader:
            yield f"{name}:{line}", record
            line = reader.line_num + 1
    except csv.Error as broken:
        raise UsageError(f"{name}:{line}: not CSV: {broken}") from broken


def _json_list(text: str, name: str) -> Iterator[tuple[str, object]]:
    try:
        records = json.loads(text)
    except json.JSONDecodeError as broken:
        raise UsageError(f"{name}:{broken.lineno}: not JSON: {broken.msg}") from broken
    yield from ((f"{name}: row {i}", record) for i, record in enumerate(records, 1))


def _json_lines(text: str, name: str) -> Iterator[tuple[str, object]]:
    # Not splitlines(): JSON strings may hold U+2028 and its kind as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except json.JSONDecodeError as broken:
                raise UsageError(f"{name}:{number}: not JSON: {broken.msg}") from broken
            yield f"{name}:{number}", record


def _dataset(name: str, *, split: str | None, config: str | None) -> Iterator[tuple[str, object]]:
    datasets = require("datasets", extra="llm")
    folder = Path(name)
    saved = any((folder / f).is_file() for f in ("dataset_dict.json", "state.json"))
    try:
        if saved:
            found = datasets.load_from_disk(name)
        else:
            found = datasets.load_dataset(name, name=config, split=split)
    except (datasets.exceptions.DatasetsError, FileNotFoundError, ValueError) as wrong:
        raise UsageError(f"{name} cannot be read as a data set: {_first_line(wrong)}") from wrong
    except (OSError, RuntimeError) as failed:
        raise WorkError(
            f"{name} could not be loaded as a data set: {_first_line(failed)}"
        ) from failed
    if isinstance(found, Mapping):
        found = _one_split(found, name=name, split=split)
    yield from ((f"{name}: row {i}", record) for i, record in enumerate(found, 1))


def _one_split(found: Mapping[str, Any], *, name: str, split: str | None) -> Any:
    if split is None and len(found) == 1:
        return next(iter(found.values()))
    if split is None or split not in found:
        raise UsageError(f"{name}: split must be one of {', '.join(found)}; got {split}")
    return found[split]


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
