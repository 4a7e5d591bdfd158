"""Content hashes: which model it was, which data, which transform."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from limen.run.provenance import fingerprint

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def model_hash(model: nn.Module) -> str:
    """A content hash of a network: its layers as printed, its weights and its buffers.

    Returns:
        16 hex digits; the same on every device.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> model_hash(layer) == model_hash(nn.Sequential(layer))
        False
    """
    return _short(hashlib.sha256(f"{plain(model)} {fingerprint(model)}".encode()))


class Watch:
    """Tells whether a network was written to, for less than half of a hash's price.

    Every bit of every tensor is added up, and torch's count of writes is compared. What escapes
    both: values of one tensor that change places beneath torch's count (through `.data`, or the
    memory of an array), and layers whose settings are not printed.

    Args:
        model: The network; its tensors are kept alive.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> watch = Watch(layer)
        >>> _ = layer.weight.data.mul_(2)  # which torch does not count
        >>> watch.same(layer)
        False
    """

    def __init__(self, model: nn.Module):
        self._state = _state(model)

    def same(self, model: nn.Module) -> bool:
        """Whether it is the network that was looked at, as it was then."""
        return _state(model) == self._state


def _state(model: nn.Module) -> Any:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    sums = [_sum(one.detach()) for _, one in tensors]
    found = torch.stack(sums).tolist() if sums else []  # one wait for the device
    return plain(model), found, [(name, one.data_ptr(), _writes(one)) for name, one in tensors]


def _writes(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _sum(tensor: Tensor) -> Tensor:
    """The sum of a tensor's bits, read as whole numbers, on the tensor's device."""
    flat = tensor.contiguous().reshape(-1)
    if flat.is_complex():
        flat = torch.view_as_real(flat).reshape(-1)
    whole = flat.view(_WHOLE[flat.dtype.itemsize])
    even = len(whole) * whole.itemsize // 8 * 8 // whole.itemsize
    if whole.storage_offset() * whole.itemsize % 8:
        even = 0
    return whole[:even].view(torch.int64).sum() + whole[even:].sum(dtype=torch.int64)


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
