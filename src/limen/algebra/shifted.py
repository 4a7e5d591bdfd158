"""Look at a model at other weights, and give it back exactly as it was."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.shards import reshard


@contextmanager
def shifted(model: nn.Module, by: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the named parameters stand at theta + by; after it they are restored.

    Restoring is bit-exact, because the old values are kept, not recomputed. Forward AND backward
    belong inside the block: the weights change in place, so a graph made before it is stale.

    Args:
        model: The model to move; its other parameters stay.
        by: Displacement of each named parameter.

    Yields:
        Nothing; the model itself has moved.

    Raises:
        UsageError: A name is not a parameter of the model.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> start = layer.weight.item()
        >>> with shifted(layer, {"weight": torch.ones(1, 1)}):
        ...     moved = layer.weight.item() - start
        >>> round(moved, 6), layer.weight.item() == start
        (1.0, True)
    """
    with _restored(model, by) as params:
        with torch.no_grad():
            for name, step in by.items():
                params[name].add_(step)
        yield


@contextmanager
def placed(model: nn.Module, at: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the named parameters stand at `at`; after it they are restored exactly.

    Args:
        model: The model to move; its other parameters stay.
        at: Value of each named parameter.

    Yields:
        Nothing; the model itself has moved.

    Raises:
        UsageError: A name is not a parameter of the model.

    Example:
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> with placed(layer, {"weight": torch.zeros(1, 1)}):
        ...     layer(torch.ones(1, 1)).item()
        0.0
    """
    with _restored(model, at) as params:
        with torch.no_grad():
            for name, value in at.items():
                params[name].copy_(value)
        yield


@contextmanager
def _restored(model: nn.Module, named: Mapping[str, Tensor]) -> Iterator[dict[str, nn.Parameter]]:
    reshard(model)
    params = dict(model.named_parameters())
    unknown = sorted(set(named) - set(params))[:3]
    if unknown:
        raise UsageError(f"every name must be a parameter of the model; {unknown} are not")
    kept = {name: params[name].detach().clone() for name in named}
    torch.clear_autocast_cache()  # it holds casts of the weights and does not see them move
    try:
        yield params
    finally:
        torch.clear_autocast_cache()
        reshard(model)
        with torch.no_grad():
            for name, value in kept.items():
                params[name].copy_(value)
