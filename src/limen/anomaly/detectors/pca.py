"""What the strongest directions do not explain, of points and of windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.detectors.scaled import CLIP, Scaled
from limen.anomaly.series import Series
from limen.anomaly.windows import Scaler, Windows, sliding, to_points

_BLOCK = 4096  # windows at once


@dataclass(eq=False)
class PCA(Scaled):
    """Score: squared length of a point's z-scores outside the leading principal components.

    Args:
        explained: Share of the variance that the components kept explain, at least.

    Reference:
        Jackson and Mudholkar, Control procedures for residuals associated with principal component
        analysis, Technometrics 1979.

    Example:
        >>> line = np.outer(np.arange(10.0), [1.0, 1.0])
        >>> found = PCA(explained=0.9).fit(line).decision_function([[0.0, 0.0], [0.0, 9.0]])
        >>> found.round(3)
        array([0.   , 4.909])
    """

    explained: float = 0.95
    components: Float[np.ndarray, "kept channels"] | None = field(
        default=None, init=False, repr=False
    )

    def _fit(self, series: list[np.ndarray]) -> None:
        if not 0 < self.explained < 1:
            raise UsageError(f"explained must be between 0 and 1, got {self.explained}")
        super()._fit(series)
        z = np.concatenate([self._z(one) for one in series])
        values, vectors = np.linalg.eigh(z.T @ z)
        order = np.argsort(-values)
        share = np.cumsum(values[order]) / max(values.sum(), 1e-30)
        kept = int(np.searchsorted(share, self.explained - 1e-12)) + 1
        self.components = vectors[:, order[:kept]].T

    def _residual(self, points: Series) -> Float[np.ndarray, "time channels"]:
        assert self.components is not None
        z = self._z(points)
        left: np.ndarray = z - (z @ self.components.T) @ self.components
        return left

    def _point_scores(self, points: Series) -> Float[np.ndarray, " time"]:
        found: np.ndarray = np.square(self._residual(points)).sum(1)
        return found

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """Each channel's part of the squared length.

        Args:
            X: A series with the channels of training.
        """
        return np.square(self._residual(self._checked(X)))

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "components": self.components}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.components = np.asarray(state["components"])


@dataclass(eq=False)
class WindowedPCA(Windowed):
    """Score: mean square of what the leading principal components of windows leave of one.

    Args:
        window: Points in a window; None takes one period of the series, at least 10.
        components: How many are kept, at most all but one.
        stride: Points between training windows.
        align: "mean" or "end", see `Windowed`.
        threshold: Where to flag, see `Detector`.

    Reference:
        Jackson and Mudholkar, 1979, as in `PCA`; on windows also known as singular spectrum
        analysis.

    Example:
        >>> wave = np.sin(np.arange(300) / 5)
        >>> broken = wave.copy()
        >>> broken[150] += 1
        >>> scores = WindowedPCA(window=20, components=2).fit(wave).decision_function(broken)
        >>> bool(130 < scores.argmax() < 170)
        True
    """

    window: int | None = 10
    components: int = 20
    stride: int = 1
    align: Align = "mean"
    threshold: Any = None
    scaler: Scaler | None = field(default=None, init=False, repr=False)
    mean: np.ndarray | None = field(default=None, init=False, repr=False)
    basis: np.ndarray | None = field(default=None, init=False, repr=False)

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        if self.components < 1:
            raise UsageError(f"components must be 1 or more, got {self.components}")
        self.scaler = Scaler.fit(series)
        views = [sliding(one, self.size, stride=self.stride) for one in series]
        blocks = [view[i : i + _BLOCK] for view in views for i in range(0, len(view), _BLOCK)]
        self.mean = np.sum([self._flat(one).sum(0) for one in blocks], axis=0) / sum(
            map(len, views)
        )
        scatter = np.zeros((len(self.mean), len(self.mean)))
        for one in blocks:
            rows = self._flat(one) - self.mean
            scatter += rows.T @ rows
        _, vectors = np.linalg.eigh(scatter)
        kept = min(self.components, len(self.mean) - 1)
        self.basis = vectors[:, ::-1][:, : max(1, kept)].T

    def _flat(self, windows: Windows) -> Float[np.ndarray, "windows numbers"]:
        assert self.scaler is not None
        z = self.scaler(windows).clip(-CLIP, CLIP)
        return z.reshape(len(z), -1)

    def _left(self, windows: Windows) -> Float[np.ndarray, "windows span channels"]:
        assert self.basis is not None
        rows = self._flat(windows) - self.mean
        left: np.ndarray = rows - (rows @ self.basis.T) @ self.basis
        return left.reshape(windows.shape)

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        found: np.ndarray = np.square(self._left(windows)).mean((1, 2))
        return found

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """Each channel's mean square of what is left, a mean over the windows around a point.

        Args:
            X: A series with the channels of training.
        """
        series = self._checked(X)
        windows = sliding(series, self.size)
        parts = np.concatenate(
            [
                np.square(self._left(windows[i : i + _BLOCK])).mean(1)
                for i in range(0, len(windows), _BLOCK)
            ]
        )
        columns = [to_points(column, len(series), window=self.size) for column in parts.T]
        return np.stack(columns, axis=1)

    def _state(self) -> dict[str, Any]:
        assert self.scaler is not None
        return {
            "size": self.size, "scaler": self.scaler.to_dict(), "mean": self.mean,
            "basis": self.basis,
        }  # fmt: skip

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.size, self.scaler = state["size"], Scaler.from_dict(state["scaler"])
        self.mean, self.basis = np.asarray(state["mean"]), np.asarray(state["basis"])
