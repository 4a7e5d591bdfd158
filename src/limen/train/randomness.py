"""The state of the global random generators: saved, restored, left undisturbed."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def random_state(params: Iterable[Tensor] = ()) -> dict[str, Any]:
    """The global generators of torch, numpy and Python, and of the devices that hold `params`."""
    devices = sorted({p.device.index or 0 for p in params if p.is_cuda})
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  the user's step may draw from it
    return {
        "torch": torch.get_rng_state(),
        "cuda": {index: torch.cuda.get_rng_state(index) for index in devices},
        "numpy": (kind, keys, *rest),
        "python": random.getstate(),
    }


def set_random_state(saved: dict[str, Any]) -> None:
    """Put back what `random_state` saw."""
    torch.set_rng_state(saved["torch"])
    for index, value in saved["cuda"].items():
        torch.cuda.set_rng_state(value, index)
    np.random.set_state(saved["numpy"])  # noqa: NPY002
    random.setstate(saved["python"])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Draws from the global generators inside the block leave no trace after it."""
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)


@contextmanager
def seeded(model: nn.Module, seed: int) -> Iterator[None]:
    """Inside the block the generators of the CPU and of the model's devices start from `seed`."""
    cuda = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    with undisturbed(), torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
