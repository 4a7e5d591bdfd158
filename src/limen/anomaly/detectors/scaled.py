"""What the baselines share: training's z-scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen.anomaly.detectors.protocol import Pointwise
from limen.anomaly.series import Series
from limen.anomaly.windows import Scaler

CLIP = 50.0
"""Standard deviations beyond which a z-score counts no further."""


@dataclass(eq=False)
class Scaled(Pointwise):
    """A detector of single points that needs training's means and deviations only.

    Args:
        threshold: Where to flag, see `Detector`.
    """

    threshold: Any = None
    scaler: Scaler | None = field(default=None, init=False, repr=False)

    def _fit(self, series: list[np.ndarray]) -> None:
        self.scaler = Scaler.fit(series)

    def _z(self, points: Series) -> Float[np.ndarray, "time channels"]:
        assert self.scaler is not None
        found: np.ndarray = self.scaler(points).clip(-CLIP, CLIP)
        return found

    def _state(self) -> dict[str, Any]:
        assert self.scaler is not None
        return {"scaler": self.scaler.to_dict()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.scaler = Scaler.from_dict(state["scaler"])
