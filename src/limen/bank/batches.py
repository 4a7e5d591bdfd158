"""Batches out of whatever a set is given as: a loader, a dataset, arrays, an iterable."""

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from limen._core.errors import UsageError

Inputs = Tensor | dict[str, Any]
_LABELS = ("labels", "label", "targets", "target")


class Batch(NamedTuple):
    """Inputs as the model takes them, and labels where the set has them."""

    inputs: Inputs
    labels: Tensor | np.ndarray | None


def batches_of(source: Any, *, batch_size: int) -> Iterable[Any]:
    """What to loop over; `batch` reads each element.

    Args:
        source: A DataLoader or another iterable of batches; a Dataset; or the whole set: an array
            of inputs, a tuple `(inputs, labels)`, or a dict of arrays.
        batch_size: Rows a batch, where the source does not decide.

    Returns:
        The source itself where it makes batches.

    Raises:
        UsageError: It cannot be looped over, or its arrays have different lengths.

    Example:
        >>> [len(batch(rows).inputs) for rows in batches_of(torch.ones(5, 2), batch_size=2)]
        [2, 2, 1]
    """
    if isinstance(source, tuple | Mapping | Tensor | np.ndarray):
        lengths = {len(array) for array in _leaves(source)}
        if len(lengths) != 1:
            raise UsageError(f"arrays of one set need one length, got {sorted(lengths)}")
        return Slices(source, rows=lengths.pop(), size=batch_size)
    if isinstance(source, DataLoader) or not isinstance(source, Dataset):
        if not isinstance(source, Iterable):
            kind = type(source).__name__
            raise UsageError(
                f"a set must be a loader, an iterable of batches or arrays, not {kind}"
            )
        return source
    return DataLoader(source, batch_size=batch_size)


def batch(element: Any) -> Batch:
    """One element of a loader, read: `x`, `(x, y, ...)` or a dict with or without labels.

    Raises:
        UsageError: There is no tensor of inputs in it.

    Example:
        >>> batch({"pixel_values": torch.ones(2, 3), "labels": torch.tensor([0, 1])}).labels
        tensor([0, 1])
    """
    if isinstance(element, Mapping):
        name = next((name for name in _LABELS if name in element), None)
        inputs: Inputs = {key: _tensor(value) for key, value in element.items() if key != name}
        return Batch(inputs, None if name is None else element[name])
    if isinstance(element, tuple | list) and element:
        inputs = batch(element[0]).inputs
        return Batch(inputs, element[1] if len(element) > 1 else None)
    found = _tensor(element)
    if not isinstance(found, Tensor):
        kind = type(element).__name__
        raise UsageError(f"a batch must be x, (x, y) or a dict of tensors, got {kind}")
    return Batch(found, None)


def length_of(batches: Any) -> int | None:
    """How many batches there will be; None where nobody knows."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a loader of an iterable dataset has the method and no length
        return None


def rows_of(batches: Iterable[Any]) -> int | None:
    """How many rows there will be; None where nobody knows before the end."""
    if isinstance(batches, Slices):
        return batches.rows
    if not isinstance(batches, DataLoader) or isinstance(batches.dataset, IterableDataset):
        return None
    if batches.batch_size is None or not isinstance(batches.sampler, Sized):
        return None
    rows = len(batches.sampler)
    return rows - rows % batches.batch_size if batches.drop_last else rows


class Slices:
    """Arrays of one length, cut into batches."""

    def __init__(self, source: Any, *, rows: int, size: int):
        self.source, self.rows, self.size = source, rows, size

    def __len__(self) -> int:
        return -(-self.rows // self.size)

    def __iter__(self) -> Iterator[Any]:
        starts = range(0, self.rows, self.size)
        return (_cut(self.source, start, start + self.size) for start in starts)


def _cut(source: Any, start: int, stop: int) -> Any:
    if isinstance(source, Mapping):
        return {key: value[start:stop] for key, value in source.items()}
    if isinstance(source, tuple):
        return tuple(None if part is None else _cut(part, start, stop) for part in source)
    return source[start:stop]


def _leaves(source: Any) -> Iterator[Any]:
    if isinstance(source, Mapping | tuple):
        for part in source.values() if isinstance(source, Mapping) else source:
            yield from _leaves(part)
    elif source is not None:
        yield source


def _tensor(value: Any) -> Any:
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    return torch.from_numpy(value) if numbers else value
