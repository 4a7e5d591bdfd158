"""Whether the arrays of a bank's sets fit one another and the head."""

from collections.abc import Mapping

import numpy as np

from limen._core.errors import UsageError
from limen.bank.outputs import Outputs


def columns(sets: Mapping[str, Outputs], kind: str) -> int | None:
    """Columns of one kind of array, the same in every set that has it; None where none has.

    Raises:
        UsageError: Two sets differ.

    Example:
        >>> columns({"id": Outputs(logits=[[1.0, 2.0]])}, "logits")
        2
    """
    found = {
        name: array.shape[1]
        for name, outputs in sets.items()
        if (array := getattr(outputs, kind)) is not None
    }
    if len(set(found.values())) > 1:
        each = ", ".join(f"{name}: {count}" for name, count in found.items())
        raise UsageError(f"{kind} of all sets must have as many columns, got {each}")
    return next(iter(found.values()), None)


def refuse_misfits(
    sets: Mapping[str, Outputs],
    *,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    layers: tuple[int, ...],
) -> None:
    """Refuse sets without rows, and sets, head and layers of different shapes.

    Raises:
        UsageError: Says which.
    """
    if not sets:
        raise UsageError("a bank must have a set at least, got none")
    for name, outputs in sets.items():
        if not len(outputs):
            raise UsageError(f"set {name!r} must have a row at least, it has none")
    shape, statistics = (columns(sets, "logits"), columns(sets, "features")), columns(sets, "grams")
    if layers and sum(layers) != statistics:
        raise UsageError(f"layers={layers} must add up to the {statistics} columns of grams")
    if weight is not None:
        _refuse_head(weight, bias, shape=shape)
    elif bias is not None:
        raise UsageError("bias needs a weight beside it; give both or neither")


def _refuse_head(
    weight: np.ndarray, bias: np.ndarray | None, *, shape: tuple[int | None, int | None]
) -> None:
    fits = weight.ndim == 2 and all(map(_same, weight.shape, shape))
    if not fits:
        classes, width = (each or "any" for each in shape)
        raise UsageError(
            f"weight must be (classes, width), here ({classes}, {width}); got {weight.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise UsageError(f"bias must be (classes,) = {weight.shape[:1]}, got {bias.shape}")


def _same(got: int, wanted: int | None) -> bool:
    return wanted in (None, got)
