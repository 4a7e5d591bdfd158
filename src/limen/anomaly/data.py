"""Series from files: CSV, Parquet, npz, npy or plain numbers, with their times and labels."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen.anomaly.channels import order_of
from limen.anomaly.events import as_labels
from limen.anomaly.series import Missing, as_series

TIMES = ("time", "timestamp", "datetime", "date", "ts")
INDEX = "Unnamed: 0"
"""What pandas calls the column that it writes a frame's index to."""
LABELS = ("label", "labels", "is_anomaly", "anomaly")
_NUMBER = re.compile(r"-?\d+(\.\d+)*(e[+-]?\d+)?", re.IGNORECASE)
_READERS = {".csv": ",", ".tsv": "\t", ".parquet": "", ".npz": "", ".npy": "", ".txt": ""}


@dataclass(frozen=True, eq=False)
class Recording:
    """A series and what its file says about it.

    Attributes:
        values: (time, channels).
        names: Of the channels.
        times: Of the points, strictly increasing: dates or numbers; None where the file has none.
        labels: Which points are abnormal; None where the file does not say.
        source: The file's name.
        named: Whether the names stood in the file; else they only count the channels.

    Example:
        >>> found = Recording(np.zeros((3, 1)), ("load",))
        >>> found.at(2)
        '2'
    """

    values: Float[np.ndarray, "time channels"]
    names: tuple[str, ...]
    times: np.ndarray | None = None
    labels: Bool[np.ndarray, " time"] | None = None
    source: str = ""
    named: bool = False

    def at(self, point: int) -> str:
        """The time of a point, or its number."""
        if self.times is None:
            return str(point)
        time = self.times[point]
        whole = np.issubdtype(self.times.dtype, np.datetime64) and time == time.astype("M8[s]")
        return str(time.astype("M8[s]") if whole else time)

    def part(self, start: int, end: int | None = None) -> "Recording":
        """The points from `start` up to `end`."""
        here = slice(start, end)
        return Recording(
            self.values[here], self.names,
            times=None if self.times is None else self.times[here],
            labels=None if self.labels is None else self.labels[here], source=self.source,
            named=self.named,
        )  # fmt: skip

    def like(self, names: tuple[str, ...] | None) -> "Recording":
        """The same with the channels in another one's order, where both have names.

        Args:
            names: The other one's.

        Raises:
            UsageError: The channels are not the same ones.
        """
        order = order_of(self.names if self.named else None, names, what=self.source or "a series")
        if order is None:
            return self
        return replace(self, values=self.values[:, order], names=tuple(names or ()))

    def frame(self) -> Any:
        """The values as a data frame where the file named the channels, else as an array."""
        if not self.named:
            return self.values
        return require("pandas", extra="timeseries").DataFrame(
            self.values, columns=list(self.names)
        )


def read_series(
    path: str | Path,
    *,
    time: str | None = None,
    label: str | None = None,
    channels: Iterable[str] | None = None,
    missing: Missing = "raise",
) -> Recording:
    r"""Read one series.

    A column called time, timestamp, datetime, date or ts holds the times, one called label,
    labels, is_anomaly or anomaly the labels (upper or lower case); all others are channels. A first
    column without a name, as pandas writes an index, holds the times where no other does, and is
    left out else; so is the index of a Parquet table.

    Args:
        path: A .csv, .tsv or .parquet table; .npy or .txt of numbers; or an array of an .npz by
            its key, "smd/machine-1-6.npz/test", whose labels are the array "test_label".
        time: Another column of times.
        label: Another column (or array) of labels.
        channels: The columns to take, where not all others.
        missing: What to do with NaN, as in `limen.anomaly.as_series`.

    Returns:
        The recording.

    Raises:
        UsageError: No such file, column or key; a table without rows or names; times out of order
            or twice; labels that are not 0 and 1 or of another length; columns that are no numbers.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "load.csv"
        >>> _ = file.write_text("time,load,label\n1,0.5,0\n2,0.7,1\n")
        >>> found = read_series(file)
        >>> found.values.ravel().tolist(), found.names, found.labels.tolist()
        ([0.5, 0.7], ('load',), [False, True])
    """
    path = Path(path)
    inside = path.parent.suffix == ".npz" and path.parent.is_file()
    file = path.parent if inside else path
    if file.is_dir():
        raise UsageError(f"{file} must be a file; it is a folder")
    if not file.is_file():
        here = [p.name for p in file.parent.glob("*")] if file.parent.is_dir() else []
        hint = f"; nearest: {nearest(file.name, here)}" if here else ""
        raise UsageError(f"{file} must be a file; there is no such file{hint}")
    if file.suffix not in _READERS:
        raise UsageError(f"{file} must be one of {', '.join(_READERS)}, got {file.suffix!r}")
    if file.suffix in (".csv", ".tsv", ".parquet"):
        found = _table(file, time=time, label=label, channels=channels, missing=missing)
    else:
        found = _arrays(file, path.name if inside else None, label=label, missing=missing)
    return found


