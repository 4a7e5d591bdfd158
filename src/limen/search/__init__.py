"""Searching inside a budget: balls, ascent, tails. Pure functions of tensors: no file, no log."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.search.ascent import ascend, climb_sphere
    from limen.search.ball import project_l1_mean, project_l2, to_length
    from limen.search.tails import Kept, gaussian_tails, rejected

__all__ = [
    "Kept",
    "ascend",
    "climb_sphere",
    "gaussian_tails",
    "project_l1_mean",
    "project_l2",
    "rejected",
    "to_length",
]
__getattr__, __dir__ = lazy(__name__, __file__)
