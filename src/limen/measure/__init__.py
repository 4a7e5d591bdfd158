"""Numbers from numbers: trade-offs, separation, intervals, thresholds. Pure: no file, no log."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.measure.interval import Interval, Paired, bootstrap, paired, student
    from limen.measure.separation import aupr, auroc, fpr_at_tpr, roc
    from limen.measure.threshold import Threshold
    from limen.measure.tradeoff import Point, Tradeoff

__all__ = [
    "Interval",
    "Paired",
    "Point",
    "Threshold",
    "Tradeoff",
    "aupr",
    "auroc",
    "bootstrap",
    "fpr_at_tpr",
    "paired",
    "roc",
    "student",
]
__getattr__, __dir__ = lazy(__name__, __file__)
