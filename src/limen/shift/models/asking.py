"""A network asked batch by batch, with progress; arrays out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from limen._core.errors import UsageError
from limen.algebra.modes import in_mode
from limen.bank.outputs import array_of, refuse_non_finite
from limen.run.progress import progress
from limen.shift.models.pixels import Prepare, batches, count_of


def asked(
    answer: Callable[[Any], tuple[Any, ...]],
    images: Any,
    *,
    prepare: Prepare | None,
    size: int,
    workers: int,
    what: str,
) -> tuple[np.ndarray, ...]:
    """Whatever `answer` gives for every batch, each of its parts as one float32 array.

    Every image passes once. Arrays are filled as the batches come, so that nothing is held twice.

    Raises:
        UsageError: As `batches`; or an answer has not a finite row for each image.
    """
    rows, done = count_of(images), 0
    found: tuple[np.ndarray, ...] = ()
    with progress(what, total=rows) as advance:
        for count, pixels in batches(images, prepare=prepare, size=size, workers=workers):
            parts = tuple(array_of(part) for part in answer(pixels))
            for part in parts:
                if part.ndim != 2 or len(part) != count:
                    raise UsageError(
                        f"the model must answer {count} images with {count} rows of numbers, got "
                        f"shape {part.shape}"
                    )
                refuse_non_finite(part, what="the model's answer", first_row=done)
            found = found or tuple(np.empty((rows, p.shape[1]), np.float32) for p in parts)
            for whole, part in zip(found, parts, strict=True):
                whole[done : done + count] = part
            done += count
            advance(count)
    return found


@contextmanager
def quiet(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module has its own mode back."""
    with ExitStack() as stack:
        for module in modules:
            stack.enter_context(in_mode(module, training=False))
        stack.enter_context(torch.no_grad())
        yield


def device_of(modules: Sequence[nn.Module]) -> torch.device:
    """Where the first weight lies; the CPU where there is none."""
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            return tensor.device
    return torch.device("cpu")


def dtype_of(modules: Sequence[nn.Module]) -> torch.dtype | None:
    """The first weight's precision; None where there is no weight of floats."""
    for module in modules:
        for tensor in module.parameters():
            if tensor.is_floating_point():
                return tensor.dtype
    return None


def moved(value: Any, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """Tensors on the device; floats in the precision too, whole numbers as they are."""
    if isinstance(value, dict):
        return {name: moved(part, device, dtype) for name, part in value.items()}
    if not isinstance(value, torch.Tensor):
        return value
    wanted = dtype if value.is_floating_point() else None
    return value.to(device=device, dtype=wanted or value.dtype, non_blocking=True)
