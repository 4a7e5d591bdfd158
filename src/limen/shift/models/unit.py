"""Rows of length 1."""

from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.bank.outputs import array_of


def unit(name: str, rows: Any) -> Float[np.ndarray, "rows width"]:
    """Each row divided by its Euclidean length; what an encoder gave becomes a direction.

    Args:
        name: What an error calls the rows.
        rows: (rows, width), array or tensor on any device.

    Returns:
        float32 rows of length 1.

    Raises:
        UsageError: Not a matrix, not finite, or a row of length 0, which has no direction.

    Example:
        >>> unit("rows", [[3.0, 4.0]]).round(1).tolist() == [[np.float32(0.6), np.float32(0.8)]]
        True
    """
    found = array_of(rows)
    if found.ndim != 2 or not found.size or found.dtype.kind not in "fiu":
        raise UsageError(
            f"{name} must be numbers of shape (rows, width), got {found.dtype} of shape "
            f"{found.shape}"
        )
    wide = found.astype(np.float64)
    odd = np.flatnonzero(~np.isfinite(wide).all(1))
    if len(odd):
        raise UsageError(
            f"{name} must be finite; {len(odd)} of {len(wide)} rows are not, the first is row "
            f"{odd[0]}; embed them again"
        )
    wide /= np.where(largest := np.abs(wide).max(1, keepdims=True), largest, 1.0)  # no overflow
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    empty = np.flatnonzero(length[:, 0] == 0)
    if len(empty):
        raise UsageError(
            f"{name} must have a direction; {len(empty)} of {len(wide)} rows have length 0, the "
            f"first is row {empty[0]}; embed them again or drop them"
        )
    return (wide / length).astype(np.float32)
