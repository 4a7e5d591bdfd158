"""Which numbers of a perturbed window replace the parent's, and how the seams are hidden."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import uniform_filter1d

from limen._core.errors import UsageError
from limen.anomaly.fading import rising
from limen.anomaly.windows import Windows

Mode = Literal["relative", "literal"]
Level = Literal["segment", "dimension", "step"]

_LEAST_RANGE = 1e-8
_SEAM = 3  # points over which a segment fades in and out


class Patched(NamedTuple):
    """Windows with parts replaced.

    Attributes:
        windows: Outside `mask` the parents' bits.
        mask: Which numbers changed.

    Example:
        >>> Patched(np.zeros((1, 2, 1)), np.zeros((1, 2, 1), dtype=bool)).mask.any()
        np.False_
    """

    windows: Windows
    mask: Bool[np.ndarray, "windows span channels"]


@dataclass(frozen=True)
class Patch:
    """Keeps of a perturbed window what deviates enough from its parent.

    relative: a part is replaced where `sqrt(mean (x - x~)^2) > tau r_j`, r_j being the range of
    channel j in training; the answer does not depend on the data's unit. literal, the published
    rule for whole channels: `sum_t (x - x~)^2 > tau (max_t x - min_t x)`, squares against no
    squares and a sum over time, so that it depends on the unit and, on windows of 200 points
    scaled to [0, 1], nearly always holds.

    A "dimension" is a channel of the window, all or nothing. A "segment" is a run of points at
    which `|x - x~| / r_j`, smoothed by a moving mean, is above tau; its ends are cross-faded over
    3 points, so that no jump gives it away, except where it ends with its span: `Maker.inject`
    fades that end. A "step" is a single point.

    Args:
        tau: The least deviation, at least 0.
        mode: "relative" or "literal" (level "dimension" alone).
        level: "segment", "dimension" or "step".
        smooth: Points of the moving mean.
        shortest: Least points of a segment; shorter runs stay as they were.

    Raises:
        UsageError: A value out of range.

    Reference:
        Zamanzadeh Darban et al., GenIAS: Generator for Instantiating Anomalies in time Series,
        arXiv 2502.08262, 2025, patching, as transcribed by others: the text was not at hand.
        Departures: everything but "literal".

    Example:
        >>> x = np.zeros((1, 3, 2))
        >>> moved = x + [1.0, 0.1]
        >>> Patch(0.2, level="dimension")(x, moved, ranges=np.ones(2)).mask[0].any(0)
        array([ True, False])
    """

    tau: float = 0.2
    mode: Mode = "relative"
    level: Level = "segment"
    smooth: int = 5
    shortest: int = 5

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode) or self.level not in get_args(Level):
            raise UsageError(
                f"patch={self.mode!r} must be relative or literal, level={self.level!r} segment, "
                "dimension or step"
            )
        if self.mode == "literal" and self.level != "dimension":
            raise UsageError(
                f"patch='literal' is a rule for whole channels; level={self.level!r} must be "
                "'dimension'"
            )
        if not self.tau >= 0 or min(self.smooth, self.shortest) < 1:
            raise UsageError(
                f"tau={self.tau} must be 0 or more, smooth={self.smooth} and "
                f"shortest={self.shortest} 1 or more"
            )

    def __call__(
        self,
        windows: Windows,
        perturbed: Windows,
        *,
        ranges: Float[np.ndarray, " channels"],
        spans: Int[np.ndarray, "windows 2"] | None = None,
    ) -> Patched:
        """Put the parts that deviate enough into the parents.

        Args:
            windows: Parents.
            perturbed: As many perturbed ones.
            ranges: Of each channel in training; below 1e-8 counts as 1e-8.
            spans: For each window [start, end) within which it may change; None means all of it.

        Returns:
            New windows in the parents' floating-point type, and the mask of what changed.
        """
        inside = _inside(windows.shape[:2], spans)
        change = np.where(inside[..., None], perturbed - windows.astype(np.float64), 0.0)
        scales = np.maximum(ranges, _LEAST_RANGE)
        if self.level == "dimension":
            chosen = self._dimensions(windows, change / scales, scales, points=inside.sum(1))
            weights = (chosen[:, None] & inside[..., None]).astype(np.float64)
        else:
            weights = self._points(np.abs(change) / scales, inside)
        new = np.where(weights == 1, windows + change, windows + weights * change)
        new = new.astype(windows.dtype)
        mask = (weights > 0) & (new != windows)
        return Patched(np.where(mask, new, windows), mask)

    def _points(self, size: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """How much of each number's change is put in, 0 to 1."""
        if self.level == "step":
            return (size > self.tau).astype(np.float64)
        points = inside[..., None].astype(np.float64)
        total = uniform_filter1d(size, self.smooth, axis=1, mode="constant")
        count = uniform_filter1d(points, self.smooth, axis=1, mode="constant")
        above = (total > self.tau * count) & inside[..., None]
        return _segments(above, inside, shortest=self.shortest)

    def _dimensions(
        self, windows: Windows, size: np.ndarray, scales: np.ndarray, *, points: np.ndarray
    ) -> np.ndarray:
        """Which channels of which windows deviate enough, (windows, channels)."""
        total = np.square(size).sum(1)
        if self.mode == "literal":
            return total * scales**2 > self.tau * np.ptp(windows, axis=1)
        return np.sqrt(total / points[:, None]) > self.tau


def _inside(shape: tuple[int, int], spans: np.ndarray | None) -> np.ndarray:
    """Which points may change, (windows, time)."""
    if spans is None:
        return np.ones(shape, dtype=bool)
    time = np.arange(shape[1])
    return (time >= spans[:, :1]) & (time < spans[:, 1:])


def _segments(above: np.ndarray, inside: np.ndarray, *, shortest: int) -> np.ndarray:
    """Weights of the runs that are long enough, cross-faded where they end within the span."""
    low = inside.argmax(1)
    high = low + inside.sum(1)
    turned = above.transpose(0, 2, 1)
    edges = np.diff(turned.astype(np.int8), axis=2, prepend=0, append=0)
    rows, channels, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[2]
    kept = ends - starts >= np.minimum(shortest, (high - low)[rows])
    rows, channels, starts, ends = (x[kept] for x in (rows, channels, starts, ends))
    lengths = ends - starts
    run = np.repeat(np.arange(len(lengths)), lengths)
    # position of each point of each run from its start and from its end, from 1
    first = 1 + np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    last = 1 + lengths[run] - first
    fades = np.minimum(_SEAM, lengths // 4)
    rise = rising(first, np.where(starts == low[rows], 0, fades)[run])
    fall = rising(last, np.where(ends == high[rows], 0, fades)[run])
    weights = np.zeros(turned.shape)
    weights[rows[run], channels[run], starts[run] + first - 1] = rise * fall
    return weights.transpose(0, 2, 1)
