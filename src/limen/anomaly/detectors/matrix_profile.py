"""Windows whose shape is nowhere else, by the matrix profile."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.series import Series
from limen.anomaly.windows import Windows


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
    known: Series | None = field(default=None, init=False, repr=False)

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        require("stumpy", extra="timeseries")
        if len(series) > 1:
            raise UsageError("MatrixProfile takes one series; join them, or take KNN")
        self.known = np.array(series[0], dtype=np.float64)

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """Windows one by one, for a stream."""
        mass = require("stumpy", extra="timeseries").mass
        known = self.known
        assert known is not None
        rows = np.ascontiguousarray(windows.transpose(0, 2, 1), dtype=np.float64)
        far = [[np.nanmin(mass(row, known[:, c])) for c, row in enumerate(one)] for one in rows]
        return np.asarray(far, dtype=np.float64).mean(1)

    def _by_chunks(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        """All windows of a series at once: they overlap, so the series is their first column."""
        stump = require("stumpy", extra="timeseries").stump
        assert self.known is not None
        whole = np.concatenate([windows[:-1, 0], windows[-1]]).astype(np.float64)
        with warnings.catch_warnings(action="ignore"):  # of training windows joined with themselves
            found = self._joined(stump, whole)
        return np.mean(np.array(found, dtype=np.float64), axis=0)

    def _joined(self, stump: Any, whole: Series) -> list[np.ndarray]:
        assert self.known is not None
        return [
            stump(whole[:, c], self.size, self.known[:, c], ignore_trivial=False)[:, 0]
            for c in range(whole.shape[1])
        ]

    def _state(self) -> dict[str, Any]:
        return {"size": self.size, "known": self.known}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.size, self.known = state["size"], np.asarray(state["known"])
