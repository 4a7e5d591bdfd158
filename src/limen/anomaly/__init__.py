"""Time series: events caught, against false alarms."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.anomaly import detectors, metrics, synth
    from limen.anomaly.data import UCR, Recording, read_series, read_ucr
    from limen.anomaly.detectors.adapter import Adapter
    from limen.anomaly.detectors.autoencoder import AutoEncoder
    from limen.anomaly.detectors.classifier import Classifier
    from limen.anomaly.detectors.contrastive import Contrastive
    from limen.anomaly.detectors.forecaster import Forecaster
    from limen.anomaly.detectors.knn import KNN
    from limen.anomaly.detectors.matrix_profile import MatrixProfile
    from limen.anomaly.detectors.max_z import MaxZ
    from limen.anomaly.detectors.moving_variance import MovingVariance
    from limen.anomaly.detectors.pca import PCA, WindowedPCA
    from limen.anomaly.detectors.random_score import RandomScore
    from limen.anomaly.detectors.rms_z import RMSZ
    from limen.anomaly.detectors.svdd import DeepSVDD
    from limen.anomaly.events import Event, Events
    from limen.anomaly.flagged import Alarm, flagged
    from limen.anomaly.judge import judge
    from limen.anomaly.judged import Judged
    from limen.anomaly.metrics import legacy
    from limen.anomaly.metrics.affiliation import affiliation
    from limen.anomaly.metrics.alarms import alarms
    from limen.anomaly.metrics.chance import chance
    from limen.anomaly.metrics.delay import delay, nab_score
    from limen.anomaly.metrics.eventwise import event_f1, event_precision, event_recall
    from limen.anomaly.metrics.oracle import best_f1_oracle
    from limen.anomaly.metrics.pointwise import point_f1
    from limen.anomaly.metrics.ranges import range_f1, range_precision, range_recall
    from limen.anomaly.metrics.ranked import auc_pr, auc_roc
    from limen.anomaly.metrics.ucr import ucr_accuracy, ucr_found
    from limen.anomaly.metrics.vus import vus, vus_pr, vus_roc
    from limen.anomaly.realism import arp, edi, prdc, realism, two_sample_auc
    from limen.anomaly.series import as_series
    from limen.anomaly.synth.carla import CARLA
    from limen.anomaly.synth.channel_swap import ChannelSwap
    from limen.anomaly.synth.cut_paste import CutPaste
    from limen.anomaly.synth.flat_line import FlatLine
    from limen.anomaly.synth.frequency import Frequency
    from limen.anomaly.synth.genias import GenIAS
    from limen.anomaly.synth.level_shift import LevelShift
    from limen.anomaly.synth.mixture import Mixture
    from limen.anomaly.synth.noise import Noise
    from limen.anomaly.synth.seasonal import Seasonal
    from limen.anomaly.synth.shapelet import Shapelet
    from limen.anomaly.synth.spike import Spike
    from limen.anomaly.synth.trend import Trend
    from limen.anomaly.thresholds import POT, Quantile
    from limen.anomaly.windows import period

__all__ = [  # noqa: RUF022  in plain order
    "Adapter",
    "Alarm",
    "AutoEncoder",
    "CARLA",
    "ChannelSwap",
    "Classifier",
    "Contrastive",
    "CutPaste",
    "DeepSVDD",
    "Event",
    "Events",
    "FlatLine",
    "Forecaster",
    "Frequency",
    "GenIAS",
    "Judged",
    "KNN",
    "LevelShift",
    "MatrixProfile",
    "MaxZ",
    "Mixture",
    "MovingVariance",
    "Noise",
    "PCA",
    "POT",
    "Quantile",
    "RMSZ",
    "RandomScore",
    "Recording",
    "Seasonal",
    "Shapelet",
    "Spike",
    "Trend",
    "UCR",
    "WindowedPCA",
    "affiliation",
    "alarms",
    "arp",
    "as_series",
    "auc_pr",
    "auc_roc",
    "best_f1_oracle",
    "chance",
    "delay",
    "detectors",
    "edi",
    "event_f1",
    "event_precision",
    "event_recall",
    "flagged",
    "judge",
    "legacy",
    "metrics",
    "nab_score",
    "period",
    "point_f1",
    "prdc",
    "range_f1",
    "range_precision",
    "range_recall",
    "read_series",
    "read_ucr",
    "realism",
    "synth",
    "two_sample_auc",
    "ucr_accuracy",
    "ucr_found",
    "vus",
    "vus_pr",
    "vus_roc",
]
__getattr__, __dir__ = lazy(__name__, __file__)
