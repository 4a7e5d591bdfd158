"""The channel that is farthest off."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from limen.anomaly.detectors.scaled import Scaled
from limen.anomaly.series import Series


@dataclass(eq=False)
class MaxZ(Scaled):
    """Score: the greatest `abs(z)` of a point's channels, clipped at 50; z by training's moments.

    Example:
        >>> MaxZ().fit([[0.0, 0.0], [2.0, 2.0]]).decision_function([[1.0, 4.0]])
        array([3.])
    """

    def _point_scores(self, points: Series) -> Float[np.ndarray, " time"]:
        found: np.ndarray = np.abs(self._z(points)).max(1)
        return found

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """`abs(z)` of each channel.

        Args:
            X: A series with the channels of training.
        """
        return np.abs(self._z(self._checked(X)))
