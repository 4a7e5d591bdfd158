"""How well pixels are named, with the split that the numbers come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from limen._core.errors import UsageError
from limen.report.table import Table


@dataclass(frozen=True, eq=False)
class SegmentationScores:
    """Scores from one confusion matrix; all of them higher = better, 0 to 1.

    A class that is neither in the truth nor in the prediction is skipped, not counted as 0 or 1.

    Attributes:
        confusion: Pixels of each true class (rows) given each class (columns).
        split: What the pixels were: "test", "held-out recording", ...
        names: Of the classes.
        background: The class that `miou_objects` leaves out; None for none.

    Example:
        >>> found = SegmentationScores(np.array([[3, 1], [0, 4]]), "test")
        >>> round(found.miou, 4), found.pixel_accuracy     # 3/4 and 4/5; 7 of 8
        (0.775, 0.875)
    """

    confusion: Int64[np.ndarray, "classes classes"]
    split: str
    names: tuple[str, ...] = ()
    background: int | None = 0

    @property
    def iou(self) -> Float64[np.ndarray, " classes"]:
        """Intersection over union of each class; NaN where it is absent from both."""
        hit = np.diag(self.confusion).astype(np.float64)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hit
        return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)

    @property
    def miou(self) -> float:
        """Mean intersection over union of the classes that are there."""
        return _mean(self.iou)

    @property
    def miou_objects(self) -> float:
        """The same without the background."""
        keep = [c for c in range(len(self.confusion)) if c != self.background]
        return _mean(self.iou[keep])

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels named rightly."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def class_accuracy(self) -> float:
        """Mean over true classes of the share of their pixels named rightly."""
        rows = self.confusion.sum(1)
        hit = np.diag(self.confusion).astype(np.float64)
        return _mean(np.divide(hit, rows, out=np.full(len(hit), np.nan), where=rows > 0))

    @property
    def frequency_weighted_iou(self) -> float:
        """Intersection over union, weighted by the classes' share of true pixels."""
        share = self.confusion.sum(1) / self.confusion.sum()
        return float(np.nansum(share * self.iou))

    def table(self) -> Table:
        """Class by class, and the means; the protocol names the split."""
        called = [self.names[c] if c < len(self.names) else str(c) for c in range(len(self.iou))]
        rows: list[list[Any]] = [
            [name, int(count), None if np.isnan(value) else float(value)]
            for name, count, value in zip(called, self.confusion.sum(1), self.iou, strict=True)
        ]
        rows.append(["mean", int(self.confusion.sum()), self.miou])
        return Table(
            ["class", "true pixels", "IoU"], rows, title="Pixels named",
            protocol=f"Split: {self.split}. Classes in neither truth nor prediction are skipped. "
            f"Without background {self.miou_objects:.3f}; pixel accuracy "
            f"{self.pixel_accuracy:.3f}, class accuracy {self.class_accuracy:.3f}, "
            f"frequency-weighted IoU {self.frequency_weighted_iou:.3f}.",
        )  # fmt: skip


def segmentation_scores(
    prediction: Any,
    truth: Any,
    *,
    split: str,
    classes: int | None = None,
    names: Sequence[str] = (),
    background: int | None = 0,
) -> SegmentationScores:
    """Compare masks; every score carries the split that it is of.

    Args:
        prediction: Classes, any shape.
        truth: Classes of the same shape; -1 for pixels that do not count.
        split: What these pixels are, such as "test": training pixels flatter.
        classes: How many there are; None takes the largest named, and `names` if longer.
        names: Of the classes.
        background: The class that objects do not include; None for none.

    Returns:
        The scores.

    Raises:
        UsageError: Other shapes, no split, classes out of range, or no pixel that counts.

    Example:
        >>> segmentation_scores([0, 1, 1], [0, 1, 0], split="test").pixel_accuracy
        0.6666666666666666
    """
    found, true = np.asarray(prediction), np.asarray(truth)
    if found.shape != true.shape or found.dtype.kind not in "iub" or true.dtype.kind not in "iub":
        raise UsageError(
            f"prediction and truth must be whole numbers of one shape; got {found.dtype} "
            f"{found.shape} and {true.dtype} {true.shape}"
        )
    if not split:
        raise UsageError('split must say what the pixels are, such as "test"')
    counted = true >= 0
    found, true = found[counted].astype(np.int64), true[counted].astype(np.int64)
    if not len(true):
        raise UsageError("truth must have a pixel that counts; all are below 0")
    top = int(max(found.max(), true.max())) + 1
    count = classes or max(top, len(names))
    if top > count or found.min() < 0:
        raise UsageError(f"classes must lie from 0 to {count - 1}; the largest is {top - 1}")
    confusion = np.bincount(count * true + found, minlength=count**2).reshape(count, count)
    return SegmentationScores(confusion.astype(np.int64), split, tuple(names), background)


def _mean(values: np.ndarray) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")
