"""Where micro-batches come from, and where they go."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader

from limen._core.errors import UsageError
from limen.train.protocols import Batches
from limen.train.randomness import undisturbed

_END = object()


class Replayed:
    """An iterable read in order, again and again.

    Skipping forward reads and drops, and puts the global generators back: whoever resumes has
    already restored what those draws had left behind.
    """

    def __init__(self, source: Iterable[Any]):
        self.source = source
        self._next = 0
        self._iterator: Iterator[Any] = iter(source)

    def __getitem__(self, i: int) -> Any:
        if i < self._next:
            raise UsageError(f"these batches can only be read in order; asked for {i} again")
        if i > self._next:
            with undisturbed():
                while self._next < i:
                    self._pull()
        return self._pull()

    def _pull(self) -> Any:
        batch = next(self._iterator, _END)
        if batch is _END:
            self._iterator = iter(self.source)
            batch = next(self._iterator, _END)
        if batch is _END:
            raise UsageError(
                f"batches must last or start again; they ended after {self._next}: give a list, "
                "a DataLoader, or something with batches[i]"
            )
        self._next += 1
        return batch


class Cycled:
    """A list of batches, from the front again when it ends."""

    def __init__(self, batches: list[Any] | tuple[Any, ...]):
        if not batches:
            raise UsageError("batches must hold at least one batch; got none")
        self.batches = batches

    def __getitem__(self, i: int) -> Any:
        return self.batches[i % len(self.batches)]


def as_batches(source: Any, *, resumable: bool) -> Batches:
    """Anything that holds batches, as a function of the micro-batch's number.

    Raises:
        UsageError: Not a source of batches; or a resumable run with a DataLoader that shuffles
            by the global random state, also inside batches that can tell (`require_resumable`).
    """
    if isinstance(source, list | tuple):
        return Cycled(source)
    if isinstance(source, DataLoader):
        if resumable and _shuffles_unseeded(source):
            raise UsageError(
                "a DataLoader that shuffles needs generator=torch.Generator() when Loop.into is "
                "set; without it a resumed run would see other rows"
            )
        return Replayed(source)
    if isinstance(source, Mapping | str):
        pass
    elif hasattr(source, "__getitem__"):
        if resumable and hasattr(source, "require_resumable"):
            source.require_resumable()
        return source
    elif isinstance(source, Iterable):
        return Replayed(source)
    raise UsageError(
        f"batches must be a list, a DataLoader or have batches[i]; got {type(source).__name__}"
    )


def _shuffles_unseeded(loader: DataLoader[Any]) -> bool:
    """Whether the order comes from the global generator: every random sampler has its own."""
    samplers = [loader.sampler, getattr(loader.batch_sampler, "sampler", None)]
    return any(getattr(sampler, "generator", loader) is None for sampler in samplers)


def moved(batch: Any, device: torch.device) -> Any:
    """The batch on a device: tensors, whatever has `.to`, and containers of these."""
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(value, device) for value in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(moved(value, device) for value in batch)
    return batch
