"""Metrics that flatter, for comparison with what was published: random scores do well in them."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.anomaly.metrics.legacy.point_adjusted import pa_f1, pa_k

__all__ = ["pa_f1", "pa_k"]
__getattr__, __dir__ = lazy(__name__, __file__)
