"""How well scores and alarms find labelled events, beside what chance gets."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.anomaly.metrics import legacy
    from limen.anomaly.metrics.affiliation import Affiliation, affiliation
    from limen.anomaly.metrics.alarms import alarms
    from limen.anomaly.metrics.chance import chance
    from limen.anomaly.metrics.coverage import Coverage, coverage
    from limen.anomaly.metrics.delay import Delay, delay, nab_score
    from limen.anomaly.metrics.eventwise import event_f1, event_precision, event_recall
    from limen.anomaly.metrics.oracle import Oracle, best_f1_oracle
    from limen.anomaly.metrics.pointwise import point_f1
    from limen.anomaly.metrics.ranges import range_f1, range_precision, range_recall
    from limen.anomaly.metrics.ranked import auc_pr, auc_roc
    from limen.anomaly.metrics.ucr import Accuracy, ucr_accuracy, ucr_found
    from limen.anomaly.metrics.vus import Volume, vus, vus_pr, vus_roc

__all__ = [
    "Accuracy",
    "Affiliation",
    "Coverage",
    "Delay",
    "Oracle",
    "Volume",
    "affiliation",
    "alarms",
    "auc_pr",
    "auc_roc",
    "best_f1_oracle",
    "chance",
    "coverage",
    "delay",
    "event_f1",
    "event_precision",
    "event_recall",
    "legacy",
    "nab_score",
    "point_f1",
    "range_f1",
    "range_precision",
    "range_recall",
    "ucr_accuracy",
    "ucr_found",
    "vus",
    "vus_pr",
    "vus_roc",
]
__getattr__, __dir__ = lazy(__name__, __file__)
