"""One conformal threshold for all rows, or one for each predicted class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.measure.threshold import Threshold

SHOWN = 5
"""How many classes an error lists."""


@dataclass(frozen=True)
class Levels:
    """Thresholds: of all rows together and, where asked for, of each predicted class.

    Attributes:
        overall: The threshold of all calibration rows.
        by_class: For each class its threshold; empty: `overall` for every row.

    Example:
        >>> levels = Levels.fit(np.arange(8.0), 0.5, classes=np.array([0] * 4 + [1] * 4))
        >>> levels.by_class[0].level, levels.flag(np.array([3.5, 3.5]), np.array([0, 1]))
        (2.0, array([ True, False]))
    """

    overall: Threshold
    by_class: Mapping[int, Threshold] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        alpha: float,
        *,
        classes: np.ndarray | None = None,
        of: int = 0,
        fallback: bool = False,
    ) -> "Levels":
        """Thresholds from calibration scores.

        Args:
            scores: Of inliers; higher = more outlying.
            alpha: The share of inliers that may be flagged.
            classes: Predicted class of each; None: one threshold.
            of: How many classes there are, those included that no row is predicted to be of.
            fallback: Classes with too few rows take the threshold of all.

        Raises:
            UsageError: Too few rows, of all or of a class.
        """
        overall = Threshold(alpha=alpha).fit(scores)
        if classes is None:
            return cls(overall)
        needed = ceil((1 - 1e-9) / alpha) - 1
        counts = np.bincount(classes, minlength=of)
        short = {one: int(count) for one, count in enumerate(counts) if count < needed}
        if short and not fallback:
            got = ", ".join(f"class {one}: {count}" for one, count in [*short.items()][:SHOWN])
            more = len(short) - SHOWN
            got += f" and {more:,} more" if more > 0 else ""
            raise UsageError(
                f"alpha={alpha} needs at least {needed:,} calibration rows of each predicted "
                f"class, got {got}; bring more, raise alpha, or say fallback=True"
            )
        able = [one for one in range(len(counts)) if one not in short]
        each = {one: Threshold(alpha=alpha).fit(scores[classes == one]) for one in able}
        return cls(overall, each)

    def flag(self, scores: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
        """Whether each score is above the level of its class; classes unknown take `overall`."""
        if classes is None:
            return self.overall.flag(scores)
        levels = np.full(scores.shape, self.overall.level)
        for one, threshold in self.by_class.items():
            levels[classes == one] = threshold.level
        return np.asarray(scores > levels)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        each = {str(one): threshold.to_dict() for one, threshold in self.by_class.items()}
        return {"overall": self.overall.to_dict(), "by_class": each}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Levels":
        """The inverse of `to_dict`."""
        each = {int(one): Threshold.from_dict(state) for one, state in data["by_class"].items()}
        return cls(Threshold.from_dict(data["overall"]), each)
