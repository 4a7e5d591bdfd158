"""What the user passed, as float64 numbers: lists, arrays and tensors alike."""

import sys
from collections.abc import Sequence
from math import ceil
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from limen._core.errors import UsageError

# How far an asked price, gain, rate or alpha may miss a number it means: 1 - 0.95 > 0.05.
TOLERANCE = 1e-9


@runtime_checkable
class HoldsArray(Protocol):
    """An array, a tensor, a column of a table: whatever numpy can read."""

    def __array__(self) -> Any:
        """The numbers as a numpy array."""


Numbers: TypeAlias = HoldsArray | Sequence[Any] | float


def share_of(count: int, share: float) -> int:
    """How many of `count` values make up `share` of them, one at least."""
    return max(1, ceil((share - TOLERANCE) * count))


def is_tensor(values: object) -> bool:
    """Whether `values` is a torch tensor; where torch was never imported, nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def numbers(name: str, values: Numbers) -> np.ndarray:
    """`values` as a float64 array of the same shape; `name` is the argument an error speaks of.

    Tensors may live on any device, carry any real precision and require gradients.

    Raises:
        UsageError: Not numbers (booleans are refused too), ragged, or NaN.
    """
    try:
        found = np.asarray(_detached(values))
    except (TypeError, ValueError) as ragged:
        raise UsageError(f"{name} must be an array of numbers: {ragged}") from ragged
    if not (np.issubdtype(found.dtype, np.integer) or np.issubdtype(found.dtype, np.floating)):
        raise UsageError(f"{name} must hold real numbers, got {found.dtype}; convert it to float")
    found = found.astype(np.float64)
    if np.isnan(found).any():
        raise UsageError(f"{name} must not hold NaN, got {_share(np.isnan(found))}; drop or fix it")
    return found


def flat(name: str, values: Numbers) -> np.ndarray:
    """Non-empty scores of any shape as one flat float64 row; infinite ones keep their rank.

    Raises:
        UsageError: Empty, or not numbers.
    """
    found = numbers(name, values).ravel()
    if not found.size:
        raise UsageError(f"{name} must hold at least one score, got none")
    return found


def row(name: str, values: Numbers) -> np.ndarray:
    """A non-empty one-dimensional float64 row of finite numbers.

    Raises:
        UsageError: Empty, not one-dimensional, or not finite.
    """
    found = numbers(name, values)
    if found.ndim != 1 or not found.size:
        raise UsageError(f"{name} must be one non-empty row of numbers, got shape {found.shape}")
    return finite(name, found)


def finite(name: str, found: np.ndarray) -> np.ndarray:
    """`found` itself.

    Raises:
        UsageError: It holds an infinite number.
    """
    infinite = ~np.isfinite(found)
    if infinite.any():
        raise UsageError(f"{name} must be finite, got {_share(infinite)} infinite; drop or fix it")
    return found


def _detached(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return [_detached(value) for value in values] if _nests_tensors(values) else values
    if not is_tensor(values):
        return values
    held = values.detach().cpu()
    return held.double().numpy() if held.is_floating_point() else held.numpy()


def _nests_tensors(values: list[Any] | tuple[Any, ...]) -> bool:
    return any(is_tensor(v) or (isinstance(v, list | tuple) and _nests_tensors(v)) for v in values)


def _share(where: np.ndarray) -> str:
    return f"{np.count_nonzero(where)} of {where.size}"
