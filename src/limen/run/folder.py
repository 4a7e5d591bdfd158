"""A run directory: one configuration, one user at a time, and a log that survives a kill."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from limen._core.errors import UsageError, WorkError
from limen.run.provenance import environment
from limen.run.store import clear_leftovers, read_json, strict, write_json, write_text

_LOCK = ".lock"
_held: dict[Path, int] = {}


class RunFolder:
    """`spec.json result.json log.jsonl environment.json checkpoint/ model/ report.html`.

    The same command again continues the run; another configuration is refused. Every file is
    whole or absent, so the folder may be killed at any moment.

    Args:
        into: The folder.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = RunFolder(Path(mkdtemp()) / "run")
        >>> with folder.opened({"seed": 0}):
        ...     folder.log({"step": 0, "loss": 1.5})
        >>> folder.rows()
        [{'step': 0, 'loss': 1.5}]
    """

    def __init__(self, into: str | Path):
        self.path = Path(into)

    @property
    def result(self) -> dict[str, Any] | None:
        """The finished run's result, or None while there is none."""
        file = self.path / "result.json"
        return read_json(file) if file.is_file() else None

    def check(self, spec: Mapping[str, Any]) -> None:
        """Refuse a folder that holds something else; touches nothing.

        Raises:
            UsageError: The folder belongs to another configuration, or is no run directory.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"into={self.path} must be a folder; a file stands there")
        mine = self.path / "spec.json"
        if mine.is_file():
            _compare(self.path, read_json(mine), json.loads(json.dumps(dict(spec))))
        elif self.path.is_dir() and any(not p.name.startswith(".") for p in self.path.iterdir()):
            raise UsageError(
                f"into={self.path} must be empty or a limen run; it holds other files: name another"
            )

    @contextmanager
    def opened(self, spec: Mapping[str, Any]) -> Iterator["RunFolder"]:
        """Check, lock, and write `spec.json` and `environment.json` where they are missing.

        Wrong use that shows only inside takes them away again if nothing else was written, and the
        folder with them if it was made here.

        Args:
            spec: Everything that decides the numbers; JSON values.

        Yields:
            This folder, locked.

        Raises:
            UsageError: Another configuration's folder, or one in use.
        """
        self.check(spec)
        made = not self.path.exists()
        with held(self.path):
            self.check(spec)  # again: another run may have begun while we waited for the lock
            clear_leftovers(self.path)
            # The specification first: a folder that has it is known to be a run's.
            first = {"spec.json": spec, "environment.json": environment()}
            absent = [name for name in first if not (self.path / name).is_file()]
            for name in absent:
                write_json(self.path / name, first[name])
            try:
                yield self
            except UsageError:
                self._undo(absent, made=made)
                raise

    def _undo(self, written: list[str], *, made: bool) -> None:
        """Take away what `opened` wrote, if it is all that there is."""
        if {file.name for file in self.path.iterdir()} - {_LOCK} != set(written):
            return
        for name in [*written, _LOCK] if made else written:
            (self.path / name).unlink(missing_ok=True)
        if made:
            self.path.rmdir()

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result: from now on the run counts as done."""
        write_json(self.path / "result.json", result)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row to `log.jsonl`; non-finite numbers become null.

        Raises:
            WorkError: The disk refused.
        """
        try:
            with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(_line(row))
        except OSError as failure:
            why = f"{self.path / 'log.jsonl'} could not be written: {failure.strerror}"
            raise WorkError(why) from failure

    def rows(self) -> list[dict[str, Any]]:
        """The log so far; a last line cut short by a kill is left out."""
        file = self.path / "log.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.is_file() else []
        return [json.loads(line) for line in lines]

    def rewind(self, rows: list[dict[str, Any]]) -> None:
        """Replace the log, atomically: what a killed run wrote after its checkpoint goes."""
        write_text(self.path / "log.jsonl", "".join(map(_line, rows)))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a folder's lock; the same process may hold it twice, another one may not.

    The operating system drops the lock when the process ends, however it ends.

    Args:
        path: The folder; made if absent.

    Yields:
        Nothing.

    Raises:
        UsageError: Another process holds it, or the folder cannot be made.
    """
    key = path.resolve()
    if _held.get(key):
        _held[key] += 1
        try:
            yield
        finally:
            _held[key] -= 1
        return
    with _lock_file(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"into={path} is in use by another run; wait or name another"
            ) from None
        _held[key] = 1
        try:
            yield
        finally:
            _held.pop(key)


def _lock_file(path: Path) -> TextIO:
    try:
        path.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644), "r+")
    except OSError as failure:
        if failure.errno == errno.ENOSPC:
            raise WorkError(f"{path} could not be written: {failure.strerror}") from None
        raise UsageError(
            f"into={path} must be a folder we may write to: {failure.strerror}"
        ) from None


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(strict(row), allow_nan=False) + "\n"


def _compare(path: Path, theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    for key in [*theirs, *(key for key in mine if key not in theirs)]:
        if theirs.get(key) != mine.get(key):
            raise UsageError(
                f"into={path} belongs to another configuration: {key} was "
                f"{json.dumps(theirs.get(key))} there and is {json.dumps(mine.get(key))} now; "
                "name another folder or repeat the first command"
            )
