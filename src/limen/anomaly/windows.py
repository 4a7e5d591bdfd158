"""Windows over a series and back to its points; scales; a window's natural length."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from limen._core.errors import UsageError
from limen.anomaly.series import Series

Windows = Float[np.ndarray, "windows span channels"]
Scale = Literal["zscore", "minmax", "none"]


def sliding(values: Series, window: int, *, stride: int = 1) -> Windows:
    """All windows of a series, first to last, as a view.

    Args:
        values: (time, channels).
        window: Points in a window.
        stride: Points from one window's start to the next one's.

    Returns:
        (1 + (time - window) // stride, window, channels); read-only.

    Raises:
        UsageError: The series is shorter than a window, or a number is below 1.

    Example:
        >>> sliding(np.arange(5.0)[:, None], 3, stride=2)[:, :, 0]
        array([[0., 1., 2.],
               [2., 3., 4.]])
    """
    if window < 1 or stride < 1:
        raise UsageError(f"window and stride must be 1 or more, got {window} and {stride}")
    if len(values) < window:
        raise UsageError(
            f"a series must be at least as long as the window of {window} points; it has "
            f"{len(values)}; bring a longer one or take a shorter window"
        )
    return sliding_window_view(values, window, axis=0)[::stride].transpose(0, 2, 1)


def ending(values: Series, window: int, *, stride: int = 1) -> Windows:
    """For each point the window that ends there; before the start stands the first point.

    What a stream knows of a point when it comes. `stride` as in `sliding`.

    Example:
        >>> ending(np.array([[1.0], [2.0]]), 3)[:, :, 0]
        array([[1., 1., 1.],
               [1., 1., 2.]])
    """
    padded = np.concatenate([np.repeat(values[:1], window - 1, axis=0), values])
    return sliding(padded, window, stride=stride)


def to_points(
    scores: Float[np.ndarray, " windows"], length: int, *, window: int, stride: int = 1
) -> Float[np.ndarray, " time"]:
    """A score for each point: the mean over all windows that cover it.

    Args:
        scores: One for each window of `sliding`.
        length: Points of the series.
        window: Points in a window.
        stride: As the windows were cut; points after the last window take its score.

    Returns:
        (length,).

    Raises:
        UsageError: The scores are not as many as the windows.

    Example:
        >>> to_points(np.array([0.0, 2.0]), 4, window=3)
        array([0., 1., 1., 2.])
    """
    starts = np.arange(0, length - window + 1, stride)
    if len(scores) != len(starts):
        raise UsageError(
            f"{len(starts)} windows cover {length} points; got {len(scores)} scores of windows"
        )
    scores = np.asarray(scores, dtype=np.float64)
    index = np.arange(length)
    # point t is covered by windows first..last, those that start in [t - window + 1, t]
    last = np.minimum(index // stride, len(starts) - 1)
    first = np.minimum(np.maximum(0, -(-(index - window + 1) // stride)), last)
    total = np.concatenate([[0.0], np.cumsum(scores)])
    return (total[last + 1] - total[first]) / (last + 1 - first)


def period(values: Any, *, most: int = 400, points: int = 20_000, default: int = 125) -> int:
    """The dominant period of a series: where its autocorrelation has the highest of its peaks.

    Lags from 4 to 300 count; `default` where there is no peak among them. Of several channels the
    median over those that have one.

    Args:
        values: What `as_series` takes.
        most: Lags to look at.
        points: How many points from the start to look at.
        default: The answer for a series without a period.

    Returns:
        Points.

    Reference:
        Q. Liu and J. Paparrizos, "The elephant in the room: towards a reliable time-series anomaly
        detection benchmark" (TSB-AD), NeurIPS 2024, whose rule for one channel this is: the
        highest local maximum from lag 3.

    Example:
        >>> period(np.sin(2 * np.pi * np.arange(1000) / 50))
        50
    """
    from limen.anomaly.series import as_series

    found = as_series(values)[:points].astype(np.float64)
    periods = [lag for channel in found.T if (lag := _period(channel, most)) is not None]
    return int(np.median(periods)) if periods else default


def _period(channel: np.ndarray, most: int) -> int | None:
    """The lag of the highest peak of the autocorrelation, if it is one of 3 to 300."""
    centred = channel - channel.mean()
    size = len(centred)
    spectrum = np.fft.rfft(centred, 2 * size)
    found = np.fft.irfft(spectrum * spectrum.conj())[: min(most, size - 1) + 1]
    if len(found) < 5 or found[0] <= 0:
        return None
    found = found / found[0]
    inner = found[3:]
    peaks = 1 + np.flatnonzero((inner[1:-1] > inner[:-2]) & (inner[1:-1] > inner[2:]))
    if not len(peaks):
        return None
    lag = 3 + int(peaks[np.argmax(inner[peaks])])
    return lag if 3 < lag <= 300 else None


@dataclass(frozen=True, eq=False)
class Scaler:
    """Brings channels to one scale by what training data had, and back.

    Args:
        low: What is taken away from each channel: its mean, or its least value.
        size: What each is divided by: its standard deviation, or its range; 1 for a constant one.
        clip: The least and greatest scaled value; None does not clip.

    Example:
        >>> scaler = Scaler.fit([np.array([[0.0], [4.0]])], how="minmax")
        >>> scaler(np.array([[1.0], [100.0]])).ravel()
        array([0.25, 5.  ])
        >>> scaler.back(np.array([[0.25]]))
        array([[1.]])
    """

    low: Float[np.ndarray, " channels"]
    size: Float[np.ndarray, " channels"]
    clip: tuple[float, float] | None = None

    @classmethod
    def fit(cls, series: list[np.ndarray], *, how: Scale = "zscore") -> "Scaler":
        """Moments or ranges over all points of the series.

        Args:
            series: Training series.
            how: "zscore", mean 0 and deviation 1; "minmax", range [0, 1] in training and clipped
                to [-4, 5] later; "none".

        Returns:
            The scaler.

        Raises:
            UsageError: Another name.
        """
        if how not in get_args(Scale):
            raise UsageError(f"scale={how!r} must be one of {', '.join(get_args(Scale))}")
        found = np.concatenate(series).astype(np.float64)
        if how == "none":
            return cls(np.zeros(found.shape[1]), np.ones(found.shape[1]))
        if how == "minmax":
            low, size = found.min(0), np.ptp(found, axis=0)
            return cls(low, np.where(size > 0, size, 1.0), (-4.0, 5.0))
        low, size = found.mean(0), found.std(0)
        flat = size <= 1e-12 * np.maximum(1.0, np.abs(low))
        return cls(low, np.where(flat, 1.0, size))

    def __call__(self, values: Float[np.ndarray, "*rows channels"]) -> np.ndarray:
        """Scaled values of the same shape, float64.

        Args:
            values: The last axis is channels.
        """
        scaled = (values.astype(np.float64) - self.low) / self.size
        return scaled if self.clip is None else scaled.clip(*self.clip)

    def back(self, scaled: Float[np.ndarray, "*rows channels"]) -> np.ndarray:
        """Values in the data's own unit.

        Args:
            scaled: The last axis is channels.
        """
        return scaled * self.size + self.low

    def to_dict(self) -> dict[str, Any]:
        """The state, for `limen.save`."""
        return {"low": self.low, "size": self.size, "clip": list(self.clip) if self.clip else None}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Scaler":
        """Rebuild what `to_dict` gave."""
        clip = state["clip"]
        return cls(
            np.asarray(state["low"]), np.asarray(state["size"]), tuple(clip) if clip else None
        )
