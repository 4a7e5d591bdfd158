"""How far off the channels are together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from limen.anomaly.detectors.scaled import Scaled
from limen.anomaly.series import Series


@dataclass(eq=False)
class RMSZ(Scaled):
    """Score: root mean square of a point's z-scores, clipped at 50; z by training's moments.

    One line, and hard to beat on server metrics: what is more elaborate must be laid beside it.

    Example:
        >>> RMSZ().fit([[0.0, 0.0], [2.0, 2.0]]).decision_function([[4.0, 5.0]])
        array([3.53553391])
    """

    def _point_scores(self, points: Series) -> Float[np.ndarray, " time"]:
        found: np.ndarray = np.sqrt(np.mean(np.square(self._z(points)), axis=1))
        return found

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """Z squared of each channel, over the number of channels: a part of the squared score.

        Args:
            X: A series with the channels of training.
        """
        z = self._z(self._checked(X))
        return np.square(z) / z.shape[1]
