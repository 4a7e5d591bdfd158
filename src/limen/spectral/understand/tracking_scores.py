"""How well a tracker's boxes follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from limen._core.errors import UsageError
from limen.report.table import Cell, Table
from limen.spectral.understand.tracker import Box

_NEAR = 20.0  # pixels between centres
_LEVELS = 21  # thresholds from 0 to 1


@dataclass(frozen=True, eq=False)
class TrackingScores:
    """Distances and overlaps of a tracker's boxes, frame by frame.

    Attributes:
        away: Pixels between the found and the true centre.
        overlap: Intersection over union of both boxes.
        split: What the frames were.

    Example:
        >>> TrackingScores(np.array([3.0, 40.0]), np.array([0.8, 0.0]), "test").precision
        0.5
    """

    away: Float64[np.ndarray, " frames"]
    overlap: Float64[np.ndarray, " frames"]
    split: str

    @property
    def precision(self) -> float:
        """Share of frames with centres at most 20 pixels apart; higher = better."""
        return float((self.away <= _NEAR).mean())

    @property
    def success(self) -> float:
        """Area under the success curve; higher = better, at most 20 / 21.

        The mean over thresholds 0, 0.05, ..., 1 of the share of frames whose overlap is above; none
        is above 1.
        """
        levels = np.linspace(0, 1, _LEVELS)
        return float((self.overlap[:, None] > levels).mean())

    def table(self) -> Table:
        """Both, with the split that they are of."""
        rows: list[list[Cell]] = [
            ["precision at 20 px", self.precision],
            ["success AUC", self.success],
        ]
        return Table(
            ["score", "value"], rows, title="Boxes through a video",
            protocol=f"Split: {self.split}. {len(self.away)} frames.",
        )  # fmt: skip


def tracking_scores(found: Sequence[Box], truth: Sequence[Box], *, split: str) -> TrackingScores:
    """Judge a tracker's boxes by their centres and by their overlap.

    Args:
        found: A tracker's boxes.
        truth: The true ones, as many.
        split: What the frames are, such as "held-out recording".

    Returns:
        The scores.

    Raises:
        UsageError: Another number of boxes, none, or no split.

    Reference:
        Wu, Lim, Yang, Online Object Tracking: A Benchmark, CVPR 2013.

    Example:
        >>> found, true = [Box(0.0, 0.0, 2.0, 2.0)], [Box(0.0, 30.0, 2.0, 2.0)]
        >>> far = tracking_scores(found, true, split="toy")
        >>> far.precision, far.success
        (0.0, 0.0)
    """
    if len(found) != len(truth) or not found:
        raise UsageError(
            f"boxes must be as many as true ones, and some; got {len(found)} for {len(truth)}"
        )
    if not split:
        raise UsageError('split must say what the frames are, such as "held-out recording"')
    pairs = list(zip(found, truth, strict=True))
    away = np.array([float(np.hypot(a.y - b.y, a.x - b.x)) for a, b in pairs])
    return TrackingScores(away, np.array([a.overlap(b) for a, b in pairs]), split)
