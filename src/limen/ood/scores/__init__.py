"""How outlying an input is, as functions of what one forward pass gave; higher = more outlying."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
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

__all__ = [  # noqa: RUF022  in plain order
    "ASH",
    "DICE",
    "FDBD",
    "GEN",
    "GradNorm",
    "Gram",
    "HullDistance",
    "KLMatching",
    "KNN",
    "MCM",
    "Mahalanobis",
    "NCI",
    "NNGuide",
    "ODIN",
    "ReAct",
    "RelativeMahalanobis",
    "Residual",
    "SCALE",
    "SHE",
    "TemperatureScaling",
    "VRA",
    "ViM",
    "energy",
    "entropy",
    "extra_class",
    "max_logit",
    "msp",
]
__getattr__, __dir__ = lazy(__name__, __file__)
