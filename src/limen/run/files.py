"""`limen.save` and `limen.load`: anything fitted, as JSON or safetensors and nothing else."""

import importlib
import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from limen._core.errors import UsageError
from limen.run.store import read_json, write_text
from limen.run.tree import read_tree, write_tree

_FORMAT = 1


@runtime_checkable
class Saveable(Protocol):
    """What `save` takes: `to_dict()` gives its state, the class's `from_dict` rebuilds it."""

    def to_dict(self) -> dict[str, Any]:
        """The state, as numbers, strings, lists, dicts, arrays and tensors."""


def save(obj: Saveable, path: str | Path) -> Path:
    """Write a fitted limen object: JSON when JSON can hold it exactly, else safetensors.

    The file is written under a temporary name and renamed; an interrupted save loses nothing.

    Args:
        obj: A Threshold, a Tradeoff, or anything else of limen's with `to_dict`.
        path: The file to write; parents are made.

    Returns:
        The path.

    Raises:
        UsageError: `obj` is not one of limen's saveable objects.

    Example:
        >>> import limen, tempfile
        >>> path = save(limen.Tradeoff(price=[0.0, 0.1], gain=[0.0, 0.9]), tempfile.mktemp())
        >>> load(path).at(price=0.1).gain
        0.9
    """
    record = {"limen": _FORMAT, **packed(obj)}
    if _is_json(record["state"]):
        write_text(Path(path), json.dumps(record, indent=2, allow_nan=False) + "\n")
    else:
        write_tree(Path(path), record)
    return Path(path)


def load(path: str | Path) -> Any:
    """Read back what `save` wrote. Nothing is unpickled; only limen's own classes are rebuilt.

    Args:
        path: A file that `save` wrote.

    Returns:
        The object.

    Raises:
        UsageError: No such file, or not one of ours.

    Example:
        >>> import limen, tempfile
        >>> path = save(limen.Threshold(alpha=0.5).fit([1.0, 2.0, 3.0]), tempfile.mktemp())
        >>> load(path).level
        2.0
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path} must be a file written by limen.save; there is no such file")
    with path.open("rb") as file:
        is_json = file.read(1) == b"{"
    record = read_json(path) if is_json else read_tree(path)
    if not isinstance(record, dict) or "kind" not in record or "state" not in record:
        raise UsageError(f"{path} must be a file written by limen.save; it holds something else")
    return unpacked(record, where=str(path))


def packed(obj: Saveable) -> dict[str, Any]:
    """A fitted limen object as plain state, to stand within another one's `to_dict`.

    Args:
        obj: Anything that `save` takes.

    Returns:
        Its "kind" and "state".

    Raises:
        UsageError: `obj` is not one of limen's saveable objects.

    Example:
        >>> import limen
        >>> packed(limen.Tradeoff(price=[0.0], gain=[1.0]))["kind"]
        'limen.measure.tradeoff.Tradeoff'
    """
    kind = f"{type(obj).__module__}.{type(obj).__qualname__}"
    ours = kind.startswith("limen.")  # another class's file could not be read back
    if not ours or not isinstance(obj, Saveable) or not hasattr(type(obj), "from_dict"):
        raise UsageError(f"obj must be limen's and have to_dict and from_dict; got {kind}")
    return {"kind": kind, "state": obj.to_dict()}


def unpacked(record: Mapping[str, Any], *, where: str = "a record") -> Any:
    """The object that `packed` described; only limen's own classes are rebuilt.

    Args:
        record: "kind" and "state".
        where: What an error calls it.

    Returns:
        The object.

    Raises:
        UsageError: It names something else than a saveable class of limen's.

    Example:
        >>> import limen
        >>> unpacked(packed(limen.Tradeoff(price=[0.0], gain=[1.0]))).at(price=0.0).gain
        1.0
    """
    return _class(str(record["kind"]), where).from_dict(record["state"])


def _class(kind: str, where: str) -> Any:
    module, _, name = kind.rpartition(".")
    found = None
    if module.split(".")[0] == "limen" and name.isidentifier():
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError:
            found = None
    if not isinstance(found, type) or found.__module__ != module or not hasattr(found, "from_dict"):
        raise UsageError(f"{where} must name a class of limen's, got {kind!r}")
    return found


def _is_json(value: object) -> bool:
    """Whether JSON gives the value back as it is."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_json(item) for k, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, bool | int | str)
