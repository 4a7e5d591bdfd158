"""What all rules share: where they strike, which channels, and in which unit."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.synth.protocol import Disturbed, Maker, Spans
from limen.anomaly.windows import Windows

Bent = Float[np.ndarray, "span channels"]
_DRAWS = 5
_SHIFT = 2.0  # standard deviations, where a rule changes nothing


@dataclass(frozen=True)
class Stretch:
    """Where a rule strikes, in standard deviations of training.

    Attributes:
        window: (time, channels), the chosen channels alone.
        other: Another window, the same channels.
        start: First point of the stretch.
        end: The point after its last one.
        channels: Numbers of the chosen channels.
        free: Whether the rule chose the stretch itself and may go beyond its end.
        stream: Random numbers.

    Example:
        >>> window = np.arange(6.0)[:, None]
        >>> on = Stretch(window, window, 1, 3, np.array([0]), True, np.random.default_rng(0))
        >>> on.segment.ravel(), on.points
        (array([1., 2.]), 2)
    """

    window: Float[np.ndarray, "time channels"]
    other: Float[np.ndarray, "others channels"]
    start: int
    end: int
    channels: np.ndarray
    free: bool
    stream: np.random.Generator

    @property
    def segment(self) -> Bent:
        """The stretch as it is."""
        return self.window[self.start : self.end]

    @property
    def points(self) -> int:
        """Its length."""
        return self.end - self.start

    def sign(self) -> float:
        """1 or -1 by a fair coin."""
        return float(self.stream.choice((-1.0, 1.0)))


@dataclass(eq=False)
class Rule(Maker):
    """A maker that follows a rule: a stretch of some channels of a standardised window is bent.

    A stretch of a tenth to nine tenths of a window is drawn where none is given, and one channel
    to half of them, each at most once. A rule that changes nothing there (a permuted constant, for
    instance) is drawn again, then replaced by a shift of two standard deviations, whose kind reads
    "level_shift, for want of" the rule's; `misses` counts them.

    Args:
        window: Points in a window.

    Example:
        >>> from limen.anomaly.synth.trend import Trend
        >>> isinstance(Trend(), Rule)
        True
    """

    window: int = 100
    misses: int = field(default=0, init=False, repr=False)

    kind: ClassVar[str] = "rule"
    least: ClassVar[int] = 1
    """Points of a stretch below which the rule would change nothing."""

    def __post_init__(self) -> None:
        if isinstance(self.window, bool) or self.window < 4:
            raise UsageError(f"window must be 4 or more, got {self.window}")

    def disturb(
        self,
        windows: Windows,
        *,
        stream: np.random.Generator,
        spans: Spans | None = None,
    ) -> Disturbed:
        """Bend every window somewhere; see `Maker.disturb`.

        Raises:
            UsageError: Not fitted, or numbers too large for a change to show.
        """
        if self.scaler is None:
            raise UsageError(f"{type(self).__name__} must be fitted first: .fit(X)")
        out = windows.copy()
        kinds = []
        for i, window in enumerate(windows):
            other = windows[int(stream.integers(len(windows)))]
            span = None if spans is None else (int(spans[i, 0]), int(spans[i, 1]))
            out[i], kind = self._one(window, other, span=span, stream=stream)
            kinds.append(kind)
        return Disturbed(out, out != windows, tuple(kinds), windows)

    @abstractmethod
    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        """New values from `on.start` on, in standard deviations, and what they are called."""

    def _one(
        self,
        window: np.ndarray,
        other: np.ndarray,
        *,
        span: tuple[int, int] | None,
        stream: np.random.Generator,
    ) -> tuple[np.ndarray, str]:
        assert self.scaler is not None
        standard, strange = self.scaler(window), self.scaler(other)
        for attempt in range(_DRAWS + 1):
            start, end = span or self._span(len(window), stream)
            channels = self._channels(window.shape[1], stream)
            on = Stretch(
                standard[:, channels], strange[:, channels], start, end,
                channels=channels, free=span is None, stream=stream,
            )  # fmt: skip
            if attempt < _DRAWS:
                new, kind = self._bent(on)
            else:
                self.misses += 1
                new, kind = on.segment + _SHIFT * on.sign(), f"level_shift, for want of {self.kind}"
            change = (new - on.window[start : start + len(new)]) * self.scaler.size[channels]
            found = window.copy()
            found[np.ix_(np.arange(start, start + len(new)), channels)] += change.astype(
                window.dtype
            )
            if (found != window).any():
                return found, kind
        raise UsageError(f"{type(self).__name__} changes nothing: the numbers are too large for "
                         f"{window.dtype} to hold a shift of {_SHIFT} deviations")  # fmt: skip

    def _span(self, length: int, stream: np.random.Generator) -> tuple[int, int]:
        low = max(self.least, length // 10)
        points = int(stream.integers(low, max(low + 1, 9 * length // 10)))
        start = int(stream.integers(0, length - points + 1))
        return start, start + points

    def _lengths(self, given: tuple[int, int] | None) -> tuple[int, int]:
        low, high = super()._lengths(given)
        return (low, high) if given else (max(low, self.least), max(high, self.least))

    def _channels(self, count: int, stream: np.random.Generator) -> np.ndarray:
        some = int(stream.integers(1, max(1, count // 2) + 1))
        found: np.ndarray = np.sort(stream.choice(count, size=some, replace=False))
        return found
