"""What chance gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.streams import numpy_stream
from limen.anomaly.detectors.protocol import Pointwise
from limen.anomaly.series import Series


@dataclass(eq=False)
class RandomScore(Pointwise):
    """Score: uniform noise, one number a point, whatever the point is.

    Args:
        threshold: Where to flag, see `Detector`.
        seed: Of the noise.

    Example:
        >>> scores = RandomScore().fit([0.0, 1.0, 2.0]).decision_function([5.0, 5.0])
        >>> bool((scores < 1).all()), bool(scores[0] == scores[1])
        (True, False)
    """

    threshold: Any = None
    seed: int = 0
    _draws: Any = field(default=None, init=False, repr=False)

    def update(self, x: Any) -> float:
        """The score of the next point of a stream; see `Detector.update`.

        Args:
            x: One point.
        """
        if self._past is None:
            self._draws = self._noise()
        super().update(x)  # refuses what is no point
        return float(self._draws.random())

    def _noise(self) -> np.random.Generator:
        return numpy_stream(self.seed, "random score")

    def _point_scores(self, points: Series) -> Float[np.ndarray, " time"]:
        return self._noise().random(len(points))

    def _fit(self, series: list[np.ndarray]) -> None:
        """Learn nothing."""

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""
