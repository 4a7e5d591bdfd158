"""What losses, settings and logged rows say of themselves."""

from collections.abc import Mapping
from math import nan
from typing import Any

from torch import Tensor

from limen._core.errors import UsageError
from limen.train.losses import Loss


def named(losses: Any) -> dict[str, Loss]:
    """A step's losses, as a dict that may be emptied.

    Raises:
        UsageError: The step returned something else.
    """
    if not isinstance(losses, Mapping):
        raise UsageError(
            f"step must return a dict of named losses, got {type(losses).__name__}; "
            'return {"loss": loss}'
        )
    return dict(losses)


def number(name: str, value: Tensor) -> float:
    """The value of a loss.

    Raises:
        UsageError: It is more than one number.
    """
    if value.numel() != 1:
        raise UsageError(f"{name!r} must be one number to be logged, got {tuple(value.shape)}")
    return value.item()


def values_of(row: Mapping[str, float | None]) -> dict[str, float]:
    """A row of the log as it was before it was written: JSON has no nan."""
    return {k: nan if v is None else v for k, v in row.items() if k != "step"}


def told(part: object) -> str:
    """A part's settings, where it can tell them; never where it lies in memory."""
    said = repr(part)
    return getattr(part, "__qualname__", type(part).__name__) if " at 0x" in said else said


def plain(settings: Mapping[str, Any]) -> str:
    """An optimiser's settings that are numbers, words or pairs of them."""
    kinds = bool | int | float | str | tuple | None
    return repr({k: v for k, v in settings.items() if isinstance(v, kinds)})


def note(values: dict[str, float]) -> str:
    """The first values, short enough for a progress bar."""
    return "  ".join(f"{name} {value:.3g}" for name, value in list(values.items())[:3])
