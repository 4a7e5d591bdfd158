"""How well a video's masks follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import binary_dilation, binary_erosion

from limen._core.errors import UsageError
from limen.report.table import Cell, Table

_TOLERANCE = 0.008  # of the frame's diagonal, within which borders meet


@dataclass(frozen=True, eq=False)
class VideoScores:
    """Region and border of masks through a video; higher = better, 0 to 1.

    Attributes:
        region: J, intersection over union of the objects in each frame, a mean over them.
        border: F, harmonic mean of precision and recall of the objects' borders.
        flicker: Share of pixels whose error comes or goes from one frame to the next; lower =
            steadier.
        split: What the video was.

    Example:
        >>> VideoScores(np.array([0.5]), np.array([0.7]), 0.0, "test").both
        0.6
    """

    region: Float64[np.ndarray, " frames"]
    border: Float64[np.ndarray, " frames"]
    flicker: float
    split: str

    @property
    def both(self) -> float:
        """J&F, the mean of both over the frames; NaN where no frame has an object."""
        return (_mean(self.region) + _mean(self.border)) / 2

    def table(self) -> Table:
        """All of them with the split that they are of."""
        rows: list[list[Cell]] = [
            ["J, region", _mean(self.region)],
            ["F, border", _mean(self.border)],
            ["J&F", self.both],
            ["flicker (lower is better)", self.flicker],
        ]
        return Table(
            ["score", "mean"], rows, title="Masks through a video",
            protocol=f"Split: {self.split}. Means over {np.isfinite(self.region).sum()} of "
            f"{len(self.region)} frames that have an object.",
        )  # fmt: skip


def video_scores(prediction: Any, truth: Any, *, split: str) -> VideoScores:
    """Judge a video's masks; objects are the classes above 0.

    Args:
        prediction: (time, y, x), classes.
        truth: The same shape.
        split: What the video is, such as "held-out recording".

    Returns:
        The scores; a frame without objects in truth and prediction is NaN and skipped.

    Raises:
        UsageError: Other shapes, no whole numbers, no frame, or no split.

    Reference:
        Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object
        Segmentation, CVPR 2016, for J and F with borders that meet within 0.8 % of the diagonal.

    Example:
        >>> masks = np.zeros((2, 8, 8), dtype=int)
        >>> masks[:, 2:5, 2:5] = 1
        >>> video_scores(masks, masks, split="test").both
        1.0
    """
    found, true = np.asarray(prediction), np.asarray(truth)
    whole = found.dtype.kind in "iub" and true.dtype.kind in "iub"
    if found.shape != true.shape or found.ndim != 3 or not found.size or not whole:
        raise UsageError(
            f"prediction and truth must be whole numbers (time, y, x) of one shape; got "
            f"{found.dtype} {found.shape} and {true.dtype} {true.shape}"
        )
    if not split:
        raise UsageError('split must say what the video is, such as "held-out recording"')
    wrong = found != true
    flicker = float((wrong[1:] != wrong[:-1]).mean()) if len(wrong) > 1 else 0.0
    pairs = [_frame(a, b) for a, b in zip(found, true, strict=True)]
    region, border = (np.array(part, dtype=np.float64) for part in zip(*pairs, strict=True))
    return VideoScores(region, border, flicker, split)


def _frame(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    objects = [one for one in np.union1d(found, true).tolist() if one > 0]
    if not objects:
        return float("nan"), float("nan")
    regions, borders = [], []
    for one in objects:
        a, b = found == one, true == one
        regions.append(float((a & b).sum() / (a | b).sum()))
        borders.append(_border(a, b))
    return float(np.mean(regions)), float(np.mean(borders))


def _border(a: Bool[np.ndarray, "y x"], b: Bool[np.ndarray, "y x"]) -> float:
    """F of two masks' borders."""
    reach = max(1, round(_TOLERANCE * float(np.hypot(*a.shape))))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = y**2 + x**2 <= reach**2
    one, other = (mask & ~binary_erosion(mask) for mask in (a, b))
    if not one.any() or not other.any():
        return float(not one.any() and not other.any())
    precision = float((one & binary_dilation(other, disk)).sum() / one.sum())
    recall = float((other & binary_dilation(one, disk)).sum() / other.sum())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mean(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")
