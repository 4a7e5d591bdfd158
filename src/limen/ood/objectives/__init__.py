"""What to learn from outliers: one objective a file, for `ood.Step`."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.ood.objectives.atol import ATOL
    from limen.ood.objectives.dal import DAL
    from limen.ood.objectives.doe import DOE
    from limen.ood.objectives.energy_margin import EnergyMargin
    from limen.ood.objectives.mixoe import MixOE
    from limen.ood.objectives.ntom import NTOM
    from limen.ood.objectives.outlier_exposure import OutlierExposure
    from limen.ood.objectives.vos import VOS

__all__ = [  # noqa: RUF022  in plain order
    "ATOL",
    "DAL",
    "DOE",
    "EnergyMargin",
    "MixOE",
    "NTOM",
    "OutlierExposure",
    "VOS",
]
__getattr__, __dir__ = lazy(__name__, __file__)
