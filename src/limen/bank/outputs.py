"""What a network said of one set, row by row: the arrays that every score works on."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from torch import Tensor

from limen._core.errors import UsageError


@dataclass(frozen=True, eq=False, init=False)
class Outputs:
    """Logits, features, labels and statistics of one set; each an array or None.

    Arrays, tensors and lists are taken; they are kept as float32 (labels as int64) without a copy
    where they are that already, so memory-mapped arrays stay on the disk.

    Args:
        logits: One row for each input, one column for each class.
        features: What the classifier's last layer was given.
        labels: Class of each row, a whole number; sets of outliers need none.
        grams: Feature-map statistics, see `Grams`.

    Raises:
        UsageError: No array at all, another number of rows in one of them, wrong dimensions, or
            labels that are no whole numbers.

    Example:
        >>> outputs = Outputs(logits=[[2.0, 1.0], [0.0, 3.0]], labels=[0, 1])
        >>> len(outputs), outputs.logits.dtype.name, outputs.features is None
        (2, 'float32', True)
    """

    logits: Float32[np.ndarray, "rows classes"] | None = None
    features: Float32[np.ndarray, "rows width"] | None = None
    labels: Int64[np.ndarray, " rows"] | None = None
    grams: Float32[np.ndarray, "rows statistics"] | None = None

    def __init__(
        self, *, logits: Any = None, features: Any = None, labels: Any = None, grams: Any = None
    ):
        object.__setattr__(self, "logits", _matrix(logits, "logits"))
        object.__setattr__(self, "features", _matrix(features, "features"))
        object.__setattr__(self, "labels", whole(labels))
        object.__setattr__(self, "grams", _matrix(grams, "grams"))
        lengths = {name: len(array) for name, array in self.arrays().items()}
        if len(set(lengths.values())) != 1:
            got = ", ".join(f"{count} of {name}" for name, count in lengths.items())
            raise UsageError(f"outputs need arrays of one length, got {got or 'no array at all'}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays().values())))

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that are there, by name.

        Example:
            >>> list(Outputs(features=[[1.0]], labels=[0]).arrays())
            ['features', 'labels']
        """
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in found.items() if array is not None}


def array_of(values: Any) -> np.ndarray:
    """A numpy array of anything array-like, without a copy where that can be."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() else values).numpy()
    return np.asanyarray(values)


def whole(labels: Any) -> Int64[np.ndarray, " rows"] | None:
    """Labels as int64, one a row; None stays None.

    Raises:
        UsageError: They are something else.

    Example:
        >>> whole([2.0, 0.0]).tolist()
        [2, 0]
    """
    if labels is None:
        return None
    found = array_of(labels)
    numbers = found.dtype.kind in "iub" or (
        found.dtype.kind == "f" and bool((found == np.floor(found)).all())
    )
    if found.ndim != 1 or not numbers:
        raise UsageError(
            "labels must be whole numbers, one a row; got "
            f"{found.dtype} of shape {found.shape}; leave them out for a set of outliers"
        )
    return found.astype(np.int64, copy=False)


def refuse_non_finite(array: np.ndarray, *, what: str, first_row: int = 0) -> None:
    """Refuse NaN and infinity.

    Args:
        array: One row for each input.
        what: What the array is, and of which set.
        first_row: The array's first row's number in its set.

    Raises:
        UsageError: A value is not finite; says in which row.
    """
    with np.errstate(invalid="ignore"):
        if np.isfinite(array.sum(dtype=np.float64)):  # one number to look at instead of all
            return
    bad = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if bad.any():
        rows = np.flatnonzero(bad)
        raise UsageError(
            f"{what} must be finite; row {first_row + rows[0]} is not"
            + (f", and {len(rows) - 1} more" if len(rows) > 1 else "")
        )


def _matrix(values: Any, name: str) -> np.ndarray | None:
    if values is None:
        return None
    found = array_of(values)
    if found.ndim != 2 or found.dtype.kind not in "fiub":
        raise UsageError(
            f"{name} must be numbers of two dimensions, got {found.dtype} of shape {found.shape}"
        )
    return found.astype(np.float32, copy=False)
