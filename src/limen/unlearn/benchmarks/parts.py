"""The named parts of a benchmark, from a local folder or the hub, with their columns checked."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from limen._core.errors import UsageError, WorkError, nearest
from limen.unlearn.data import read_records

_ENDINGS = (".json", ".jsonl", ".csv")
_KINDS = {"text": "text", "texts": "a list of texts", "number": "a whole number"}


def read_part(
    part: str,
    *,
    data: str | Path | None,
    hub: str,
    columns: Mapping[str, str],
    config: str | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Read one part of a benchmark, in order.

    Args:
        part: Its file in a folder, without the ending: "forget01", "knowmem/forget_qa".
        data: A folder with such files (JSON, JSON lines or CSV), or a copy of the hub's; None
            reads the hub.
        hub: Hub id of the data set.
        columns: What each record must hold: "text", "texts" or "number", by name.
        config: Configuration on the hub; None is `part`.
        split: Split on the hub.
        limit: Read at most this many records, from the start; at least 1.

    Returns:
        At least one record, with a further entry `where`, for messages.

    Raises:
        UsageError: No such folder or part, a record without a column, no record.
        WorkError: The hub could not be reached.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "forget01.jsonl").write_text('{"question": "Who?", "answer": "Ada."}')
        >>> columns = {"question": "text", "answer": "text"}
        >>> read_part("forget01", data=folder, hub="", columns=columns)[0]["answer"]
        'Ada.'
    """
    require_limit(limit)
    source, whole = _located(part, data=data, hub=hub)
    asked = (None, None) if whole else (config or part, split)
    try:
        rows = read_records(source, config=asked[0], split=asked[1])
        found = [_checked(record, where, columns) for where, record in islice(rows, limit)]
    except WorkError as failed:
        if data is not None:
            raise
        raise WorkError(f"{failed}; a copy in a folder needs no network: data=FOLDER") from None
    if not found:
        raise UsageError(f"{source} must hold at least one record; it is empty")
    return found


def require_limit(limit: int | None) -> None:
    """Refuse a number of rows below 1.

    Raises:
        UsageError: It is.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit={limit} must be at least 1, or None for all")


def _located(part: str, *, data: str | Path | None, hub: str) -> tuple[str | Path, bool]:
    """Where the part is read, and whether that is a file of its own.

    Raises:
        UsageError: The folder is not there, or holds no such part.
    """
    if data is None:
        return hub, False
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise UsageError(f"data={str(data)!r} must be a folder; there is none")
    file = next((f for e in _ENDINGS if (f := folder / f"{part}{e}").is_file()), None)
    if file is not None:
        return file, True
    if (folder / "README.md").is_file():  # a copy of the hub's, which names its files there
        return str(folder), False
    held = {
        str(f.relative_to(folder).with_suffix("")) for e in _ENDINGS for f in folder.rglob(f"*{e}")
    }
    near = f"the nearest it holds are {nearest(part, held)}" if held else "it holds none"
    raise UsageError(f"{folder} must hold {part}.json or {part}.jsonl; {near}")


def _checked(record: object, where: str, columns: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise UsageError(f"{where}: a record must have named columns, got {record!r}")
    for name, kind in columns.items():
        if name not in record:
            held = ", ".join(sorted(map(str, record))) or "none"
            raise UsageError(f"{where} must have the column {name}; its columns are {held}")
        if not _is(record[name], kind):
            raise UsageError(f"{where}: {name} must be {_KINDS[kind]}, got {record[name]!r}")
    return {**record, "where": where}


def _is(value: object, kind: str) -> bool:
    if kind == "number":
        return isinstance(value, int)
    if kind == "text":
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, list) and bool(value) and all(_is(text, "text") for text in value)
