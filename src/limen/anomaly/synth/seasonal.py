"""The same points in a faster order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class Seasonal(Rule):
    """CARLA's seasonal anomaly: `x'[j] = x[(c j) mod L]` on a stretch of L points, c = 2, 3 or 4.

    Reference:
        Zamanzadeh Darban et al., CARLA, Pattern Recognition 157, 2025, as in its released code.

    Example:
        >>> permuted(np.arange(5)[:, None], 2).ravel(), permuted(np.arange(5)[:, None], 3).ravel()
        (array([0, 2, 4, 1, 3]), array([0, 3, 1, 4, 2]))
    """

    kind: ClassVar[str] = "seasonal"
    least: ClassVar[int] = 2

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        segment = on.segment
        columns = [permuted(column[:, None], int(on.stream.integers(2, 5))) for column in segment.T]
        return np.concatenate(columns, axis=1), self.kind


def permuted(segment: np.ndarray, speed: int) -> np.ndarray:
    """Every `speed`-th point of a stretch that is repeated without end.

    Args:
        segment: (points, channels).
        speed: c.

    Returns:
        As many points.

    Example:
        >>> permuted(np.array([[7], [8]]), 2).ravel()
        array([7, 7])
    """
    return segment[(speed * np.arange(len(segment))) % len(segment)]
