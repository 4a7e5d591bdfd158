"""Out-of-distribution detection: outliers caught, against inliers rejected."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.ood import nets, objectives, scores, synth
    from limen.ood.adapt import AdaptiveThreshold
    from limen.ood.augment import Augment
    from limen.ood.choose import Choice, choose
    from limen.ood.compare import compare
    from limen.ood.data import Images, read_images, require_apart
    from limen.ood.detector import Detection, Detector
    from limen.ood.judge import judge
    from limen.ood.judged import Judged
    from limen.ood.models import About, Classifier, load_classifier, save_classifier
    from limen.ood.objectives.atol import ATOL
    from limen.ood.objectives.dal import DAL
    from limen.ood.objectives.doe import DOE
    from limen.ood.objectives.energy_margin import EnergyMargin
    from limen.ood.objectives.mixoe import MixOE
    from limen.ood.objectives.ntom import NTOM
    from limen.ood.objectives.outlier_exposure import OutlierExposure
    from limen.ood.objectives.vos import VOS
    from limen.ood.pairs import Pairs, pairs
    from limen.ood.scores.ash import ASH
    from limen.ood.scores.dice import DICE
    from limen.ood.scores.energy import energy
    from limen.ood.scores.entropy import entropy
    from limen.ood.scores.extra_class import extra_class
    from limen.ood.scores.fdbd import FDBD
    from limen.ood.scores.gen import GEN
    from limen.ood.scores.grad_norm import GradNorm
    from limen.ood.scores.gram import Gram
    from limen.ood.scores.hull_distance import HullDistance
    from limen.ood.scores.kl_matching import KLMatching
    from limen.ood.scores.knn import KNN
    from limen.ood.scores.mahalanobis import Mahalanobis
    from limen.ood.scores.max_logit import max_logit
    from limen.ood.scores.mcm import MCM
    from limen.ood.scores.msp import msp
    from limen.ood.scores.nci import NCI
    from limen.ood.scores.nn_guide import NNGuide
    from limen.ood.scores.odin import ODIN
    from limen.ood.scores.react import ReAct
    from limen.ood.scores.relative_mahalanobis import RelativeMahalanobis
    from limen.ood.scores.residual import Residual
    from limen.ood.scores.scale import SCALE
    from limen.ood.scores.she import SHE
    from limen.ood.scores.temperature_scaling import TemperatureScaling
    from limen.ood.scores.vim import ViM
    from limen.ood.scores.vra import VRA
    from limen.ood.seen import View
    from limen.ood.step import Objective, PairedRows, Step
    from limen.ood.train import Training, train

__all__ = [  # noqa: RUF022  in plain order
    "ASH",
    "ATOL",
    "About",
    "AdaptiveThreshold",
    "Augment",
    "Choice",
    "Classifier",
    "DAL",
    "DICE",
    "DOE",
    "Detection",
    "Detector",
    "EnergyMargin",
    "FDBD",
    "GEN",
    "GradNorm",
    "Gram",
    "HullDistance",
    "Images",
    "Judged",
    "KLMatching",
    "KNN",
    "MCM",
    "Mahalanobis",
    "MixOE",
    "NCI",
    "NNGuide",
    "NTOM",
    "ODIN",
    "Objective",
    "OutlierExposure",
    "PairedRows",
    "Pairs",
    "ReAct",
    "RelativeMahalanobis",
    "Residual",
    "SCALE",
    "SHE",
    "Step",
    "TemperatureScaling",
    "Training",
    "VOS",
    "VRA",
    "ViM",
    "View",
    "choose",
    "compare",
    "energy",
    "entropy",
    "extra_class",
    "judge",
    "load_classifier",
    "max_logit",
    "msp",
    "nets",
    "objectives",
    "pairs",
    "read_images",
    "require_apart",
    "save_classifier",
    "scores",
    "synth",
    "train",
]
__getattr__, __dir__ = lazy(__name__, __file__)
