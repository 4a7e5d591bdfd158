"""Any detector of PyOD, aeon or scikit-learn as one of limen's."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.series import Series
from limen.anomaly.windows import Scaler, Windows


@dataclass(eq=False)
class Adapter(Windowed):
    """A detector of rows, given windows as rows; higher = more anomalous, whatever its own sign.

    PyOD's `decision_function` and scikit-learn's `score_samples` (whose sign is turned) score
    windows. aeon's detectors score a whole series: those that learn from normal series are fitted
    on one and asked by `predict`, all others by `fit_predict`; they cannot follow a stream.

    Args:
        detector: An object of one of the three, not fitted; a copy of it is.
        window: Points in a window; 1 scores points. None takes one period of the series.
        stride: Points between training windows.
        align: "mean" or "end", see `Windowed`.
        threshold: Where to flag, see `Detector`.

    Raises:
        UsageError: An object without these methods.

    Example:
        >>> from sklearn.ensemble import IsolationForest
        >>> wave = np.sin(np.arange(300) / 5)
        >>> found = Adapter(IsolationForest(random_state=0), window=20).fit(wave)
        >>> found.decision_function(wave).shape
        (300,)
    """

    detector: Any
    window: int | None = None
    stride: int = 1
    align: Align = "mean"
    threshold: Any = None
    scaler: Scaler | None = field(default=None, init=False, repr=False)
    fitted: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not hasattr(self.detector, "fit") or self._how is None:
            raise UsageError(
                f"detector={self.detector!r} must have fit, and decision_function (PyOD), "
                "score_samples (scikit-learn) or fit_predict (aeon)"
            )

    @property
    def _how(self) -> str | None:
        home = type(self.detector).__module__.split(".")[0]
        if home == "aeon":
            return "fit_predict" if hasattr(self.detector, "fit_predict") else None
        if home == "sklearn":
            return "score_samples" if hasattr(self.detector, "score_samples") else None
        return "decision_function" if hasattr(self.detector, "decision_function") else None

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        self.scaler = Scaler.fit(series)
        self.fitted = copy.deepcopy(self.detector)
        if self._how != "fit_predict":
            self.fitted.fit(self._flat(self._training_windows(series)))
        elif self._learns:
            if len(series) > 1:
                raise UsageError("a detector of aeon takes one series; join them")
            self.fitted.fit(self.scaler(series[0]), axis=0)

    @property
    def _learns(self) -> bool:
        """Whether a detector of aeon can be fitted on a normal series."""
        asked = ("learning_type:semi_supervised", "fit_is_empty")
        normal, empty = (self.detector.get_tag(tag) for tag in asked)
        return bool(normal) and not empty

    def _flat(self, windows: Windows) -> Float[np.ndarray, "windows numbers"]:
        assert self.scaler is not None
        return self.scaler(windows).reshape(len(windows), -1)

    def _scored(self, series: Series, align: Align | None = None) -> Float[np.ndarray, " time"]:
        if self._how != "fit_predict":
            return super()._scored(series, align)
        assert self.scaler is not None
        scaled = self.scaler(series)
        if self._learns:
            scores = self.fitted.predict(scaled, axis=0)
        else:
            scores = copy.deepcopy(self.detector).fit_predict(scaled, axis=0)
        return np.asarray(scores, dtype=np.float64).reshape(len(series))

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        if self._how == "fit_predict":
            raise UsageError(
                "a detector of aeon scores whole series and cannot follow a stream; give it to "
                "decision_function"
            )
        scores = np.asarray(getattr(self.fitted, self._how or "")(self._flat(windows)))
        return scores.astype(np.float64) * (-1.0 if self._how == "score_samples" else 1.0)

    def _state(self) -> dict[str, Any]:
        raise UsageError(
            "a detector of another library is stored by that library; limen unpickles nothing, so "
            "it writes nothing that would have to be"
        )

    def _restore(self, state: Mapping[str, Any]) -> None:
        raise UsageError(f"an Adapter cannot be rebuilt from {list(state)}")
