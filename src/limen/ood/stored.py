"""Scores as plain state and back, by name: only limen's own are stored or rebuilt."""

import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from limen._core.errors import UsageError

_HOME = "limen.ood.scores."


def pack(score: Any) -> dict[str, Any]:
    """What `unpack` needs: the score's name, its options and what its fit found.

    Args:
        score: A function, a partial of one, or an object of `limen.ood.scores`.

    Returns:
        Plain values and tensors, for `limen.save`.

    Raises:
        UsageError: A score of another kind.

    Example:
        >>> from limen.ood.scores.energy import energy
        >>> pack(partial(energy, temperature=2.0))["options"]
        {'temperature': 2.0}
    """
    inner, options = (
        (score.func, dict(score.keywords)) if isinstance(score, partial) else (score, {})
    )
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    if not str(named.__module__).startswith(_HOME) or (isinstance(score, partial) and score.args):
        raise UsageError(f"a stored score must be one of {_HOME[:-1]}, got {score!r}")
    record = {"kind": f"{named.__module__}.{named.__qualname__}", "options": options}
    if named is inner:
        return {**record, "state": None}
    if hasattr(inner, "to_dict"):
        return {**record, "state": inner.to_dict()}
    if not is_dataclass(inner):
        raise UsageError(f"a stored score must have to_dict or be a dataclass, got {score!r}")
    return {**record, "state": {f.name: getattr(inner, f.name) for f in fields(inner)}}


def unpack(record: Mapping[str, Any]) -> Any:
    """The score that `pack` described.

    Raises:
        UsageError: It names something that is no score of limen's.

    Example:
        >>> from limen.ood.scores.msp import msp
        >>> unpack(pack(msp)) is msp
        True
    """
    module, _, name = str(record["kind"]).rpartition(".")
    found = None
    if module.startswith(_HOME) and name.isidentifier() and not name.startswith("_"):
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError:
            found = None
    if found is None or found.__module__ != module:
        raise UsageError(f"a stored score must be one of {_HOME[:-1]}, got {record['kind']!r}")
    if record["state"] is None:
        return partial(found, **record["options"]) if record["options"] else found
    rebuild = getattr(found, "from_dict", None)
    return rebuild(record["state"]) if rebuild else found(**record["state"])
