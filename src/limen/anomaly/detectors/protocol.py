"""What every detector can do: fit, score each point, flag, and follow a stream."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float, Int

from limen._core.errors import UsageError
from limen.anomaly.channels import names_of, order_of
from limen.anomaly.options import Options, options_of
from limen.anomaly.series import (
    Missing,
    Series,
    as_many,
    as_series,
    check_channels,
    refuse_constant,
    refuse_labels,
)
from limen.anomaly.thresholds import Quantile
from limen.anomaly.windows import Windows, ending, period, sliding, to_points
from limen.run.files import packed, unpacked
from limen.run.provenance import hash_array

Align = Literal["mean", "end"]
_CHUNK = 4_000_000  # numbers of windows scored at once

Found = TypeVar("Found", bound="Detector")


class Detector(Options, ABC):
    """A detector of anomalies in time series, as scikit-learn, PyOD and aeon know them.

    A subclass is a dataclass whose fields are its options, among them `threshold` (a
    `limen.Threshold`, `Quantile` or `POT`; None is `Quantile(0.01)`), and implements `_fit`,
    `_scored` and `_state` / `_restore`. Scores: higher = more anomalous.

    Attributes:
        channels: Of the training series, after `fit`.
        names: Of these channels, where training came as data frames; data frames are then matched
            by name in whatever order, arrays by place.
        decision_scores_: Of the training points.

    Example:
        >>> from limen.anomaly.detectors.rms_z import RMSZ
        >>> isinstance(RMSZ(), Detector)
        True
    """

    threshold: Any
    channels: int | None = None
    names: tuple[str, ...] | None = None
    decision_scores_: Float[np.ndarray, " time"]
    _level: Any = None
    _past: np.ndarray | None = None
    _seen: tuple[tuple[int, str], ...] = ()

    def fit(self: Found, X: Any, y: Any = None, *, missing: Missing = "raise") -> Found:  # noqa: N803
        """Learn what is normal, and set the threshold from the scores of the training points.

        Args:
            X: One series (time,) or (time, channels) that is taken for normal, or a list of them.
            y: Nothing: labels are refused.
            missing: What to do with NaN, as in `limen.anomaly.as_series`.

        Returns:
            This detector, fitted.

        Raises:
            UsageError: Labels, a series shorter than a window, constant ones, no numbers, or data
                frames of other columns than the first.
        """
        refuse_labels(y)
        series = as_many(X, missing=missing)
        refuse_constant(series)
        frames = list(X) if isinstance(X, list | tuple) and len(X) == len(series) else [X]
        names = names_of(frames[0])
        series = [
            _ordered(one, names_of(frame), names) for one, frame in zip(series, frames, strict=True)
        ]
        self._past = None
        self._fit(series)
        self.channels, self.names = series[0].shape[1], names
        self._seen = tuple((len(one), hash_array(one)) for one in series)
        self.decision_scores_ = np.concatenate([self._scored(one) for one in series])
        blank = Quantile(0.01) if self.threshold is None else copy.deepcopy(self.threshold)
        self._level = blank.fit(self.decision_scores_)
        return self

    def decision_function(
        self,
        X: Any,  # noqa: N803
        *,
        align: Align | None = None,
        missing: Missing = "raise",
    ) -> Float[np.ndarray, " time"]:
        """A score for every point; higher = more anomalous.

        Args:
            X: A series with the channels of training.
            align: For detectors that score windows: "mean", over all windows that cover a point;
                "end", of the window that ends there, which is what `update` gives. The detector's
                own by default.
            missing: What to do with NaN.

        Returns:
            (time,).

        Raises:
            UsageError: Not fitted, other channels, or shorter than a window.
        """
        series = self._checked(X, missing)
        if align is not None and align not in get_args(Align):
            raise UsageError(f"align={align!r} must be one of {', '.join(get_args(Align))}")
        return self._scored(series, align)

    def score_samples(self, X: Any) -> Float[np.ndarray, " time"]:  # noqa: N803
        """The same as `decision_function`: higher = more anomalous."""
        return self.decision_function(X)

    def predict(self, X: Any) -> Int[np.ndarray, " time"]:  # noqa: N803
        """1 for every point whose score lies above the threshold, else 0."""
        return self._flags(self.decision_function(X))

    def fit_predict(self, X: Any, y: Any = None) -> Int[np.ndarray, " time"]:  # noqa: N803
        """Fit, and flag the training points."""
        return self.fit(X, y).labels_

    @property
    def threshold_(self) -> float:
        """The level above which a point is flagged."""
        self._require_fitted()
        return float(self._level.level)

    @property
    def labels_(self) -> Int[np.ndarray, " time"]:
        """Flags of the training points."""
        self._require_fitted()
        return self._flags(self.decision_scores_)

    def update(self, x: Any) -> float:
        """The score of the next point of a stream, at a cost that does not grow with its length.

        Equal to `decision_function(..., align="end")` over all points since `reset` or `fit`.

        Args:
            x: One point: a number, or one for each channel.

        Returns:
            Its score.

        Raises:
            UsageError: Not fitted, not finite, or another number of channels.
        """
        self._require_fitted()
        point = as_series(np.reshape(np.asarray(x), (1, -1)), name="x")
        check_channels(point, self.channels or 0, name="x")
        if self._past is None:
            self._past = np.repeat(point, self._memory(), axis=0)
        else:
            self._past = np.concatenate([self._past[1:], point.astype(self._past.dtype)])
        return float(self._window_scores(self._past[None])[0])

    def reset(self: Found) -> Found:
        """Forget the stream; what was fitted stays."""
        self._past = None
        return self

    def trained_on(self, X: Any, *, missing: Missing = "raise") -> int:  # noqa: N803
        """How many points from a series' start training saw: none of them may judge a detector.

        Args:
            X: A series with the channels of training.
            missing: What to do with NaN, as in `fit`.

        Returns:
            Points: the longest training series that this one begins with, number for number; 0
            where it begins with none.

        Raises:
            UsageError: Not fitted, or other channels.

        Example:
            >>> from limen.anomaly.detectors.rms_z import RMSZ
            >>> found = RMSZ().fit(np.arange(5.0))
            >>> found.trained_on(np.arange(9.0)), found.trained_on(np.ones(9))
            (5, 0)
        """
        series = self._checked(X, missing)
        ends = {end for end, told in self._seen if end <= len(series)
                and hash_array(series[:end]) == told}  # fmt: skip
        return max(ends, default=0)

    def to_dict(self) -> dict[str, Any]:
        """The options and what was fitted, for `limen.save`."""
        self._require_fitted()
        asked = self.threshold
        try:
            self.threshold = asked and self._level  # one that is not fitted has no state to write
            params = self.packed_options()
        finally:
            self.threshold = asked
        return {
            "params": params,
            "channels": self.channels,
            "names": None if self.names is None else list(self.names),
            "seen": [list(one) for one in self._seen],
            "scores": self.decision_scores_,
            "level": packed(self._level),
            "state": self._state(),
        }

    @classmethod
    def from_dict(cls: type[Found], state: Mapping[str, Any]) -> Found:
        """Rebuild what `to_dict` gave."""
        detector = cls(**options_of(state["params"]))
        detector.channels = state["channels"]
        detector.names = tuple(state["names"]) if state.get("names") else None
        detector._seen = tuple((int(end), told) for end, told in state.get("seen", ()))
        detector.decision_scores_ = np.asarray(state["scores"])
        detector._level = unpacked(state["level"])
        detector._restore(state["state"])
        return detector

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """Each channel's part of each point's score; higher = more of it is this channel's.

        Args:
            X: A series with the channels of training.

        Returns:
            (time, channels).

        Raises:
            UsageError: This detector cannot tell.
        """
        del X
        raise UsageError(
            f"{type(self).__name__} cannot tell which channel a score is due to; RMSZ, MaxZ, "
            "the PCAs and the detectors with a network can"
        )

    @abstractmethod
    def _fit(self, series: list[np.ndarray]) -> None:
        """Learn from training series of equal channels."""

    @abstractmethod
    def _scored(self, series: Series, align: Align | None = None) -> Float[np.ndarray, " time"]:
        """A score for every point."""

    @abstractmethod
    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """A score for every window of `_memory()` points."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """What was fitted: arrays, tensors, numbers, strings."""

    @abstractmethod
    def _restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `_state` gave."""

    def _memory(self) -> int:
        """How many points of a stream the score of its last one needs."""
        return 1

    def _flags(self, scores: np.ndarray) -> Int[np.ndarray, " time"]:
        return np.asarray(self._level.flag(scores)).astype(np.int64)

    def _checked(self, values: Any, missing: Missing = "raise") -> Series:
        """A series that this fitted detector can score."""
        self._require_fitted()
        series = as_series(values, missing=missing)
        series = _ordered(series, names_of(values), self.names)
        check_channels(series, self.channels or 0)
        return series

    def _require_fitted(self) -> None:
        """Refuse before `fit`.

        Raises:
            UsageError: Not fitted.
        """
        if self.channels is None:
            raise UsageError(f"{type(self).__name__} must be fitted first: .fit(X)")


