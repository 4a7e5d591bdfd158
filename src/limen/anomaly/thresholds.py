"""Thresholds from scores alone; `limen.Threshold` is the conformal one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from limen._core.errors import UsageError
from limen.measure._numbers import flat, numbers

_FEWEST = 10  # excesses below which a tail has no shape


@dataclass
class Quantile:
    """Flags the highest `share` of the scores it is fitted on; a lower `level` flags more.

    The level is the (1 - share) quantile, interpolated between two scores; what lies strictly
    above it is flagged. The threshold of first resort: no assumption and no promise. Fitted on the
    scores of points that the detector was trained on, it flags more than `share` of new ones;
    `limen.Threshold` on points kept apart keeps its promise.

    Args:
        share: Of the fitted scores that may be flagged, between 0 and 1.

    Raises:
        UsageError: `share` is not between 0 and 1.

    Example:
        >>> threshold = Quantile(0.25).fit([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> threshold.level, threshold.flag([4.0, 4.5])
        (4.0, array([False,  True]))
    """

    share: float = 0.01
    _level: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        _refuse_share("share", self.share)

    def fit(self, scores: Any) -> "Quantile":
        """Set the level.

        Args:
            scores: Any shape; higher = more anomalous. Labels are not asked for.

        Returns:
            This threshold, fitted.

        Raises:
            UsageError: No scores, not numbers, or not finite at the level.
        """
        with np.errstate(invalid="ignore"):  # between two infinite scores: nan, refused below
            found = float(np.quantile(flat("scores", scores), 1 - self.share))
        if not math.isfinite(found):
            raise UsageError(f"scores must be finite around the threshold, which would be {found}")
        self._level = found
        return self

    @property
    def level(self) -> float:
        """The score above which a point is flagged.

        Raises:
            UsageError: Not fitted yet.
        """
        return _fitted(self._level, self)

    @property
    def expected(self) -> float:
        """The share that it was asked to flag."""
        return self.share

    def flag(self, scores: Any) -> Bool[np.ndarray, "..."]:
        """Whether each score lies strictly above the level.

        Args:
            scores: Any shape.

        Returns:
            Booleans of the same shape.

        Raises:
            UsageError: Not fitted yet, or not numbers.
        """
        return np.asarray(numbers("scores", scores) > self.level)

    def to_dict(self) -> dict[str, Any]:
        """Share and level, for `limen.save`."""
        return {"share": self.share, "level": self.level}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Quantile":
        """Rebuild what `to_dict` gave."""
        found = cls(state["share"])
        found._level = float(state["level"])
        return found


@dataclass
class POT:
    """Peaks over threshold: flags a share `risk` of normal points, by the law of extremes.

    Whatever the distribution, the excesses Y of scores over a high level t follow a generalized
    Pareto law, P(Y > y) = (1 + shape y / scale)^(-1 / shape), the better the higher t. With t the
    (1 - tail) quantile, m of n scores above it and the law fitted to them by maximum likelihood,

        level = t + (scale / shape) ((n risk / m)^(-shape) - 1),

    which may lie beyond every score seen: a quantile cannot ask for fewer alarms than one in n.

    Args:
        risk: The share of normal points to be flagged, between 0 and `tail`.
        tail: The share of the scores that are taken for its tail, between 0 and 1.

    Attributes:
        start: t, after `fit`.
        shape: Of the tail, after `fit`; 0 is exponential, above 0 heavier.
        scale: Of the tail, after `fit`, in units of the scores.

    Raises:
        UsageError: A share out of range.

    Reference:
        A. Siffer, P.-A. Fouque, A. Termier and C. Largouet, "Anomaly detection in streams with
        extreme value theory", KDD 2017, equation 1 (their q is `risk`, their initial threshold the
        0.98 quantile). Departure: the likelihood is maximised by scipy over two parameters, not
        by Grimshaw's trick.

    Example:
        >>> scores = -np.log(1 - (np.arange(10_000) + 0.5) / 10_000)    # exponential
        >>> abs(POT(risk=1e-4).fit(scores).level - 9.21) < 0.2    # ln 10,000
        True
    """

    risk: float = 1e-3
    tail: float = 0.02
    start: float = field(default=math.nan, init=False)
    shape: float = field(default=math.nan, init=False)
    scale: float = field(default=math.nan, init=False)
    _level: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        _refuse_share("risk", self.risk)
        _refuse_share("tail", self.tail)
        if self.risk >= self.tail:
            raise UsageError(f"risk must lie below tail, got {self.risk} and {self.tail}")

    def fit(self, scores: Any) -> "POT":
        """Fit the tail and set the level.

        Args:
            scores: Any shape; higher = more anomalous. Labels are not asked for.

        Returns:
            This threshold, fitted.

        Raises:
            UsageError: Fewer than 10 scores in the tail, all equal there, too many tied at its
                start, or not finite.
        """
        found = flat("scores", scores)
        if not np.isfinite(found).all():
            raise UsageError("scores must be finite to have a tail; drop or mend infinite ones")
        start = float(np.quantile(found, 1 - self.tail))
        excess = found[found > start] - start
        if len(excess) < _FEWEST:
            raise UsageError(
                f"POT needs {_FEWEST} different scores or more in a tail of {self.tail:g}; "
                f"{len(excess)} of {len(found)} lie above {start:g}: bring more scores, raise "
                "tail, or take Quantile"
            )
        if len(excess) <= len(found) * self.risk:
            raise UsageError(
                f"risk={self.risk:g} must be below the share of scores above {start:g}, "
                f"{len(excess)} of {len(found)}, since many are tied there; lower risk or take "
                "Quantile"
            )
        self.start, (self.shape, self.scale) = start, _pareto(excess)
        reach = len(found) * self.risk / len(excess)
        # (reach^-shape - 1) / shape, also where the shape is 0
        grown = -math.log(reach) if abs(self.shape) < 1e-9 else (
            math.expm1(-self.shape * math.log(reach)) / self.shape
        )  # fmt: skip
        self._level = start + self.scale * grown
        return self

    @property
    def level(self) -> float:
        """The score above which a point is flagged.

        Raises:
            UsageError: Not fitted yet.
        """
        return _fitted(self._level, self)

    @property
    def expected(self) -> float:
        """The share of normal points that it is made to flag."""
        return self.risk

    def flag(self, scores: Any) -> Bool[np.ndarray, "..."]:
        """Whether each score lies strictly above the level.

        Args:
            scores: Any shape.

        Returns:
            Booleans of the same shape.

        Raises:
            UsageError: Not fitted yet, or not numbers.
        """
        return np.asarray(numbers("scores", scores) > self.level)

    def to_dict(self) -> dict[str, Any]:
        """Options and what was fitted, for `limen.save`."""
        return {"risk": self.risk, "tail": self.tail, "start": self.start,
                "shape": self.shape, "scale": self.scale, "level": self.level}  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "POT":
        """Rebuild what `to_dict` gave."""
        found = cls(state["risk"], state["tail"])
        found.start, found.shape, found.scale = (
            float(state[name]) for name in ("start", "shape", "scale")
        )
        found._level = float(state["level"])
        return found


def _pareto(excess: Float[np.ndarray, " tail"]) -> tuple[float, float]:
    """Shape and scale of the generalized Pareto law of greatest likelihood."""
    from scipy.stats import genpareto

    unit = float(excess.mean())
    shape, _, scale = genpareto.fit(excess / unit, floc=0)
    return float(shape), float(scale) * unit


def _refuse_share(name: str, value: float) -> None:
    if isinstance(value, bool) or not 0 < value < 1:
        raise UsageError(f"{name} must be between 0 and 1, got {value}")


def _fitted(level: float | None, threshold: object) -> float:
    if level is None:
        name = type(threshold).__name__
        raise UsageError(f"the threshold must be fitted first: {name}(...).fit(scores)")
    return level
