"""Where a series moves more, or less, than it does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.windows import Scaler, Windows, sliding


@dataclass(eq=False)
class MovingVariance(Windowed):
    """Score: `abs(z)` of a window's log variance among those of training, a mean over channels.

    Args:
        window: Points in a window; None takes one period of the series, at least 10.
        stride: Points between training windows.
        align: "mean" or "end", see `Windowed`.
        threshold: Where to flag, see `Detector`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> quiet, loud = rng.normal(size=400), rng.normal(size=400)
        >>> loud[200:220] *= 8
        >>> scores = MovingVariance(window=20).fit(quiet).decision_function(loud)
        >>> bool(190 < scores.argmax() < 230)
        True
    """

    window: int | None = None
    stride: int = 1
    align: Align = "mean"
    threshold: Any = None
    scaler: Scaler | None = field(default=None, init=False, repr=False)
    usual: Scaler | None = field(default=None, init=False, repr=False)

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        self.scaler = Scaler.fit(series)
        found = [self._logs(sliding(one, self.size, stride=self.stride)) for one in series]
        self.usual = Scaler.fit(found)

    def _logs(self, windows: Windows) -> Float[np.ndarray, "windows channels"]:
        assert self.scaler is not None
        parts = [
            np.log(self.scaler(windows[i : i + 4096]).var(1) + 1e-6)
            for i in range(0, len(windows), 4096)
        ]
        return np.concatenate(parts)

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        assert self.usual is not None
        found: np.ndarray = np.abs(self.usual(self._logs(windows))).mean(1)
        return found

    def _state(self) -> dict[str, Any]:
        assert self.scaler is not None
        assert self.usual is not None
        return {
            "size": self.size, "scaler": self.scaler.to_dict(), "usual": self.usual.to_dict(),
        }  # fmt: skip

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.size, self.scaler = state["size"], Scaler.from_dict(state["scaler"])
        self.usual = Scaler.from_dict(state["usual"])