def _ordered(
    series: Series, names: tuple[str, ...] | None, wanted: tuple[str, ...] | None
) -> Series:
    """A series with its channels in the order of training, where both have names."""
    order = order_of(names, wanted)
    return series if order in (None, list(range(series.shape[1]))) else series[:, order]


class Pointwise(Detector):
    """A detector that scores each point by itself: implements `_point_scores`.

    Example:
        >>> from limen.anomaly.detectors.max_z import MaxZ
        >>> isinstance(MaxZ(), Pointwise)
        True
    """

    @abstractmethod
    def _point_scores(self, points: Series) -> Float[np.ndarray, " time"]:
        """A score for every point."""

    def _scored(self, series: Series, align: Align | None = None) -> Float[np.ndarray, " time"]:
        del align  # a point is its own window
        return np.asarray(self._point_scores(series), dtype=np.float64)

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        return self._scored(windows[:, -1])


class Windowed(Detector):
    """A detector that scores windows: implements `_fit_windows` and `_window_scores`.

    Its fields `window` (points, or None: one period, at least 10, of the first training series),
    `stride` (between training windows) and `align`; `size` is the window after `fit`.

    Example:
        >>> from limen.anomaly.detectors.knn import KNN
        >>> isinstance(KNN(), Windowed)
        True
    """

    window: int | None
    stride: int
    align: Align
    size: int = 0

    @abstractmethod
    def _fit_windows(self, series: list[np.ndarray]) -> None:
        """Learn from series of `size` points or more."""

    def _fit(self, series: list[np.ndarray]) -> None:
        if self.align not in get_args(Align):
            raise UsageError(f"align={self.align!r} must be one of {', '.join(get_args(Align))}")
        made = getattr(getattr(self, "made", None), "window", None)
        own = made if self.window is None else self.window
        self.size = max(10, period(series[0])) if own is None else own
        for one in series:
            sliding(one, self.size)  # refuses one that is too short
        self._fit_windows(series)

    def _training_windows(self, series: list[np.ndarray]) -> Windows:
        """All training windows, copied into one array."""
        return np.concatenate([sliding(one, self.size, stride=self.stride) for one in series])

    def _scored(self, series: Series, align: Align | None = None) -> Float[np.ndarray, " time"]:
        if (align or self.align) == "end":
            return self._by_chunks(ending(series, self.size))
        found = self._by_chunks(sliding(series, self.size))
        return to_points(found, len(series), window=self.size)

    def _by_chunks(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """Scores of windows that are never all in memory at once."""
        rows = max(1, _CHUNK // max(1, windows[0].size))
        parts = [
            np.asarray(self._window_scores(windows[i : i + rows]), dtype=np.float64)
            for i in range(0, len(windows), rows)
        ]
        return np.concatenate(parts)

    def _memory(self) -> int:
        return self.size
