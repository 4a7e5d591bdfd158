"""Windows whose shape is nowhere else, by the matrix profile."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.series import Series
from limen.anomaly.windows import Scaler, Windows, sliding

_SHORTEST = 3  # two points are alike once they are normalised
_BLOCK = 4096  # windows at once


@dataclass(eq=False)
class MatrixProfile(Windowed):
    """Score: distance of a z-normalised window to its nearest in training, a mean over channels.

    An AB join of stumpy: against training windows, never against the series that is scored, so
    that what comes twice in it is found all the same.

    Args:
        window: Points in a window; None takes one period of the series, at least 10.
        stride: Not used by the join; kept so that all windowed detectors are alike.
        align: "mean" or "end", see `Windowed`.
        threshold: Where to flag, see `Detector`.

    Reference:
        Yeh et al., Matrix profile I: all pairs similarity joins for time series, ICDM 2016.

    Example:
        >>> MatrixProfile(window=50).get_params()["window"]
        50
    """

    window: int | None = None
    stride: int = 1
    align: Align = "mean"
    threshold: Any = None
    scaler: Scaler | None = field(default=None, init=False, repr=False)
    known: Series | None = field(default=None, init=False, repr=False)

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        require("stumpy", extra="timeseries")
        if len(series) > 1:
            raise UsageError("MatrixProfile takes one series; join them, or take KNN")
        if self.window is not None and self.window < _SHORTEST:
            raise UsageError(
                f"window must be {_SHORTEST} points or more, which have a shape; got {self.window}"
            )
        self.scaler = Scaler.fit(series)
        self.known = self._scaled(series[0])

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """Windows one by one, for a stream."""
        mass = require("stumpy", extra="timeseries").mass
        assert self.known is not None
        known, rows = self.known, self._scaled(windows)
        near = [[np.nanargmin(mass(w[:, c], known[:, c])) for c in range(w.shape[1])] for w in rows]
        return self._far(rows, np.array(near))

    def _by_chunks(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """All windows of a series at once: they overlap, so the series is their first column."""
        stump = require("stumpy", extra="timeseries").stump
        assert self.known is not None
        whole = self._scaled(np.concatenate([windows[:-1, 0], windows[-1]]))
        with warnings.catch_warnings(action="ignore"):  # of training windows joined with themselves
            near = [
                stump(whole[:, c], self.size, self.known[:, c], ignore_trivial=False)[:, 1]
                for c in range(whole.shape[1])
            ]
        return self._far(sliding(whole, self.size), np.array(near, dtype=np.int64).T)

    def _far(
        self, windows: Windows, near: Int[np.ndarray, "windows channels"]
    ) -> Float[np.ndarray, " windows"]:
        """Distances to the training windows that begin at `near`.

        Taken anew, since stumpy's running sums lose digits beside a flat stretch or a great leap,
        and a join and a stream not the same ones.
        """
        assert self.known is not None
        known = sliding(self.known, self.size)
        channels = np.arange(windows.shape[2])
        parts = []
        for i in range(0, len(windows), _BLOCK):
            other = known[near[i : i + _BLOCK], :, channels].transpose(0, 2, 1)
            gaps = np.square(_shape(windows[i : i + _BLOCK]) - _shape(other)).sum(1)
            parts.append(np.sqrt(gaps).mean(1))
        return np.concatenate(parts)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        """In training's standard deviations: shape is the same, and digits are kept."""
        assert self.scaler is not None
        return np.ascontiguousarray(self.scaler(values))

    def _state(self) -> dict[str, Any]:
        assert self.scaler is not None
        return {"size": self.size, "known": self.known, "scaler": self.scaler.to_dict()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.size, self.known = state["size"], np.asarray(state["known"])
        self.scaler = Scaler.from_dict(state["scaler"])


def _shape(windows: Windows) -> Windows:
    """Mean 0 and deviation 1 by window and channel; a constant stays 0."""
    centred = windows - windows.mean(1, keepdims=True)
    spread = centred.std(1, keepdims=True)
    flat = np.ptp(windows, axis=1, keepdims=True) == 0
    shaped: Windows = np.where(flat, 0.0, centred / np.where(flat, 1.0, spread))
    return shaped