@dataclass(frozen=True, eq=False)
class UCR:
    """A series of the UCR anomaly archive: one anomaly, all told by the file's name.

    Attributes:
        values: The whole series, (time, 1).
        train_end: Points of training.
        start: First abnormal point.
        end: The point after the last one.
        name: Of the series.

    Reference:
        R. Wu and E. J. Keogh, "Current time series anomaly detection benchmarks are flawed and are
        creating the illusion of progress", IEEE TKDE, 2021.

    Example:
        >>> UCR(np.zeros((9, 1)), train_end=4, start=6, end=7, name="flat").train.shape
        (4, 1)
    """

    values: Float[np.ndarray, "time channels"]
    train_end: int
    start: int
    end: int
    name: str

    @property
    def train(self) -> Float[np.ndarray, "points channels"]:
        """The training part."""
        return self.values[: self.train_end]

    @property
    def test(self) -> Float[np.ndarray, "points channels"]:
        """What comes after it."""
        return self.values[self.train_end :]

    @property
    def labels(self) -> Bool[np.ndarray, " points"]:
        """Labels of the test part."""
        index = np.arange(self.train_end, len(self.values))
        return (index >= self.start) & (index < self.end)


def read_ucr(path: str | Path) -> UCR:
    r"""Read a file of the UCR archive, `NNN_UCR_Anomaly_NAME_TRAINEND_START_END.txt`.

    START and END count from 1 and are both inside, as in the archive's own scripts.

    Args:
        path: The file.

    Returns:
        The series and its one anomaly.

    Raises:
        UsageError: No such file, or another name.

    Reference:
        R. Wu and E. J. Keogh, "Current time series anomaly detection benchmarks are flawed and are
        creating the illusion of progress", IEEE TKDE, 2021.

    Example:
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "001_UCR_Anomaly_flat_4_7_8.txt"
        >>> _ = file.write_text("0\n" * 6 + "1\n1\n0\n")
        >>> read_ucr(file).labels.astype(int)
        array([0, 0, 1, 1, 0])
    """
    path = Path(path)
    named = re.fullmatch(r"(\d+_UCR_Anomaly_.+)_(\d+)_(\d+)_(\d+)", path.stem)
    if named is None:
        raise UsageError(
            f"{path.name} must be called NNN_UCR_Anomaly_NAME_TRAINEND_START_END.txt: the name "
            "says where training ends and where the anomaly lies"
        )
    train_end, start, end = (int(x) for x in named.groups()[1:])
    values = read_series(path).values
    if not 0 < train_end < start <= end <= len(values):
        raise UsageError(
            f"{path.name} must name a training end before the anomaly's start and end, within "
            f"{len(values)} points"
        )
    return UCR(values, train_end=train_end, start=start - 1, end=end, name=named.group(1))


def _table(
    file: Path,
    *,
    time: str | None,
    label: str | None,
    channels: Iterable[str] | None,
    missing: Missing,
) -> Recording:
    """A recording from a table with named columns.

    Raises:
        UsageError: It cannot be read.
    """
    pandas = require("pandas", extra="timeseries")
    frame = _frame(file, pandas)
    times = _column(frame, time, TIMES, file=file)
    labels = _column(frame, label, LABELS, file=file)
    index = INDEX if frame.columns[0] == INDEX else None
    times = times or index
    wanted = list(channels) if channels is not None else None
    for name in wanted or ():
        _column(frame, name, (), file=file)
    taken = wanted or [c for c in frame.columns if c not in (times, labels, index)]
    if len(set(taken)) < len(taken):
        raise UsageError(f"channels of {file} must be named once each, got {', '.join(taken)}")
    if not taken:
        raise UsageError(f"{file} must have a column of values beside {times or labels}")
    values = as_series(frame[taken], missing=missing, name=file.name)
    return Recording(
        values, tuple(taken),
        times=None if times is None else _ordered(frame[times], pandas, file),
        labels=None if labels is None else as_labels(frame[labels].to_numpy(), len(values)),
        source=file.name, named=True,
    )  # fmt: skip


