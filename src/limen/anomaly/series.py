"""Whatever a user holds a time series in, as one array (time, channels)."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError

Missing = Literal["raise", "linear", "forward", "mean"]
Series = Float[np.ndarray, "time channels"]
_ROOM = 1e-4  # for sums of squares of a hundred million values
POLICIES = "missing='linear', 'forward' or 'mean'"
"""What an error offers for NaN."""


def as_series(values: Any, *, missing: Missing = "raise", name: str = "X") -> Series:
    """One series as floating-point numbers (time, channels).

    float32 stays float32; every other kind of number becomes float64.

    Args:
        values: An array (time,) or (time, channels), a tensor, a list of numbers, or a data frame
            whose columns are all numbers.
        missing: What to do with NaN: "raise"; "linear", between neighbours in time and the nearest
            value at the ends; "forward", the last value seen (the first one at the start); "mean",
            of the channel.
        name: What an error calls it.

    Returns:
        A new array where something had to be converted or filled, else the values themselves.

    Raises:
        UsageError: Not numbers, another number of axes, empty, infinite or so large that squares
            are, or NaN that no policy fills.

    Example:
        >>> as_series([1, 2, float("nan"), 4], missing="linear").ravel()
        array([1., 2., 3., 4.])
    """
    if missing not in get_args(Missing):
        raise UsageError(f"missing={missing!r} must be one of {', '.join(get_args(Missing))}")
    found = _numbers(values, name)
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2:
        raise UsageError(
            f"{name} must be (time,) or (time, channels), got an array of shape {found.shape}"
        )
    if not found.size:
        raise UsageError(f"{name} must have points and channels, got shape {found.shape}")
    if np.isinf(found).any():
        row, column = np.argwhere(np.isinf(found))[0]
        raise UsageError(
            f"{name} must be finite; row {row}, channel {column} is {found[row, column]}; "
            f"mend it, or make it NaN and fill that by {POLICIES}"
        )
    most = np.sqrt(np.finfo(found.dtype).max) * _ROOM
    holes = np.isnan(found)
    largest = np.abs(found).max(initial=0, where=~holes)
    if largest > most:
        raise UsageError(
            f"{name} must be below {most:.1g} in size, so that squares can be summed; got "
            f"{largest:.3g}; divide it"
        )
    return found if not holes.any() else _filled(found, holes, missing=missing, name=name)


def as_many(values: Any, *, missing: Missing = "raise", name: str = "X") -> list[np.ndarray]:
    """One series or several, with as many channels each.

    Args:
        values: What `as_series` takes, or a list or tuple of arrays, tensors or data frames.
        missing: What to do with NaN.
        name: What an error calls it.

    Returns:
        The series.

    Raises:
        UsageError: What `as_series` refuses, none, or series of unequal channels.

    Example:
        >>> [len(found) for found in as_many([np.zeros(3), np.ones((5, 1))])]
        [3, 5]
    """
    several = isinstance(values, list | tuple) and all(
        len(getattr(one, "shape", ())) > 0 for one in values
    )
    if not several:
        return [as_series(values, missing=missing, name=name)]
    if not values:
        raise UsageError(f"{name} must hold a series; it is an empty {type(values).__name__}")
    found = [as_series(v, missing=missing, name=f"{name}[{i}]") for i, v in enumerate(values)]
    widths = {one.shape[1] for one in found}
    if len(widths) > 1:
        raise UsageError(f"all series of {name} must have as many channels, got {sorted(widths)}")
    return found


def check_channels(found: Series, channels: int, *, name: str = "X") -> None:
    """Refuse another number of channels than was trained on.

    Raises:
        UsageError: They differ.

    Example:
        >>> check_channels(np.zeros((3, 2)), 2)
    """
    if found.shape[1] != channels:
        raise UsageError(
            f"{name} must have {channels} channels, as in training; it has {found.shape[1]}"
        )


def refuse_labels(labels: Any) -> None:
    """Refuse labels in `fit`: what saw them could flatter itself.

    Raises:
        UsageError: Labels were given.

    Example:
        >>> refuse_labels(None)
    """
    if labels is not None:
        raise UsageError(
            "fit takes no labels, since nothing here learns from them; leave y out and drop "
            "abnormal stretches from X beforehand"
        )


def refuse_constant(series: Sequence[np.ndarray]) -> None:
    """Refuse series that never vary: nothing can be learnt from them, and any change is endless.

    Args:
        series: (time, channels) each, of equal channels.

    Raises:
        UsageError: Every channel has one value throughout.

    Example:
        >>> refuse_constant([np.array([[1.0], [2.0]])])
    """
    first = series[0][0]
    if all(bool((one == first).all()) for one in series):
        raise UsageError("X must vary, every channel of it is constant; bring another series")


def _numbers(values: Any, name: str) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    columns = getattr(values, "columns", None)
    kinds: Sequence[Any] = getattr(values, "dtypes", ()) if columns is not None else ()
    for column, kind in zip(columns if columns is not None else (), kinds, strict=True):
        if getattr(kind, "kind", "O") not in "biuf":
            raise UsageError(
                f"all columns of {name} must be numbers; {column!r} is {kind}; drop or convert it"
            )
    try:
        found = np.asarray(values)
        if found.dtype == object and columns is not None:
            found = values.to_numpy(dtype=float)
    except (TypeError, ValueError) as failure:
        raise UsageError(f"{name} must be an array of numbers: {failure}") from failure
    if found.dtype.kind not in "biuf":
        raise UsageError(
            f"{name} must be numbers, got {found.dtype}; drop or convert what is not a number"
        )
    return found if found.dtype in (np.float32, np.float64) else found.astype(np.float64)


def _filled(found: Series, holes: np.ndarray, *, missing: Missing, name: str) -> Series:
    count, channels = int(holes.sum()), np.flatnonzero(holes.any(0))
    if missing == "raise":
        row = int(np.argwhere(holes)[0, 0])
        raise UsageError(
            f"{name} must not have missing values; {count} are NaN, the first in row {row}; "
            f"fill them by {POLICIES}"
        )
    empty = holes.all(0)
    if empty.any():
        raise UsageError(
            f"channel {int(np.flatnonzero(empty)[0])} of {name} has no value at all; drop it"
        )
    filled = found.copy()
    time = np.arange(len(found))
    for channel in channels:
        hole = holes[:, channel]
        known = found[~hole, channel]
        if missing == "mean":
            filled[hole, channel] = known.mean(dtype=np.float64)
        elif missing == "linear":
            filled[hole, channel] = np.interp(time[hole], time[~hole], known)
        else:
            last = np.maximum.accumulate(np.where(hole, -1, time))
            source = np.where(last < 0, time[~hole][0], last)
            filled[:, channel] = found[source, channel]
    return filled
