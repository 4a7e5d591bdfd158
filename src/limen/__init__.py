"""limen: what did a model gain, and what did it cost?

Everything is imported on first use: `import limen` alone loads nothing heavy.
"""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen import algebra, anomaly, bank, measure, ood, report, run, shift, train, unlearn
    from limen._core.errors import LimenError
    from limen.algebra.vector import ParamVector
    from limen.bank.bank import FeatureBank
    from limen.measure.threshold import Threshold
    from limen.measure.tradeoff import Tradeoff
    from limen.run.files import load, save
    from limen.train.fit import fit
    from limen.train.loop import Loop
    from limen.train.losses import At
    from limen.train.primal_dual import PrimalDual
    from limen.train.rectify import Rectify
    from limen.train.weighted import Weighted

__version__ = "0.1.0"

__all__ = [
    "At",
    "FeatureBank",
    "LimenError",
    "Loop",
    "ParamVector",
    "PrimalDual",
    "Rectify",
    "Threshold",
    "Tradeoff",
    "Weighted",
    "algebra",
    "anomaly",
    "bank",
    "fit",
    "load",
    "measure",
    "ood",
    "report",
    "run",
    "save",
    "shift",
    "train",
    "unlearn",
]
__getattr__, __dir__ = lazy(__name__, __file__)
