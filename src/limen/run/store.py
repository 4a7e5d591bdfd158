"""Files that are either whole or absent: write to a temporary name, flush, rename."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EISDIR
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from limen._core.errors import UsageError, WorkError

_NEST = ".limen-"  # marks our temporary folders among other hidden ones
_ASIDE = ".old"  # where the old folder waits; no finished folder is called that


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Works for a file and for a folder; a file never takes the place of a folder. A failure leaves
    what stood at `path` untouched and nothing else behind.

    Args:
        path: Where the finished file or folder shall stand; parents are made.

    Yields:
        The temporary path to write to (it does not exist yet).

    Raises:
        WorkError: The disk refused (no space, no permission).

    Example:
        >>> from tempfile import mkdtemp
        >>> target = Path(mkdtemp()) / "notes.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    nest: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        nest = Path(tempfile.mkdtemp(prefix=f".{path.name}{_NEST}", dir=path.parent))
        yield nest / path.name
        _flush(nest / path.name)
        _take_place(nest, path)
    except (OSError, SafetensorError) as failure:
        why = getattr(failure, "strerror", None) or failure
        raise WorkError(f"{path} could not be written: {why}") from failure
    finally:
        if nest is not None:
            shutil.rmtree(nest, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write strict JSON atomically; non-finite numbers become null."""
    write_text(path, json.dumps(strict(value), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        UsageError: The file is missing, cannot be read or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise UsageError(f"{path} must exist; there is no such file") from missing
    except OSError as refused:
        why = refused.strerror or refused
        raise UsageError(f"{path} must be a file that can be read: {why}") from refused
    except (json.JSONDecodeError, UnicodeDecodeError) as broken:
        raise UsageError(f"{path} must be JSON: {broken}") from broken


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed writer left behind: temporary nests, never finished files.

    A writer killed between the two renames that replace a folder had already finished: its new
    folder takes its place.
    """
    for nest in folder.glob(f".*{_NEST}????????"):
        if not nest.is_dir() or nest.is_symlink():
            continue
        target = folder / nest.name[1:].rpartition(_NEST)[0]
        new = nest / target.name
        if (nest / _ASIDE).exists() and new.exists() and not target.exists():
            new.rename(target)
        shutil.rmtree(nest, ignore_errors=True)


def strict(value: object) -> object:
    """The value as strict JSON can hold it: non-finite numbers become None."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if hasattr(value, "tolist"):
        return strict(value.tolist())
    return str(value) if isinstance(value, Path) else value


def _flush(path: Path) -> None:
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())


def _take_place(nest: Path, path: Path) -> None:
    # A folder cannot be replaced in one step, so the old one steps aside.
    new, old = nest / path.name, nest / _ASIDE
    if path.is_dir() and not path.is_symlink():
        if not new.is_dir():
            raise IsADirectoryError(EISDIR, "a folder stands there")
        path.rename(old)
        try:
            new.rename(path)
        except OSError:
            with suppress(OSError):
                old.rename(path)
            raise
    else:
        new.replace(path)
