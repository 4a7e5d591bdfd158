"""Windows that training has not seen the like of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.batches import Kept
from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.detectors.scaled import CLIP
from limen.anomaly.windows import Scaler, Windows, sliding

_BLOCK = 1024


@dataclass(eq=False)
class KNN(Windowed):
    """Score: distance of a window to its k-th nearest training window, over sqrt(numbers).

    Exact, by blocks of matrix products. A training window is its own nearest neighbour and the ones
    beside it overlap it, so training scores are small: a threshold taken from them flags more of
    new data than it says; calibrate on a stretch that was not trained on.

    Args:
        window: Points in a window; None takes one period of the series, at least 10.
        k: Which neighbour.
        normalise: Bring every window to mean 0 and deviation 1 by channel, so that shape alone
            counts.
        most: Training windows kept, evenly chosen.
        stride: Points between training windows.
        align: "mean" or "end", see `Windowed`.
        threshold: Where to flag, see `Detector`.

    Reference:
        Ramaswamy, Rastogi, Shim, Efficient algorithms for mining outliers from large data sets,
        SIGMOD 2000.

    Example:
        >>> wave = np.sin(np.arange(300) / 5)
        >>> broken = wave.copy()
        >>> broken[150:155] += 1
        >>> scores = KNN(window=20).fit(wave).decision_function(broken)
        >>> bool(130 < scores.argmax() < 175)
        True
    """

    window: int | None = None
    k: int = 3
    normalise: bool = False
    most: int = 8192
    stride: int = 1
    align: Align = "mean"
    threshold: Any = None
    scaler: Scaler | None = field(default=None, init=False, repr=False)
    known: Float[np.ndarray, "windows numbers"] | None = field(default=None, init=False, repr=False)

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        self.scaler = Scaler.fit(series)
        views = [sliding(one, self.size, stride=self.stride) for one in series]
        kept = Kept.evenly(views, self.most)
        count = len(kept.rows)
        if not 0 < self.k <= count:
            raise UsageError(f"k must be 1 to {count}, the number of windows; got {self.k}")
        self.known = self._flat(kept.windows())

    def _flat(self, windows: Windows) -> Float[np.ndarray, "windows numbers"]:
        assert self.scaler is not None
        z = self.scaler(windows)
        if self.normalise:
            spread = z.std(1, keepdims=True)
            z = (z - z.mean(1, keepdims=True)) / np.where(spread > 1e-8, spread, 1.0)
        return z.clip(-CLIP, CLIP).reshape(len(z), -1)

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        assert self.known is not None
        own = np.square(self.known).sum(1)
        parts = []
        for start in range(0, len(windows), _BLOCK):
            rows = self._flat(windows[start : start + _BLOCK])
            far = np.square(rows).sum(1)[:, None] + own - 2 * rows @ self.known.T
            parts.append(np.partition(far, self.k - 1, axis=1)[:, self.k - 1])
        found: np.ndarray = np.sqrt(np.concatenate(parts).clip(min=0) / self.known.shape[1])
        return found

    def _state(self) -> dict[str, Any]:
        assert self.scaler is not None
        return {"size": self.size, "scaler": self.scaler.to_dict(), "known": self.known}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.size, self.scaler = state["size"], Scaler.from_dict(state["scaler"])
        self.known = np.asarray(state["known"])
