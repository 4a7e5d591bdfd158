"""Remedies against shift, and what each changes in environments that nothing learned from."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.shift.remedies.augmented import Augmented, Blurred, Pretrained, Rotated
    from limen.shift.remedies.balanced import Balanced
    from limen.shift.remedies.compare_remedies import compare_remedies
    from limen.shift.remedies.compared import Compared
    from limen.shift.remedies.coral import CORAL
    from limen.shift.remedies.erm import ERM
    from limen.shift.remedies.group_dro import GroupDRO
    from limen.shift.remedies.logistic import Logistic
    from limen.shift.remedies.mixup import Mixup
    from limen.shift.remedies.selected import Selected
    from limen.shift.remedies.training import Training

__all__ = [  # noqa: RUF022  in plain order
    "Augmented",
    "Balanced",
    "Blurred",
    "CORAL",
    "Compared",
    "ERM",
    "GroupDRO",
    "Logistic",
    "Mixup",
    "Pretrained",
    "Rotated",
    "Selected",
    "Training",
    "compare_remedies",
]
__getattr__, __dir__ = lazy(__name__, __file__)
