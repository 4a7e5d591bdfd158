"""What chance gets."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from limen._core.streams import numpy_stream
from limen.anomaly.detectors.scaled import Scaled
from limen.anomaly.series import Series


@dataclass(eq=False)
class RandomScore(Scaled):
    """Score: uniform noise. A point's score depends on the seed and its numbers, nothing else.

    Args:
        seed: Of the noise.

    Example:
        >>> found = RandomScore().fit([0.0, 1.0, 2.0])
        >>> bool((found.decision_function([5.0, 6.0]) < 1).all())
        True
    """

    seed: int = 0

    def _point_scores(self, points: Series) -> Float[np.ndarray, " time"]:
        # hashed, not drawn in order, so that a stream gets what the batch gets
        salt = numpy_stream(self.seed, "random score").normal(size=points.shape[1])
        raw = np.ascontiguousarray(points.astype(np.float64) + salt).view(np.uint64)
        mixed = np.bitwise_xor.reduce(_mixed(raw), axis=1)
        return _mixed(mixed).astype(np.float64) / 2.0**64


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: each bit of the input moves about half of the bits."""
    found = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    out: np.ndarray = found ^ (found >> np.uint64(31))
    return out
