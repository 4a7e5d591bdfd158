"""A bank's folder: `bank.json`, `head.safetensors`, and a folder of arrays for each set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from limen._core.errors import UsageError
from limen.bank.disk import SetWriter, folder_of, read_set, records
from limen.bank.forwarding import Source
from limen.bank.looking import Looking
from limen.run.folder import held
from limen.run.store import clear_leftovers, read_json, replacing, write_json

_FORMAT = 1
_JSON, _HEAD = "bank.json", "head.safetensors"
_WORDS = {
    "model": "model (its layers or weights differ)",
    "head": "head",
    "powers": "powers of grams",
    "maps": "layers of grams",
    "dtype": "dtype",
}


def extend(path: Path, network: Looking, sources: Sequence[Source]) -> None:
    """Forward into the folder every set that it does not hold yet.

    Args:
        path: The folder; made where it is absent.
        network: What answers.
        sources: The sets.

    Raises:
        UsageError: The folder holds another bank, other data under a set's name, or other things;
            or a set is not good.
        WorkError: The disk refused.
    """
    _refuse_strangers(path)
    with held(path):
        clear_leftovers(path)
        settings = network.settings()
        if (path / _JSON).is_file():
            _compare(path, _header(path), settings)
        done = {record["name"]: record for record in records(path).values()}
        for source in sources:
            if source.name in done and (how := source.difference(done[source.name])):
                raise UsageError(
                    f"set {source.name!r} in into={path} was made of other data: {how}; "
                    "name another folder or another set"
                )
        order = 1 + max((record["order"] for record in done.values()), default=0)
        with network.ready():
            missing = [source for source in sources if source.name not in done]
            for number, source in enumerate(missing, start=order):
                _forward(path, network, source, settings=settings, order=number)


def read(path: Path, *, model: str | None) -> dict[str, Any]:
    """What `FeatureBank` is built of, arrays memory-mapped.

    Args:
        path: The folder.
        model: The model's hash that is expected; None: any.

    Raises:
        UsageError: There is no bank, or one of another model.
    """
    if not (path / _JSON).is_file():
        raise UsageError(f"{path} must be a bank's folder; it has no {_JSON}")
    header = _header(path)
    if model not in (None, header["model"]):
        _compare(path, header, {"model": model})
    found = dict(map(_named, records(path)))
    if not found:
        raise UsageError(f"{path} must hold a set at least; extract again")
    return {
        "sets": {name: outputs for name, (outputs, _) in found.items()},
        "records": {name: record for name, (_, record) in found.items()},
        "layers": tuple(header["layers"]),
        "model": header["model"],
        **(load_file(path / _HEAD) if (path / _HEAD).is_file() else {}),
    }


def _forward(
    path: Path, network: Looking, source: Source, *, settings: dict[str, Any], order: int
) -> None:
    with SetWriter(path, source.name) as writer:
        record = source.forward(network, writer)
        if not (path / _JSON).is_file():  # only now the network has shown what it is
            _describe(path, network, settings)
        writer.finish({"order": order, **record})


def _describe(path: Path, network: Looking, settings: dict[str, Any]) -> None:
    head = {"weight": network.weight, "bias": network.bias}
    arrays = {name: array for name, array in head.items() if array is not None}
    if arrays:
        with replacing(path / _HEAD) as temporary:
            save_file(arrays, temporary)
    write_json(path / _JSON, {"limen": _FORMAT, "layers": list(network.layers), **settings})


def _named(folder: Path) -> tuple[str, Any]:
    outputs, record = read_set(folder)
    if folder_of(record["name"]) != folder.name:
        raise UsageError(f"{folder} must be called {folder_of(record['name'])}; rename it back")
    return record["name"], (outputs, record)


def _header(path: Path) -> dict[str, Any]:
    header = read_json(path / _JSON)
    if not isinstance(header, dict) or header.get("limen") != _FORMAT:
        raise UsageError(f"{path / _JSON} must be of format {_FORMAT}; another limen wrote it")
    return header


def _compare(path: Path, theirs: dict[str, Any], mine: dict[str, Any]) -> None:
    for key, value in mine.items():
        if theirs.get(key) != value:
            raise UsageError(
                f"{path} holds a bank of another {_WORDS.get(key, key)}: {theirs.get(key)} there, "
                f"{value} here; name another folder"
            )


def _refuse_strangers(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise UsageError(f"into={path} must be a folder; a file stands there")
    if path.is_dir() and not (path / _JSON).is_file():
        strangers = [p.name for p in path.iterdir() if not p.name.startswith(".")]
        if set(strangers) - {_HEAD}:
            raise UsageError(f"into={path} must be empty or a bank; it holds {strangers[0]}")
