"""What the detectors share that are taught by made anomalies: the maker, handed in or fitted."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.detectors.learned import Learned
from limen.anomaly.windows import period
from limen.run.files import packed, unpacked


class Taught(Learned):
    """A learned detector with a field `maker`, whose anomalies it learns from.

    `maker` stays as it was handed in: `fit` works on a copy, `made`, which is fitted on the
    training series where the maker was not. A second `fit` on other series therefore meets a
    maker of those series, and one maker may be handed to several detectors.

    Attributes:
        made: The fitted maker of the last `fit`; None before.

    Example:
        >>> from limen.anomaly.detectors.classifier import Classifier
        >>> issubclass(Classifier, Taught)
        True
    """

    maker: Any
    made: Any = None

    def _fit(self, series: list[np.ndarray]) -> None:
        self.made = self._ready(series)
        super()._fit(series)

    def _ready(self, series: list[np.ndarray]) -> Any:
        """A fitted copy of the maker.

        Raises:
            UsageError: It makes nothing, or windows of another size.
        """
        if self.maker is None:
            from limen.anomaly.synth.carla import CARLA

            size = max(10, period(series[0])) if self.window is None else self.window
            return CARLA(window=size).fit(series)
        if not hasattr(self.maker, "disturb"):
            raise UsageError(
                f"maker={self.maker!r} must be a maker of anomalies, such as GenIAS(window=100)"
            )
        if self.window not in (None, self.maker.window):
            raise UsageError(
                f"the maker's window must be the detector's, {self.window}; it is "
                f"{self.maker.window}"
            )
        made = deepcopy(self.maker)
        return made if self._handed_fitted() else made.fit(series)

    def _handed_fitted(self) -> bool:
        return self.maker is not None and self.maker.scaler is not None

    def _state(self) -> dict[str, Any]:
        made = None if self._handed_fitted() else packed(self.made)  # else it is with the options
        return {**super()._state(), "made": made}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.made = self.maker if state["made"] is None else unpacked(state["made"])
