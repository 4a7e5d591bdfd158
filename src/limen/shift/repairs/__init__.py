"""Repairs of a head that leans on what it should not, on cached features; and what each costs."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.shift.repairs.dfr import DFR
    from limen.shift.repairs.judge_repairs import judge_repairs
    from limen.shift.repairs.last_layer_balance import LastLayerBalance
    from limen.shift.repairs.linear import Linear
    from limen.shift.repairs.projection import Projection

__all__ = ["DFR", "LastLayerBalance", "Linear", "Projection", "judge_repairs"]
__getattr__, __dir__ = lazy(__name__, __file__)
