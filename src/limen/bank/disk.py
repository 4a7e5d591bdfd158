"""A set on the disk: one folder of safetensors files, written in pieces, read by memory maps."""

import hashlib
import json
import re
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from limen._core.errors import UsageError, WorkError
from limen.bank.outputs import Outputs
from limen.run.store import read_json, replacing, write_json

_START = 1024  # where the numbers begin; safetensors lets a header be padded with blanks
_TYPES: dict[str, np.dtype] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
_RECORD = "set.json"


def folder_of(name: str) -> str:
    """The folder's name for a set, whatever signs the set's name has.

    Example:
        >>> folder_of("far/svhn")
        'far-svhn-b2856a04'
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class SetWriter:
    """Writes a set batch by batch in constant memory; the folder appears when it is whole.

    Args:
        bank: The bank's folder.
        name: The set's name.

    Raises:
        WorkError: The disk refused.
    """

    def __init__(self, bank: Path, name: str):
        self.target = bank / folder_of(name)
        self._rows: dict[str, int] = {}
        self._files: dict[str, BinaryIO] = {}
        self._kinds: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        # Named so that run.store.clear_leftovers takes what a killed writer leaves.
        self._nest = Path(tempfile.mkdtemp(prefix=f".{self.target.name}.limen-", dir=bank))

    def __enter__(self) -> "SetWriter":
        (self._nest / "set").mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._nest, ignore_errors=True)

    def add(self, arrays: dict[str, np.ndarray]) -> None:
        """Append rows to each array.

        Raises:
            WorkError: The disk refused.
        """
        try:
            for name, array in arrays.items():
                self._append(name, array)
        except OSError as failure:
            raise WorkError(f"{self.target} could not be written: {failure.strerror}") from failure

    def finish(self, record: dict[str, Any]) -> None:
        """Complete the headers and put the folder in its place.

        Raises:
            WorkError: The disk refused.
        """
        with replacing(self.target) as temporary:
            for name, file in self._files.items():
                file.seek(0)
                file.write(_header(name, self._kinds[name], self._rows[name]))
                file.close()
            write_json(self._nest / "set" / _RECORD, record)
            (self._nest / "set").rename(temporary)

    def _append(self, name: str, array: np.ndarray) -> None:
        if name not in self._files:
            path = self._nest / "set" / f"{name}.safetensors"
            self._files[name] = path.open("wb")
            self._files[name].write(b" " * _START)
            kind = np.dtype("<i8" if array.dtype.kind == "i" else "<f4")
            self._kinds[name] = (kind, array.shape[1:])
        kind, _ = self._kinds[name]
        self._files[name].write(np.ascontiguousarray(array, kind).data)
        self._rows[name] = self._rows.get(name, 0) + len(array)


def read_set(folder: Path) -> tuple[Outputs, dict[str, Any]]:
    """A set's arrays, memory-mapped, and its record.

    Args:
        folder: What `SetWriter` wrote.

    Raises:
        UsageError: The folder is not whole.
    """
    arrays = {file.stem: _mapped(file) for file in sorted(folder.glob("*.safetensors"))}
    record: dict[str, Any] = read_json(folder / _RECORD)
    outputs = Outputs(**arrays)
    if len(outputs) != record.get("rows"):
        raise UsageError(
            f"{folder} must hold {record.get('rows')} rows, it holds {len(outputs)}; "
            "delete it and extract again"
        )
    return outputs, record


def records(bank: Path) -> dict[Path, dict[str, Any]]:
    """The finished sets' folders and records, in the order in which they were made."""
    found = {file.parent: read_json(file) for file in bank.glob(f"*/{_RECORD}")}
    return dict(sorted(found.items(), key=lambda item: item[1]["order"]))


def _header(name: str, kind: tuple[np.dtype, tuple[int, ...]], rows: int) -> bytes:
    dtype, row = kind
    letters = next(key for key, known in _TYPES.items() if known == dtype)
    shape = [rows, *row]
    size = int(np.prod(shape)) * dtype.itemsize
    entry = {name: {"dtype": letters, "shape": shape, "data_offsets": [0, size]}}
    text = json.dumps(entry).encode().ljust(_START - 8)
    return struct.pack("<Q", len(text)) + text


def _mapped(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            (entry,) = json.loads(file.read(min(length, _START))).values()
        dtype, shape = _TYPES[entry["dtype"]], tuple(entry["shape"])
        # Copy on write: torch warns of arrays that cannot be written, and the file stays as it is.
        # A file that was cut short cannot be mapped, which is a ValueError.
        return np.asarray(np.memmap(path, dtype, mode="c", offset=8 + length, shape=shape))
    except (OSError, ValueError, KeyError, struct.error) as broken:
        raise UsageError(
            f"{path} must be a safetensors file that a bank wrote: {broken}; "
            "delete its folder and extract again"
        ) from broken
