"""Batches of inliers beside outliers, from memory or from loaders."""

from collections.abc import Iterator, Mapping, Sized
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.ood.augment import Augment
from limen.ood.seen import Inputs
from limen.ood.step import PairedRows, count, require_classes
from limen.train import ranks
from limen.train.feed import as_batches

_KNOWN = (Tensor, np.ndarray, Mapping, tuple)


@runtime_checkable
class _Source(Protocol):
    """Batches of one kind of rows, by their number; `epoch` of them hold every row, if known."""

    epoch: int | None

    def __getitem__(self, i: int, /) -> tuple[Inputs, Tensor | None]:
        """Inputs, and labels where there are some."""


class Pairs:
    """Batches for `ood.Step`: batch i is a pure function of the seed and i; see `pairs`.

    Attributes:
        labels: All inlier labels where they are in memory, else None.
        epoch: Batches until every inlier has been seen, where that is known.

    Example:
        >>> found = pairs((torch.eye(2), torch.tensor([0, 1])), torch.zeros(3, 2), batch=2)
        >>> found.labels.tolist(), tuple(found[5].outliers.shape)
        ([0, 1], (4, 2))
    """

    def __init__(
        self,
        inliers: _Source,
        outliers: _Source | None,
        *,
        augment: Augment | None,
        seed: int,
        labels: Tensor | None,
        loaders: tuple[Any, ...],
    ):
        self._inliers, self._outliers = inliers, outliers
        self._augment, self._seed, self.labels = augment, seed, labels
        self._loaders = loaders
        self.epoch: int | None = inliers.epoch

    def __getitem__(self, i: int) -> PairedRows:
        """Batch number i.

        Raises:
            UsageError: The inliers come without labels, or a row is not finite.
        """
        inputs, labels = self._inliers[i]
        if labels is None:
            raise UsageError("inliers must come with labels: (inputs, labels), or a dict with "
                             "'labels'")  # fmt: skip
        outliers = None if self._outliers is None else self._outliers[i][0]
        _require_finite("inliers", inputs, i)
        _require_finite("outliers", outliers, i)
        if self._augment is not None:
            inputs = self._augmented(inputs, "inliers", i)
            outliers = None if outliers is None else self._augmented(outliers, "outliers", i)
        return PairedRows(inputs, labels, outliers)

    def require_resumable(self) -> None:
        """Refuse loaders that shuffle by the global random state.

        Raises:
            UsageError: One does; a resumed run would see other rows.
        """
        for loader in self._loaders:
            as_batches(loader, resumable=True)

    def __repr__(self) -> str:
        parts = [repr(self._inliers), repr(self._outliers), repr(self._augment)]
        return f"Pairs({', '.join(parts)}, seed={self._seed})"

    def _augmented(self, images: Inputs, kind: str, i: int) -> Inputs:
        if not isinstance(images, Tensor):
            raise UsageError("augment needs pictures, a tensor; these rows are a dict")
        stream = torch_stream(self._seed, "pairs", "augment", kind, i, ranks.rank())
        return self._augment(images, stream)  # type: ignore[misc]


def pairs(
    inliers: Any,
    outliers: Any = None,
    *,
    batch: int = 64,
    outlier_batch: int | None = None,
    augment: Augment | None = None,
    seed: int = 0,
) -> Pairs:
    """Pair inliers with outliers, batch by batch, for as long as training lasts.

    What is in memory, and what has `dataset[i]`, is drawn in a seeded order, new in each epoch,
    each row once an epoch, every batch full. Loaders are read in their own order and from the
    front again when they end; they bring their own batch sizes, and one that shuffles needs a
    generator of its own for a run that can be resumed. On several processes each draws its own
    rows; loaders must see to that themselves.

    Args:
        inliers: `(inputs, labels)`, tensors or arrays, inputs perhaps a dict of them; a dict with
            "labels"; a dataset of (input, label) rows; or a DataLoader of any of these.
        outliers: The same, labels not needed and not looked at; or None, where the objective makes
            its own.
        batch: Inliers in a batch.
        outlier_batch: Outliers in a batch; None means twice as many as inliers.
        augment: Crops, flips and normalises pictures; of both kinds, as it should be.
        seed: Of the order and the augmentation.

    Returns:
        The batches.

    Raises:
        UsageError: No rows, inliers of one class or without labels, or a batch below 1.

    Example:
        >>> found = pairs((torch.arange(4.0)[:, None], torch.tensor([0, 0, 1, 1])),
        ...               torch.zeros(3, 1), batch=2)
        >>> epoch = torch.cat([found[0].inputs, found[1].inputs])
        >>> sorted(epoch[:, 0].tolist()), len(found[0].outliers)
        ([0.0, 1.0, 2.0, 3.0], 4)
    """
    many = 2 * batch if outlier_batch is None else outlier_batch
    if batch < 1 or many < 1:
        raise UsageError(f"batch={batch} and outlier_batch={many} must be at least 1")
    inside = _source(inliers, batch, seed=seed, name="inliers")
    outside = None if outliers is None else _source(outliers, many, seed=seed, name="outliers")
    labels = inside.rows.labels if isinstance(inside, _Drawn) else None
    if isinstance(inside, _Drawn) and isinstance(inside.rows, Rows):
        _check_labels(labels, len(inside.rows))
    loaders = tuple(x for x in (inliers, outliers) if isinstance(x, DataLoader))
    return Pairs(inside, outside, augment=augment, seed=seed, labels=labels, loaders=loaders)


