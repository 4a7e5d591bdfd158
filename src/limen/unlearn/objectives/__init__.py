"""What is minimised on the forget rows."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.unlearn.objectives.ga import GA
    from limen.unlearn.objectives.npo import NPO
    from limen.unlearn.objectives.wga import WGA

__all__ = ["GA", "NPO", "WGA"]
__getattr__, __dir__ = lazy(__name__, __file__)
