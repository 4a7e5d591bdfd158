"""What every maker of anomalies can do: disturb windows, sample, and put events into a series."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Int

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.anomaly.events import Event, Events
from limen.anomaly.fading import rising
from limen.anomaly.options import Options, options_of
from limen.anomaly.series import (
    Missing,
    Series,
    as_many,
    as_series,
    check_channels,
    refuse_labels,
)
from limen.anomaly.windows import Scaler, Windows, sliding

Spans = Int[np.ndarray, "windows 2"]
_DRAWS = 6  # of one event, before a maker is said to change nothing there

Made = TypeVar("Made", bound="Maker")


class Disturbed(NamedTuple):
    """Windows that a maker made abnormal.

    Attributes:
        windows: (windows, time, channels), in the data's unit; outside `mask` the parents' bits.
        mask: Which numbers are changed, same shape.
        kinds: What made each window.
        parents: The windows that they were made from.

    Example:
        >>> one = np.zeros((1, 2, 1))
        >>> Disturbed(one, one.astype(bool), ("spike",), one).kinds
        ('spike',)
    """

    windows: Windows
    mask: Bool[np.ndarray, "windows span channels"]
    kinds: tuple[str, ...]
    parents: Windows


class Injected(NamedTuple):
    """A series with events put into it.

    Attributes:
        series: In the input's shape and floating-point type; outside `mask` the input's bits.
        mask: Which numbers are changed, in the input's shape.
        events: The table of events, in order of time.

    Example:
        >>> Injected(np.zeros(3), np.zeros(3, dtype=bool), Events()).events
        Events(events=())
    """

    series: np.ndarray
    mask: np.ndarray
    events: Events


class Maker(Options, ABC):
    """Makes anomalies out of normal windows.

    A subclass is a dataclass with a field `window` that implements `disturb`, and `_learn`,
    `_state` and `_restore` where it learns more than the channels' scale. `taper` says over how
    many points an injected change fades in and out, so that no jump at a seam gives an event away.

    Example:
        >>> from limen.anomaly.synth.spike import Spike
        >>> isinstance(Spike(), Maker)
        True
    """

    taper: ClassVar[int] = 0
    window: int
    scaler: Scaler | None = None

    def fit(self: Made, X: Any, y: Any = None, *, missing: Missing = "raise") -> Made:  # noqa: N803
        """Learn from normal series.

        Args:
            X: One series (time, channels), or a list of them.
            y: Nothing: labels are refused.
            missing: What to do with NaN, as in `limen.anomaly.as_series`.

        Returns:
            This maker, fitted.

        Raises:
            UsageError: Labels, no series of a window or more, or no numbers.
        """
        refuse_labels(y)
        series = as_many(X, missing=missing)
        longest = max(len(one) for one in series)
        if longest < self.window:
            raise UsageError(
                f"X must be at least as long as the window of {self.window} points; it has "
                f"{longest}; bring a longer series or take a shorter window"
            )
        kept = [one for one in series if len(one) >= self.window]
        self.scaler = Scaler.fit(kept)
        self._learn(kept)
        return self

    @abstractmethod
    def disturb(
        self,
        windows: Windows,
        *,
        stream: np.random.Generator,
        spans: Spans | None = None,
    ) -> Disturbed:
        """Make every window abnormal somewhere.

        Args:
            windows: Normal windows, in the data's unit.
            stream: Random numbers.
            spans: For each window [start, end) within which it may change; None leaves the choice
                to the maker.

        Returns:
            As many windows, each changed in one number at least.
        """

    def sample(self, count: int, X: Any, *, seed: int = 0) -> Disturbed:  # noqa: N803
        """Abnormal windows made from windows of a series.

        Args:
            count: How many.
            X: The normal series.
            seed: Of the choice of windows and of what is done to them.

        Returns:
            The windows, their masks, kinds and parents.

        Raises:
            UsageError: Not fitted, a series shorter than a window, or `count` below 1.
        """
        if count < 1:
            raise UsageError(f"count must be 1 or more, got {count}")
        views = [sliding(one, self.window) for one in self._ready(X)]
        stream = numpy_stream(seed, "sample", type(self).__name__)
        sizes = np.array([len(view) for view in views])
        ends = np.cumsum(sizes)
        chosen = stream.integers(ends[-1], size=count)
        which = np.searchsorted(ends, chosen, side="right")
        starts = chosen - (ends - sizes)[which]
        parents = np.stack([views[w][s] for w, s in zip(which, starts, strict=True)])
        return self.disturb(parents, stream=stream)

    def inject(
        self,
        X: Any,  # noqa: N803
        *,
        events: int = 5,
        seed: int = 0,
        length: tuple[int, int] | None = None,
        gap: int | None = None,
        size: float | None = None,
    ) -> Injected:
        """Put events into a series.

        Spans are drawn without overlap, each way to place them equally likely; each is changed
        within a window around it.

        Args:
            X: A series (time,) or (time, channels).
            events: How many, at least 1.
            seed: The same seed gives the same events.
            length: Least and greatest number of points of an event; the maker's own by default.
            gap: Least number of normal points between events; one window by default.
            size: How hard they are: every change is scaled to this root mean square over its
                points and channels, in standard deviations of training. None leaves them as made.

        Returns:
            The series, the mask of changed numbers, and the table of events.

        Raises:
            UsageError: Not fitted, the events do not fit (it says how many do), or a number is out
                of range.

        Example:
            >>> from limen.anomaly.synth.spike import Spike
            >>> flat = np.zeros((50, 1))
            >>> flat[::2] = 1.0
            >>> made = Spike(window=10).fit(flat).inject(flat, events=2)
            >>> len(made.events), bool((made.series == flat)[~made.mask].all())
            (2, True)
        """
        if size is not None and not 0 < size < float("inf"):
            raise UsageError(f"size must be above 0 and finite, got {size}")
        (series,) = self._ready(X, one=True)
        stream = numpy_stream(seed, "inject", type(self).__name__)
        low, high = self._lengths(length)
        spans = placed(
            len(series), events, length=(low, high),
            gap=self.window if gap is None else gap, stream=stream,
        )  # fmt: skip
        out, mask = series.copy(), np.zeros(series.shape, dtype=bool)
        table = []
        for start, end in spans:
            first = int(np.clip((start + end - self.window) // 2, 0, len(series) - self.window))
            parent = series[first : first + self.window]
            inside = np.array([[start - first, end - first]])
            change, kind = self._change(parent, inside, stream=stream, size=size)
            here = slice(first, first + self.window)
            new = (parent + change).astype(series.dtype)
            moved = new != parent
            out[here] = np.where(moved, new, out[here])
            mask[here] |= moved
            table.append(self._event(moved, change, first=first, kind=kind))
        shape = np.shape(X)
        if len(shape) == 1:
            return Injected(out[:, 0], mask[:, 0], Events(tuple(table)))
        return Injected(out, mask, Events(tuple(table)))

    def to_dict(self) -> dict[str, Any]:
        """The options and what was fitted, for `limen.save`."""
        scaler = None if self.scaler is None else self.scaler.to_dict()
        return {"params": self.packed_options(), "scaler": scaler, "state": self._state()}

    @classmethod
    def from_dict(cls: type[Made], state: Mapping[str, Any]) -> Made:
        """Rebuild what `to_dict` gave."""
        maker = cls(**options_of(state["params"]))
        maker.scaler = None if state["scaler"] is None else Scaler.from_dict(state["scaler"])
        maker._restore(state["state"])
        return maker

    def _state(self) -> dict[str, Any]:
        """What was learnt beside the scale: arrays, tensors, numbers, strings."""
        return {}

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `_state` gave."""

    def _learn(self, series: list[np.ndarray]) -> None:
        """Learn from normal series, each at least a window long."""

    def _lengths(self, given: tuple[int, int] | None) -> tuple[int, int]:
        """Least and greatest length of an event.

        Raises:
            UsageError: They are no range within a window.
        """
        low, high = given if given is not None else (max(1, self.window // 10), self.window // 2)
        high = max(low, high)
        if not 1 <= low <= high <= self.window:
            raise UsageError(
                f"length must be a range from 1 to the window's {self.window} points, got {given}"
            )
        return low, high

    def _ready(self, values: Any, *, one: bool = False) -> list[np.ndarray]:
        """The series, if this maker is fitted and they fit it.

        Raises:
            UsageError: Not fitted; other channels; shorter than a window.
        """
        if self.scaler is None:
            raise UsageError(f"{type(self).__name__} must be fitted first: .fit(X)")
        series = [as_series(values)] if one else as_many(values)
        for found in series:
            check_channels(found, len(self.scaler.low))
            if len(found) < self.window:
                raise UsageError(
                    f"X must be at least as long as the window of {self.window} points; it has "
                    f"{len(found)}; bring a longer series or make a shorter window"
                )
        return series

    def _change(
        self, parent: Series, inside: Spans, *, stream: np.random.Generator, size: float | None
    ) -> tuple[np.ndarray, str]:
        """What to add to a window, zero outside the span, tapered and brought to size.

        Raises:
            UsageError: The maker changes nothing there.
        """
        assert self.scaler is not None
        for _ in range(_DRAWS):
            made = self.disturb(parent[None], stream=stream, spans=inside)
            change = np.where(made.mask[0], made.windows[0] - parent, 0.0).astype(np.float64)
            outside = np.ones(len(parent), dtype=bool)
            outside[inside[0, 0] : inside[0, 1]] = False
            change[outside] = 0.0
            change *= fade(inside[0], len(parent), points=self.taper)[:, None]
            if size is not None and change.any():
                change *= size / self._magnitude(change)
            if ((parent + change).astype(parent.dtype) != parent).any():
                return change, made.kinds[0]
        raise UsageError(
            f"{type(self).__name__} changes nothing in points {inside[0, 0]} to {inside[0, 1]} of "
            "a window: the series is constant there; take another maker or longer events"
        )

    def _magnitude(self, change: np.ndarray) -> float:
        """Root mean square over what moved, in standard deviations of training."""
        assert self.scaler is not None
        scaled = change / self.scaler.size
        return float(np.sqrt(np.mean(np.square(scaled[change != 0]))))

    def _event(self, moved: np.ndarray, change: np.ndarray, *, first: int, kind: str) -> Event:
        points = np.flatnonzero(moved.any(1))
        return Event(
            first + int(points[0]), first + int(points[-1]) + 1,
            channels=tuple(int(c) for c in np.flatnonzero(moved.any(0))),
            kind=kind, magnitude=self._magnitude(np.where(moved, change, 0.0)), parent=first,
        )  # fmt: skip


def placed(
    points: int,
    events: int,
    *,
    length: tuple[int, int],
    gap: int,
    stream: np.random.Generator,
) -> Int[np.ndarray, "events 2"]:
    """Disjoint spans, at least `gap` points apart, every arrangement equally likely.

    Args:
        points: Of the series.
        events: How many.
        length: Least and greatest number of points of a span; each length equally likely.
        gap: Points between two spans.
        stream: Random numbers.

    Returns:
        [start, end) in order of time.

    Raises:
        UsageError: They do not fit; it says how many do.

    Example:
        >>> placed(5, 2, length=(2, 2), gap=1, stream=np.random.default_rng(0)).tolist()
        [[0, 2], [3, 5]]
    """
    if events < 1 or gap < 0:
        raise UsageError(f"events must be 1 or more and gap 0 or more, got {events} and {gap}")
    lengths = stream.integers(length[0], length[1] + 1, size=events)
    most = (points + gap) // (length[1] + gap)
    if events > most:
        raise UsageError(
            f"{most} events of up to {length[1]} points fit into {points} points with {gap} "
            f"between them, {events} were asked for; take fewer, shorter ones, or a smaller gap"
        )
    slack = points - int(lengths.sum()) - gap * (events - 1)
    # `events` bars among `slack` stars: sorted draws without replacement
    bars = np.sort(stream.choice(slack + events, size=events, replace=False)) - np.arange(events)
    starts = bars + np.concatenate([[0], np.cumsum(lengths[:-1] + gap)])
    return np.stack([starts, starts + lengths], axis=1)


def fade(span: Int[np.ndarray, " 2"], window: int, *, points: int) -> np.ndarray:
    """Weights that rise from 0 to 1 and fall again by a cosine, over `points` at each seam.

    Args:
        span: [start, end) within the window.
        window: Points.
        points: At each seam; at most a quarter of the span is used, and a seam on the window's
            edge stays a seam.

    Returns:
        (window,), 0 outside the span.

    Example:
        >>> fade(np.array([1, 9]), 10, points=1).round(2)
        array([0. , 0.5, 1. , 1. , 1. , 1. , 1. , 1. , 0.5, 0. ])
    """
    weights = np.zeros(window)
    start, end = (int(x) for x in span)
    weights[start:end] = 1.0
    count = min(points, (end - start) // 4)
    if count > 0:
        rise = rising(np.arange(1, count + 1), np.array(count))
        weights[start : start + count] = rise
        weights[end - count : end] = rise[::-1]
    return weights
