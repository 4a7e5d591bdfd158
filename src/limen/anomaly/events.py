"""Events: stretches of time, found in labels or put into a series."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from limen._core.errors import UsageError


def runs(labels: Any) -> Int[np.ndarray, "events 2"]:
    """The runs of ones in 0/1 labels, as half-open intervals [start, end).

    Args:
        labels: (time,), 0 and 1 or booleans.

    Returns:
        One row for each run, in order; no row where nothing is labelled.

    Raises:
        UsageError: Other values than 0 and 1, or more than one axis.

    Example:
        >>> runs([0, 1, 1, 0, 1]).tolist()
        [[1, 3], [4, 5]]
    """
    flags = as_labels(labels)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags, [0]]).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def as_labels(labels: Any, length: int | None = None) -> Bool[np.ndarray, " time"]:
    """Labels as booleans.

    Args:
        labels: (time,), 0 and 1 or booleans.
        length: How many there must be.

    Returns:
        (time,).

    Raises:
        UsageError: Other values than 0 and 1, another length, or more than one axis.

    Example:
        >>> as_labels([0, 1])
        array([False,  True])
    """
    found = np.asarray(labels.detach().cpu() if hasattr(labels, "detach") else labels)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise UsageError(f"labels must be (time,), got shape {found.shape}")
    wrong = ~np.isin(found, (0, 1)) if found.dtype.kind in "biuf" else np.ones(len(found), bool)
    if wrong.any():
        others = ", ".join(np.unique(found[wrong].astype(str))[:3])
        raise UsageError(f"labels must be 0 and 1; found {others}")
    if length is not None and len(found) != length:
        raise UsageError(f"labels must be as many as points: {length} points, {len(found)} labels")
    return found.astype(bool)


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        start: First point.
        end: The point after the last one.
        channels: Which channels, from 0; () where not known.
        kind: What made it.
        magnitude: Root mean square of the change over its points and channels, in standard
            deviations of training; nan where not known.
        parent: First point of the window that it was made from; None where there is none.

    Example:
        >>> Event(3, 5, (0,), "spike").length
        2
    """

    start: int
    end: int
    channels: tuple[int, ...] = ()
    kind: str = ""
    magnitude: float = float("nan")
    parent: int | None = None

    @property
    def length(self) -> int:
        """Points."""
        return self.end - self.start


@dataclass(frozen=True)
class Events(Sequence[Event]):
    """A table of events, in order of their start.

    Args:
        events: The rows.

    Example:
        >>> events = Events.of([0, 1, 1, 0])
        >>> events[0].start, events[0].end, events.mask(4).astype(int)
        (1, 3, array([0, 1, 1, 0]))
    """

    events: tuple[Event, ...] = ()

    @classmethod
    def of(cls, labels: Any) -> "Events":
        """The events of 0/1 labels.

        Args:
            labels: (time,).
        """
        return cls(tuple(Event(int(start), int(end)) for start, end in runs(labels)))

    def mask(self, length: int) -> Bool[np.ndarray, " time"]:
        """Where an event is.

        Args:
            length: Points of the series.
        """
        found = np.zeros(length, dtype=bool)
        for event in self.events:
            found[event.start : event.end] = True
        return found

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each event, for a table or a data frame."""
        return [asdict(event) for event in self.events]

    def to_dict(self) -> dict[str, Any]:
        """The state, for `limen.save`; a magnitude that is not known is None."""
        rows = [{**row, "channels": list(row["channels"])} for row in self.rows()]
        for row in rows:
            row["magnitude"] = None if np.isnan(row["magnitude"]) else row["magnitude"]
        return {"events": rows}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Events":
        """Rebuild what `to_dict` gave."""
        found = []
        for row in state["events"]:
            size = float("nan") if row["magnitude"] is None else row["magnitude"]
            found.append(Event(**{**row, "channels": tuple(row["channels"]), "magnitude": size}))
        return cls(tuple(found))

    def __getitem__(self, index: Any) -> Any:
        return self.events[index]

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)
