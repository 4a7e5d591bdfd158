"""Rules that choose training rows: each a function of a `Pool` and a budget, an `Order` out."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.shift.rules.herding import herding
    from limen.shift.rules.hull_cover import hull_cover
    from limen.shift.rules.kcenter import kcenter
    from limen.shift.rules.logdet import logdet
    from limen.shift.rules.loss import loss
    from limen.shift.rules.policy import policy
    from limen.shift.rules.random import balanced_random, random

__all__ = [
    "balanced_random",
    "herding",
    "hull_cover",
    "kcenter",
    "logdet",
    "loss",
    "policy",
    "random",
]
__getattr__, __dir__ = lazy(__name__, __file__)
