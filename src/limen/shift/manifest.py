"""Photos of anybody's two groups, listed in a file of comma-separated values or of JSON lines."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.shift.photos import ALIASES, Photos, two_groups

COLUMNS = ("path", "label", "group", "background", "class_id")
_PAIR = "pair_id"
_LINES = (".jsonl", ".ndjson")
_WORDS = (("common", "counter"), ALIASES)


def read_manifest(path: str | Path, *, groups: Sequence[str] | None = None) -> Photos:
    r"""Photos listed one a row: path, label, group, background, class_id and perhaps pair_id.

    `label` is the class's name, `class_id` the number of the model's column, from 0. A path that
    is not absolute is meant from the manifest's own folder. That the photos exist is checked when
    they are read; saved embeddings need none.

    Args:
        path: A .csv, .tsv, .jsonl or .ndjson file, in UTF-8.
        groups: What the first and the second group are called. None: common and counter, or easy
            and hard.

    Returns:
        The photos, in the order of the rows.

    Raises:
        UsageError: The file cannot be read or is of another kind, a column is missing, a value is
            empty, class_id is no whole number or has two labels, a group is neither of the two, or
            a class lacks one.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "mine.csv"
        >>> _ = path.write_text("path,label,group,background,class_id\n"
        ...                     "a.jpg,ostrich,common,ground,9\nb.jpg,ostrich,counter,water,9\n")
        >>> photos = read_manifest(path)
        >>> photos.labels.tolist(), photos.group.tolist(), photos.names
        ([9, 9], [0, 1], {9: 'ostrich'})
    """
    rows = _rows(Path(path))
    pair = _groups([row["group"] for row in rows], groups, path)
    names: dict[int, str] = {}
    for place, row in enumerate(rows):
        index = _index(row["class_id"], place, path)
        if names.setdefault(index, row["label"]) != row["label"]:
            raise UsageError(
                f"{path}: class_id {index} must have one label, got {names[index]!r} and "
                f"{row['label']!r} in row {place + 1}"
            )
    folder = Path(path).parent
    return Photos(
        [str(folder / row["path"]) for row in rows],
        np.array([int(row["class_id"]) for row in rows]),
        np.array([pair.index(row["group"]) for row in rows]),
        background=[row["background"] for row in rows], names=names, groups=pair,
        pair_id=tuple(row[_PAIR] for row in rows) if _PAIR in rows[0] else None,
    )  # fmt: skip


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows, every value as text.

    Raises:
        UsageError: As `read_manifest`.
    """
    kinds = {".csv": ",", ".tsv": "\t"} | dict.fromkeys(_LINES, "")
    if path.suffix.lower() not in kinds:
        raise UsageError(f"{path} must end in {', '.join(kinds)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{path} must be a manifest in UTF-8: {broken}") from broken
    mark = kinds[path.suffix.lower()]
    rows = list(_csv(text, mark, path)) if mark else list(_json(text, path))
    if not rows:
        raise UsageError(f"{path} must list one photo or more, got none")
    for place, row in enumerate(rows):
        wanted = COLUMNS + ((_PAIR,) if _PAIR in rows[0] else ())
        lacking = [name for name in wanted if name not in row]
        if lacking:
            raise UsageError(
                f"{path}: row {place + 1} must have {', '.join(COLUMNS)} (and {_PAIR} in every row "
                f"or in none); it lacks {', '.join(lacking)}"
            )
        empty = [name for name in COLUMNS if name != "background" and not row[name]]
        if empty:
            raise UsageError(f"{path}: row {place + 1} must not be empty in {', '.join(empty)}")
    return rows


def _csv(text: str, mark: str, path: Path) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(StringIO(text), delimiter=mark, skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    lacking = [name for name in COLUMNS if name not in names]
    if lacking:
        raise UsageError(
            f"{path} must have the columns {', '.join(COLUMNS)}; it lacks {', '.join(lacking)} and "
            f"has {', '.join(names) or 'none'}"
        )
    reader.fieldnames = names
    for row in reader:
        yield {
            str(name): str(value).strip()
            for name, value in row.items()
            if name is not None and value is not None
        }


def _json(text: str, path: Path) -> Iterator[dict[str, str]]:
    for place, line in enumerate(text.splitlines()):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except ValueError as broken:
            raise UsageError(f"{path}: line {place + 1} must be JSON: {broken}") from broken
        if not isinstance(row, dict):
            raise UsageError(f"{path}: line {place + 1} must be an object, got {line[:40]!r}")
        yield {str(name): _text(value) for name, value in row.items()}


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _index(value: str, place: int, path: str | Path) -> int:
    if not (value.isascii() and value.isdigit()):
        raise UsageError(
            f"{path}: class_id of row {place + 1} must be a whole number from 0, got {value!r}"
        )
    return int(value)


def _groups(
    found: Sequence[str], groups: Sequence[str] | None, path: str | Path
) -> tuple[str, str]:
    """The two groups in order.

    Raises:
        UsageError: A row's group is neither of them.
    """
    named = set(found)
    guess = next((words for words in _WORDS if named <= set(words)), _WORDS[0])
    pair = guess if groups is None else two_groups(groups)
    odd = [name for name in found if name not in pair]
    if odd:
        raise UsageError(
            f"{path}: group must be {pair[0]!r} or {pair[1]!r}, got {odd[0]!r}; name yours with "
            "groups=(first, second)"
        )
    return pair
