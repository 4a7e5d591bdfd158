"""Rows of features and columns of tables from files, refused in the words of an option."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limen._core.errors import UsageError, nearest

FILE = "an array of an .npz (x.npz/features), .npy, or a .csv of numbers"
TABLE = "a .csv, .tsv or .jsonl with named columns"
_ENDS = (".npz", ".npy", ".csv", ".tsv")


@dataclass(frozen=True, eq=False)
class Columns:
    """A table's columns by name, as text.

    Attributes:
        source: The file.
        columns: Name -> a text for each row.
    """

    source: str
    columns: Mapping[str, Sequence[str]]

    def text(self, name: str, *, option: str, empty: bool = False) -> list[str]:
        """A column as it stands; `empty` lets cells be empty.

        Raises:
            UsageError: No such column, or an empty cell.
        """
        if name not in self.columns:
            raise UsageError(
                f"{option} {name!r} must be a column of {self.source}; nearest: "
                f"{nearest(name, self.columns)}"
            )
        values = list(self.columns[name])
        if "" in values and not empty:
            row = values.index("")
            raise UsageError(
                f"{option} {name!r} must have a value in every row; row {row} has none"
            )
        return values

    def numbers(self, name: str, *, option: str) -> np.ndarray:
        """A column as numbers; yes, true, no and false are 1 and 0.

        Raises:
            UsageError: No such column, or something that is no finite number.
        """
        words = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
        values = self.text(name, option=option)
        found = np.empty(len(values))
        for row, value in enumerate(values):
            try:
                found[row] = float(words.get(value.lower(), value))
            except ValueError:
                raise UsageError(
                    f"{option} {name!r} must hold numbers; row {row} has {value!r}"
                ) from None
        if not np.isfinite(found).all():
            raise UsageError(f"{option} {name!r} must hold finite numbers only")
        return found


def table(path: Path, *, option: str) -> Columns:
    """A table with named columns.

    Raises:
        UsageError: It cannot be read, has no rows, or rows of other columns.
    """
    if not path.is_file():
        raise UsageError(f"{option} {path} must be {TABLE}; there is no such file")
    if path.suffix == ".jsonl":
        return _objects(path, option)
    mark = "\t" if path.suffix == ".tsv" else ","
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file, delimiter=mark) if row]
    except (UnicodeDecodeError, csv.Error) as wrong:
        raise UsageError(f"{option} {path} must be {TABLE}: {wrong}") from None
    if len(rows) < 2:
        raise UsageError(f"{option} {path} must hold names of columns and a row at least")
    odd = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if odd is not None:
        raise UsageError(
            f"{option} {path} must have {len(rows[0])} cells in every row; row {odd} has "
            f"{len(rows[odd])}"
        )
    names = [name.strip() for name in rows[0]]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UsageError(f"{option} {path} must name each column once; {twice!r} stands twice")
    return Columns(str(path), {
        name: [row[i].strip() for row in rows[1:]] for i, name in enumerate(names)
    })  # fmt: skip


def _objects(path: Path, option: str) -> Columns:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    except ValueError as wrong:
        raise UsageError(f"{option} {path} must hold a JSON object a line: {wrong}") from None
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{option} {path} must hold a JSON object a line")
    names = list(rows[0])
    return Columns(
        str(path), {name: ["" if row.get(name) is None else str(row[name]) for row in rows]
                    for name in names}
    )  # fmt: skip


def rows(text: str, *, option: str) -> np.ndarray:
    """Rows of finite numbers, (rows, width).

    Args:
        text: A file; of an .npz with several arrays one of them, x.npz/features.
        option: What an error speaks of.

    Raises:
        UsageError: It cannot be read, or is no rows of finite numbers.
    """
    path, key = _split(text)
    if not path.is_file():
        raise UsageError(f"{option} {text} must be {FILE}; there is no such file")
    if path.suffix not in _ENDS:
        raise UsageError(f"{option} {text} must be {FILE}")
    try:
        found = np.asarray(_read(path, key, option=f"{option} {text}"))
        found = found.astype(np.float64)
    except (ValueError, TypeError, OSError) as wrong:
        if isinstance(wrong, UsageError):
            raise
        raise UsageError(f"{option} {text} must hold numbers: {wrong}") from None
    if found.ndim < 2 or not len(found):
        raise UsageError(f"{option} {text} must hold rows of features, got shape {found.shape}")
    found = found.reshape(len(found), -1)
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).any(1).sum())
        told = "1 row does not: drop it" if bad == 1 else f"{bad} rows do not: drop them"
        raise UsageError(f"{option} {text} must hold finite numbers; {told}")
    return found


def column(text: str, *, option: str, length: int) -> np.ndarray:
    """One value for each row: an array of an .npz, .npy, or a column of a table (x.csv/label).

    Raises:
        UsageError: It cannot be read, or is of another length.
    """
    path, key = _split(text)
    if path.suffix in (".csv", ".tsv", ".jsonl"):
        held = table(path, option=option)
        found = np.array(held.text(key or next(iter(held.columns)), option=option))
    elif path.is_file() and path.suffix in (".npz", ".npy"):
        found = np.asarray(_read(path, key, option=f"{option} {text}")).ravel()
    else:
        raise UsageError(
            f"{option} {text} must be a column (x.csv/label), .npy or an array of an .npz"
        )
    if len(found) != length:
        raise UsageError(
            f"{option} {text} must have a value for each of {length} rows, got {len(found)}"
        )
    return found


def pairs(given: Sequence[str], *, option: str) -> dict[str, str]:
    """NAME=PATH, each name once.

    Raises:
        UsageError: Another form, or a name twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{option} {text!r} must read NAME=PATH")
        if name in found:
            raise UsageError(f"{option} {name!r} is given twice; give each name once")
        found[name] = path
    return found


def _split(text: str) -> tuple[Path, str | None]:
    """A file, and what is behind it."""
    whole = Path(text)
    if whole.exists() or whole.parent == whole or whole.parent.suffix == "":
        return whole, None
    return whole.parent, whole.name


def _read(path: Path, key: str | None, *, option: str) -> np.ndarray:
    if path.suffix == ".npy":
        found: np.ndarray = np.load(path, allow_pickle=False)
        return found
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            if key is None and len(names) != 1:
                raise UsageError(f"{option} holds {', '.join(names)}; name one: {path}/{names[0]}")
            if key is not None and key not in names:
                raise UsageError(f"{option} must be one of {', '.join(names)}")
            one: np.ndarray = archive[key or names[0]]
            return one
    held = table(path, option=option.removesuffix(f" {path}"))
    return np.stack([held.numbers(name, option=f"{option}, column") for name in held.columns], 1)
