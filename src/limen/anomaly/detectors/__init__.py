"""Detectors of anomalies: one-line baselines, learned ones, and any other library's."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
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
    from limen.anomaly.detectors.protocol import Detector
    from limen.anomaly.detectors.random_score import RandomScore
    from limen.anomaly.detectors.rms_z import RMSZ
    from limen.anomaly.detectors.svdd import DeepSVDD

__all__ = [  # noqa: RUF022  in plain order
    "Adapter",
    "AutoEncoder",
    "Classifier",
    "Contrastive",
    "DeepSVDD",
    "Detector",
    "Forecaster",
    "KNN",
    "MatrixProfile",
    "MaxZ",
    "MovingVariance",
    "PCA",
    "RMSZ",
    "RandomScore",
    "WindowedPCA",
]
__getattr__, __dir__ = lazy(__name__, __file__)
