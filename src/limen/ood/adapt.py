"""A threshold that follows a drifting stream by what became known of its own flags."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.measure._numbers import Numbers, flat


@dataclass
class AdaptiveThreshold:
    """Adaptive conformal threshold: false alarms stay at `alpha` in the long run, under any drift.

    After each item that turns out to be an inlier, with err = 1 where it was flagged,

        alpha_t+1 = alpha_t + gamma (alpha - err),

    and the level is the 1 - alpha_t conformal quantile of the calibration scores: infinite (flag
    nothing) at alpha_t <= 0, minus infinite (flag everything) at alpha_t >= 1. Over T updates the
    share of inliers flagged is within (max(alpha, 1 - alpha) + gamma) / (gamma T) of alpha, without
    any assumption on the scores. It does assume feedback: that an inlier is in the end known to be
    one, flagged or not. Items never confirmed must not be given to `update`, and where only flagged
    ones are looked at the promise is lost.

    Args:
        alpha: The share of inliers that may be flagged, between 0 and 1.
        gamma: Step, above 0; larger follows faster and scatters more.

    Attributes:
        current: alpha_t.

    Raises:
        UsageError: `alpha` not between 0 and 1, or `gamma` not above 0.

    Reference:
        I. Gibbs and E. Candes, "Adaptive conformal inference under distribution shift", NeurIPS
        2021, equation 2 and proposition 4.1. The set of scores not flagged is their prediction set.

    Example:
        >>> live = AdaptiveThreshold(alpha=0.5, gamma=0.25).fit([1.0, 2.0, 3.0])
        >>> live.level, live.update([9.0]), live.current, live.level    # flagged: alpha falls
        (2.0, array([ True]), 0.375, 3.0)
    """

    alpha: float = 0.05
    gamma: float = 0.005
    current: float = field(default=math.nan, init=False)
    _scores: np.ndarray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.alpha, bool) or not 0 < self.alpha < 1:
            raise UsageError(f"alpha must be between 0 and 1, got {self.alpha}")
        if not 0 < self.gamma < math.inf:
            raise UsageError(f"gamma must be above 0, got {self.gamma}")

    def fit(self, scores: Numbers) -> "AdaptiveThreshold":
        """Start at `alpha` from calibration scores of inliers.

        Args:
            scores: Scores of inliers; higher = more outlying.

        Returns:
            This threshold, fitted.

        Raises:
            UsageError: None, not numbers, or NaN.
        """
        self._scores, self.current = np.sort(flat("scores", scores)), self.alpha
        return self

    @property
    def level(self) -> float:
        """The score above which the next item is flagged.

        Raises:
            UsageError: Not fitted yet.
        """
        scores = self._held()
        rank = math.ceil((len(scores) + 1) * (1 - self.current) - 1e-9)
        if rank > len(scores):
            return math.inf
        return -math.inf if rank < 1 else float(scores[rank - 1])

    def flag(self, scores: Numbers) -> np.ndarray:
        """Whether each score lies above the current level, which stays as it is.

        Raises:
            UsageError: Not fitted yet, or not numbers.
        """
        return flat("scores", scores) > self.level

    def update(self, scores: Numbers) -> np.ndarray:
        """Take confirmed inliers in the order of time: flag each, then move alpha.

        Args:
            scores: Their scores.

        Returns:
            Whether each was flagged, at the level of its turn.

        Raises:
            UsageError: Not fitted yet, or not numbers.
        """
        self._held()
        flags = np.zeros(flat("scores", scores).shape, dtype=bool)
        for place, score in enumerate(flat("scores", scores)):
            flags[place] = score > self.level
            self.current += self.gamma * (self.alpha - float(flags[place]))
        return flags

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `limen.save`.

        Raises:
            UsageError: Not fitted yet.
        """
        return {
            "alpha": self.alpha,
            "gamma": self.gamma,
            "current": self.current,
            "scores": self._held().tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "AdaptiveThreshold":
        """The inverse of `to_dict`."""
        found = cls(alpha=data["alpha"], gamma=data["gamma"]).fit(data["scores"])
        found.current = float(data["current"])
        return found

    def _held(self) -> np.ndarray:
        if self._scores is None:
            raise UsageError("the threshold must be fitted first: AdaptiveThreshold().fit(scores)")
        return self._scores