def _frame(file: Path, pandas: Any) -> Any:
    """A table with named columns and rows; an index that says something is its first column.

    Raises:
        UsageError: It cannot be read, or has no rows or no names.
    """
    try:
        if file.suffix == ".parquet":
            require("pyarrow", extra="timeseries")
            frame = pandas.read_parquet(file)
            if not isinstance(frame.index, pandas.RangeIndex):
                frame = frame.reset_index(names=[n or INDEX for n in frame.index.names])
        else:
            frame = pandas.read_csv(file, sep=_READERS[file.suffix], float_precision="round_trip")
    except UnicodeDecodeError as failure:
        raise UsageError(f"{file} must be UTF-8 text: {failure.reason}; save it anew") from failure
    except (ValueError, OSError) as failure:
        raise UsageError(f"{file} must be a table with a header: {failure}") from failure
    frame.columns = [str(column) for column in frame.columns]
    if not len(frame):
        raise UsageError(f"{file} must have rows; it has a header alone")
    if all(_NUMBER.fullmatch(name) for name in frame.columns) and "." in "".join(frame.columns):
        raise UsageError(
            f"{file} must begin with the names of its columns; it begins with "
            f"{', '.join(frame.columns[:3])}"
        )
    return frame


def _column(frame: Any, named: str | None, usual: tuple[str, ...], *, file: Path) -> str | None:
    """The named column, or the first of the usual ones.

    Raises:
        UsageError: The named one is not there.
    """
    if named is not None:
        if named not in frame.columns:
            raise UsageError(
                f"{file} must have a column {named!r}; nearest: {nearest(named, frame.columns)}"
            )
        return named
    return next((c for u in usual for c in frame.columns if c.strip().lower() == u), None)


def _ordered(column: Any, pandas: Any, file: Path) -> np.ndarray:
    """Times as numbers or dates, each later than the one before.

    Raises:
        UsageError: They are no times, out of order, or one comes twice.
    """
    if column.dtype.kind not in "iufM":
        try:
            with warnings.catch_warnings(action="ignore"):  # of a format that it had to guess
                column = pandas.to_datetime(column)
        except (ValueError, TypeError) as failure:
            raise UsageError(
                f"column {column.name!r} of {file} must hold times: {failure}"
            ) from failure
    times = column.to_numpy()
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise UsageError(f"{file} must have a time in every row; row {row} has none")
    wrong = np.flatnonzero(times[1:] <= times[:-1])
    if len(wrong):
        row = int(wrong[0]) + 1
        what = "the same time as" if times[row] == times[row - 1] else "an earlier time than"
        raise UsageError(
            f"{file} must be sorted by time, each time once; row {row} ({times[row]}) has {what} "
            f"the row before; {len(wrong)} such rows; sort it and drop duplicates"
        )
    return times


def _arrays(file: Path, key: str | None, *, label: str | None, missing: Missing) -> Recording:
    """A recording from numbers without names.

    Raises:
        UsageError: It cannot be read, or has no such key.
    """
    labels = None
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                values, labels = _keyed(archive, key, label, file=file)
        elif file.suffix == ".npy":
            values = np.load(file, allow_pickle=False)
        else:
            values = np.loadtxt(file, ndmin=1)
            values = values.ravel() if values.ndim == 2 and len(values) == 1 else values
    except UsageError:
        raise
    except (ValueError, OSError) as failure:
        raise UsageError(f"{file} must hold numbers: {failure}") from failure
    found = as_series(values, missing=missing, name=file.name)
    return Recording(
        found, tuple(f"channel {c}" for c in range(found.shape[1])),
        labels=None if labels is None else as_labels(labels, len(found)),
        source=file.name if key is None else f"{file.name}/{key}",
    )  # fmt: skip


def _keyed(
    archive: Any, key: str | None, label: str | None, *, file: Path
) -> tuple[np.ndarray, np.ndarray | None]:
    """An array of an archive and its labels.

    Raises:
        UsageError: No such key, or none given where there are several.
    """
    keys = [k for k in archive.files if not k.endswith("label")]
    if key is None:
        if len(keys) != 1:
            raise UsageError(f"{file} holds {', '.join(keys)}; name one: {file}/{keys[0]}")
        key = keys[0]
    if key not in archive.files:
        raise UsageError(f"{file} must hold {key!r}; it has {', '.join(archive.files)}")
    if label is not None and label not in archive.files:
        raise UsageError(f"{file} must hold {label!r}; it has {', '.join(archive.files)}")
    labels = label or next((k for k in (f"{key}_label", "label") if k in archive.files), None)
    return archive[key], None if labels is None else archive[labels]
