"""Numbers from numbers: trade-offs, separation, intervals, thresholds. Pure: no file, no log."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.measure.benjamini_hochberg import benjamini_hochberg
    from limen.measure.correct import accuracy, detection_accuracy
    from limen.measure.delong import Delong, delong, delong_paired, holm
    from limen.measure.hull import Hull
    from limen.measure.interval import Interval, Paired, bootstrap, paired, student
    from limen.measure.moments import Moments
    from limen.measure.oscr import oscr, oscr_curve
    from limen.measure.selective import aurc, risk_coverage
    from limen.measure.separation import aupr, auroc, fpr_at_tpr, roc
    from limen.measure.stratified import aupr_interval, fpr_interval
    from limen.measure.threshold import Threshold
    from limen.measure.tradeoff import Point, Tradeoff
    from limen.measure.wilson import newcombe, wilson

__all__ = [
    "Delong",
    "Hull",
    "Interval",
    "Moments",
    "Paired",
    "Point",
    "Threshold",
    "Tradeoff",
    "accuracy",
    "aupr",
    "aupr_interval",
    "aurc",
    "auroc",
    "benjamini_hochberg",
    "bootstrap",
    "delong",
    "delong_paired",
    "detection_accuracy",
    "fpr_at_tpr",
    "fpr_interval",
    "holm",
    "newcombe",
    "oscr",
    "oscr_curve",
    "paired",
    "risk_coverage",
    "roc",
    "student",
    "wilson",
]
__getattr__, __dir__ = lazy(__name__, __file__)
