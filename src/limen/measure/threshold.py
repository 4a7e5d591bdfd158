"""The operating point of a detector: a threshold with a promise about false alarms."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from limen._core.errors import UsageError
from limen.measure._numbers import TOLERANCE, Numbers, flat, is_tensor, numbers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(repr=False)
class Threshold:
    """Split-conformal threshold: flags at most `alpha` of new inliers; lower `level` flags more.

    The level is the ceil((n + 1) (1 - alpha))-th smallest of n calibration scores, and a score is
    flagged when it lies strictly above. If calibration scores and a new inlier's score are
    exchangeable, each rank of the new score among the n + 1 is equally likely, so

        P(score > level) <= floor((n + 1) alpha) / (n + 1) <= alpha,

    whatever the distribution, with equality on the left when no two scores tie. The probability
    is over calibration set and new score together: the rate of one calibrated threshold scatters
    around it, by about sqrt(alpha (1 - alpha) / n).

    Args:
        alpha: The share of inliers that may be flagged, between 0 and 1. (n + 1) alpha less than
            1e-9 below an integer counts as that integer: 100 * 0.29 is 28.999999999999996.

    Attributes:
        alpha: As given.
        count: Number n of calibration scores, 0 before `fit`.

    Raises:
        UsageError: `alpha` is not between 0 and 1.

    Reference:
        V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world", 2005;
        A. N. Angelopoulos and S. Bates, "Conformal prediction: a gentle introduction",
        Foundations and Trends in Machine Learning, 2023. Of their prediction sets, this is the
        set of scores that are not flagged.

    Example:
        >>> threshold = Threshold(alpha=0.25).fit([4.0, 1.0, 3.0, 2.0])    # 4th smallest of 4
        >>> threshold.level, threshold.flag([3.5, 4.5]), threshold.expected
        (4.0, array([False,  True]), 0.2)
    """

    alpha: float = 0.05
    count: int = field(default=0, init=False)
    _level: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if isinstance(self.alpha, bool) or not 0 < self.alpha < 1:
            raise UsageError(f"alpha must be between 0 and 1, got {self.alpha}")

    def fit(self, scores: Numbers) -> "Threshold":
        """Set the level from calibration scores of inliers that the detector was not trained on.

        Args:
            scores: Scores of inliers, any shape; higher = more outlying.

        Returns:
            This threshold, fitted.

        Raises:
            UsageError: Too few scores for `alpha`; none, not numbers, or NaN; or the level would
                be infinite.

        Example:
            >>> Threshold(alpha=0.5).fit([1.0, 2.0, 3.0]).level
            2.0
        """
        found = flat("scores", scores)
        allowed = self._allowed(len(found))
        if allowed < 1:
            needed = math.ceil((1 - TOLERANCE) / self.alpha) - 1
            raise UsageError(
                f"alpha={self.alpha} needs at least {needed:,} calibration scores, "
                f"got {len(found):,}; bring more or raise alpha"
            )
        rank = len(found) - allowed  # from 0
        level = float(np.partition(found, rank)[rank])
        if not math.isfinite(level):
            raise UsageError(f"scores must be finite around the threshold, which would be {level}")
        self.count, self._level = len(found), level
        return self

    @property
    def level(self) -> float:
        """The score above which a point is flagged.

        Raises:
            UsageError: Not fitted yet.
        """
        if self._level is None:
            raise UsageError("the threshold must be fitted first: Threshold(alpha).fit(scores)")
        return self._level

    @property
    def expected(self) -> float:
        """The false-alarm rate to expect when no two scores tie: floor((n + 1) alpha) / (n + 1).

        Raises:
            UsageError: Not fitted yet.
        """
        if not self.count:
            raise UsageError("expected needs a fitted threshold: Threshold(alpha).fit(scores)")
        return self._allowed(self.count) / (self.count + 1)

    @overload
    def flag(self, scores: "Tensor") -> "Tensor": ...  # type: ignore[overload-overlap]
    @overload
    def flag(self, scores: Numbers) -> np.ndarray: ...
    def flag(self, scores: Any) -> Any:
        """Whether each score lies strictly above the level; True = flagged as an outlier.

        Args:
            scores: New scores, any shape, also empty; higher = more outlying.

        Returns:
            Booleans of the same shape: a tensor on the same device for a tensor, else an array.

        Raises:
            UsageError: Not fitted yet, or scores that are not numbers or NaN.

        Example:
            >>> Threshold(alpha=0.5).fit([1.0, 2.0, 3.0]).flag([2.0, 2.5])
            array([False,  True])
        """
        flags = np.asarray(numbers("scores", scores) > self.level)
        if not is_tensor(scores):
            return flags
        import torch

        return torch.from_numpy(flags).to(scores.device)

    def to_dict(self) -> dict[str, Any]:
        """Alpha, level and count, as plain values that JSON can hold.

        Raises:
            UsageError: Not fitted yet.

        Example:
            >>> Threshold(alpha=0.5).fit([1.0, 2.0, 3.0]).to_dict()
            {'alpha': 0.5, 'level': 2.0, 'count': 3}
        """
        return {"alpha": self.alpha, "level": self.level, "count": self.count}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Threshold":
        """The fitted threshold that `to_dict` described.

        Raises:
            UsageError: An entry is missing, unknown or not valid.

        Example:
            >>> Threshold.from_dict({"alpha": 0.5, "level": 2.0, "count": 3}).flag([2.5])
            array([ True])
        """
        if data.keys() != {"alpha", "level", "count"}:
            raise UsageError(f"data must hold alpha, level and count, got {sorted(data)}")
        threshold = cls(alpha=data["alpha"])
        threshold._level, threshold.count = float(data["level"]), int(data["count"])
        if not math.isfinite(threshold._level) or threshold._allowed(threshold.count) < 1:
            raise UsageError(f"data must describe a fitted threshold, got {dict(data)}")
        return threshold

    def __repr__(self) -> str:
        fitted = "" if self._level is None else f", level={self._level}, count={self.count}"
        return f"Threshold(alpha={self.alpha}{fitted})"

    def _allowed(self, count: int) -> int:
        """How many of `count` + 1 exchangeable scores may lie above the level."""
        return min(count, math.floor((count + 1) * self.alpha + TOLERANCE))
