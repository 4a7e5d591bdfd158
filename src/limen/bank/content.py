"""Content hashes: which model it was, which data, which transform."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from limen.run.provenance import fingerprint

SAMPLED = 8
"""Values of each tensor that are looked at to see whether it was written to."""
_KNOWN: WeakKeyDictionary[nn.Module, tuple[Any, str]] = WeakKeyDictionary()


def model_hash(model: nn.Module) -> str:
    """A content hash of a network: its layers as printed, its weights and its buffers.

    It is taken again only where a tensor is another one or was written to since the last call: by
    torch's count, and, as writing to `.data` escapes that, by a few values of each tensor.

    Returns:
        16 hex digits; the same on every device.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> model_hash(layer) == model_hash(nn.Sequential(layer))
        False
    """
    state = _state(model)
    known = _KNOWN.get(model)
    if known is not None and state is not None and known[0] == state:
        return known[1]
    found = _short(hashlib.sha256(f"{plain(model)} {fingerprint(model)}".encode()))
    if state is not None:
        _KNOWN[model] = (state, found)
    return found


def _state(model: nn.Module) -> Any:
    """What changes whenever layers or tensors do; None where torch does not count that."""
    tensors = [*model.parameters(), *model.buffers()]
    if any(one.is_inference() for one in tensors):
        return None
    some = [_some(one.detach()) for one in tensors if one.is_floating_point() and one.numel()]
    seen = torch.cat(some).tolist() if some else []
    return plain(model), [(id(one), one.data_ptr(), one._version) for one in tensors], repr(seen)


def _some(tensor: Tensor) -> Tensor:
    flat = tensor.reshape(-1)
    return flat[:: max(1, len(flat) // SAMPLED)][:SAMPLED].double()


def plain(value: object) -> str:
    """What an object prints, without the memory addresses that change from run to run."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


class DataHash:
    """A content hash of a set's inputs and labels, taken batch by batch.

    Every tensor of a batch has a hash of its own that runs on over the batches, so the size of
    the batches does not matter where the rows are the same.

    Example:
        >>> whole, halves = DataHash(), DataHash()
        >>> rows, labels = torch.ones(4, 2), torch.tensor([0, 1, 0, 1])
        >>> whole.update(rows, labels)
        >>> halves.update(rows[:2], labels[:2])
        >>> halves.update(rows[2:], labels[2:])
        >>> whole.digest() == halves.digest()
        True
    """

    def __init__(self) -> None:
        self._parts: dict[str, Any] = {}
        self.first: str | None = None

    def update(self, inputs: Any, labels: Any) -> None:
        """Add a batch; the first one also gives `first`, the hash of the set's first row."""
        if self.first is None:
            self.first = first_row(inputs, labels)
        for name, value in _named(inputs, labels).items():
            self._add(name, value)

    def digest(self) -> str:
        """The hash so far: 16 hex digits."""
        parts = {name: part.hexdigest() for name, part in sorted(self._parts.items())}
        return _short(hashlib.sha256(repr(parts).encode()))

    def _add(self, name: str, value: Any) -> None:
        tensor = value if isinstance(value, Tensor) else None
        if name not in self._parts:
            kind = "" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape[1:])}"
            self._parts[name] = hashlib.sha256(kind.encode())
        if tensor is None:
            self._parts[name].update(repr(value).encode())
        elif tensor.numel():
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            self._parts[name].update(flat.view(torch.uint8).numpy())


def first_row(inputs: Any, labels: Any) -> str:
    """A content hash of the first row of a batch, whatever the batch's size."""
    one = DataHash()
    one.first = ""
    for name, value in _named(inputs, labels).items():
        one._add(name, value[:1])
    return one.digest()


def _named(inputs: Any, labels: Any) -> dict[str, Any]:
    named = dict(inputs) if isinstance(inputs, Mapping) else {"inputs": inputs}
    return named if labels is None else {**named, "labels of the set": torch.as_tensor(labels)}


def _short(digest: Any) -> str:
    return str(digest.hexdigest())[:16]