class Rows:
    """Rows in memory.

    Attributes:
        inputs: A tensor, or a dict of tensors.
        labels: Class of each, or None.
    """

    def __init__(self, inputs: Inputs, labels: Tensor | None):
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return count(self.inputs)

    def take(self, rows: Tensor) -> tuple[Inputs, Tensor | None]:
        """Some rows, in this order."""
        inputs = self.inputs
        if isinstance(inputs, Mapping):
            taken: Inputs = {name: x[rows] for name, x in inputs.items()}
        else:
            taken = inputs[rows]
        return taken, None if self.labels is None else self.labels[rows]


def in_memory(rows: Any, name: str) -> Rows:
    """Rows that somebody has, as tensors.

    Args:
        rows: Inputs, or `(inputs, labels)`, or a dict with "labels".
        name: What they are, for the message.

    Returns:
        The rows.

    Raises:
        UsageError: They are not in memory, or none.
    """
    if not isinstance(rows, _KNOWN):
        raise UsageError(f"{name} must be tensors or arrays in memory; got {type(rows).__name__}")
    found = Rows(*_parts(rows))
    if len(found) == 0:
        raise UsageError(f"{name} must have rows; there are none")
    return found


class _Dataset:
    """Rows that are made one by one."""

    labels = None

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, rows: Tensor) -> tuple[Inputs, Tensor | None]:
        """Some rows, in this order."""
        return _parts(default_collate([self.dataset[int(row)] for row in rows]))


class _Drawn:
    """Full batches by an endless chain of seeded permutations."""

    def __init__(self, rows: Rows | _Dataset, size: int, *, seed: int, name: str):
        self.rows, self.size, self.seed, self.name = rows, size, seed, name
        self.epoch: int | None = -(-len(rows) // size)
        self._order = lru_cache(maxsize=2)(self._permutation)

    def __getitem__(self, i: int) -> tuple[Inputs, Tensor | None]:
        first = (i * ranks.world() + ranks.rank()) * self.size
        return self.rows.take(torch.stack(list(self._numbers(first))))

    def __repr__(self) -> str:
        return f"{len(self.rows)} {self.name} by {self.size}"

    def _numbers(self, first: int) -> Iterator[Tensor]:
        for place in range(first, first + self.size):
            epoch, position = divmod(place, len(self.rows))
            yield self._order(epoch)[position]

    def _permutation(self, epoch: int) -> Tensor:
        stream = torch_stream(self.seed, "pairs", self.name, epoch)
        return torch.randperm(len(self.rows), generator=stream)


class _Loaded:
    """A loader's batches, in its order."""

    def __init__(self, loader: DataLoader[Any]):
        self._batches = as_batches(loader, resumable=False)
        self.epoch: int | None = len(loader) if isinstance(loader.dataset, Sized) else None

    def __getitem__(self, i: int) -> tuple[Inputs, Tensor | None]:
        return _parts(self._batches[i])

    def __repr__(self) -> str:
        return "a DataLoader"


def _source(rows: Any, size: int, *, seed: int, name: str) -> _Drawn | _Loaded:
    """Rows of any kind, as batches.

    Raises:
        UsageError: They are of no known kind, or none.
    """
    if isinstance(rows, DataLoader):
        return _Loaded(rows)
    if isinstance(rows, _KNOWN):
        return _Drawn(in_memory(rows, name), size, seed=seed, name=name)
    if not (hasattr(rows, "__getitem__") and hasattr(rows, "__len__")):
        raise UsageError(
            f"{name} must be tensors, arrays, a dataset with a length, or a DataLoader; got "
            f"{type(rows).__name__}"
        )
    if len(rows) == 0:
        raise UsageError(f"{name} must have rows; there are none")
    return _Drawn(_Dataset(rows), size, seed=seed, name=name)


def _parts(rows: Any) -> tuple[Inputs, Tensor | None]:
    """Inputs and, where there are some, labels."""
    labels = None
    if isinstance(rows, tuple | list):
        rows, labels = (rows[0], rows[1]) if len(rows) > 1 else (rows[0], None)
    elif isinstance(rows, Mapping) and "labels" in rows:
        labels = rows["labels"]
        rows = {name: x for name, x in rows.items() if name != "labels"}
    if isinstance(rows, Mapping):
        inputs: Inputs = {name: torch.as_tensor(x) for name, x in rows.items()}
    else:
        inputs = torch.as_tensor(rows)
    return inputs, None if labels is None else torch.as_tensor(labels)


def _require_finite(name: str, rows: Inputs | None, i: int) -> None:
    """Refuse what would make every loss NaN, where it can still be said whose fault it was.

    Raises:
        UsageError: NaN or infinity in the batch.
    """
    parts = rows.values() if isinstance(rows, Mapping) else [] if rows is None else [rows]
    for part in parts:
        if part.is_floating_point() and not torch.isfinite(part.sum()):
            bad = int((~torch.isfinite(part)).reshape(len(part), -1).any(1).sum())
            if bad:
                raise UsageError(
                    f"{name} must be finite; {bad} of the {len(part)} in batch {i} hold NaN or "
                    "infinity; drop or mend them"
                )


def _check_labels(labels: Tensor | None, rows: int) -> None:
    if labels is None:
        raise UsageError("inliers must come with labels: (inputs, labels), or a dict with 'labels'")
    if labels.shape != (rows,) or labels.is_floating_point():
        raise UsageError(
            f"{rows} inliers must have as many whole-number labels; got {labels.dtype} of shape "
            f"{tuple(labels.shape)}"
        )
    require_classes(labels)
