"""CARLA's five rules, one drawn for each window."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch
from limen.anomaly.synth.seasonal import permuted

Mode = Literal["corrected", "official"]
KINDS = ("global", "contextual", "seasonal", "trend", "shapelet")


@dataclass(eq=False)
class CARLA(Rule):
    """The hand-made anomalies of CARLA, in standardised units.

    - "global": two points (three of a single channel) are multiplied by 8;
    - "contextual": four points (five) are multiplied by 3;
    - "seasonal": `x'[j] = x[(c j) mod L]`, c = 2, 3 or 4 by channel;
    - "trend": a ramp to ±N(1, 0.5) at the stretch's end;
    - "shapelet": the constant `x[s] + U(0, 0.1)`.

    The released code multiplies raw values, which does nothing around zero and explodes beside a
    large offset; adds the trend's height at once and up to the window's end, which is a level
    shift; draws channels with replacement, and for two or three channels none at all.
    `mode="official"` multiplies raw values and shifts to the window's end; its heights, N(1, 0.5)
    and U(0, 0.1), are in the data's own unit, not in standard deviations. Its channels are drawn as
    here, so that every window is changed.

    Args:
        mode: "corrected" or "official".

    Reference:
        Zamanzadeh Darban et al., CARLA: Self-supervised contrastive representation learning for
        time series anomaly detection, Pattern Recognition 157, 2025; its released code.

    Example:
        >>> wave = np.sin(np.arange(200) / 5)
        >>> made = CARLA(window=50).fit(wave).sample(40, wave)
        >>> sorted(set(made.kinds)) == sorted(KINDS)
        True
    """

    mode: Mode = "corrected"
    kind: ClassVar[str] = "carla"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in get_args(Mode):
            raise UsageError(f"mode={self.mode!r} must be one of {', '.join(get_args(Mode))}")

    def _learn(self, series: list[np.ndarray]) -> None:
        self._single = series[0].shape[1] == 1

    def _restore(self, state: Any) -> None:
        self._single = self.scaler is not None and len(self.scaler.low) == 1

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        kind = str(on.stream.choice(KINDS))
        if kind == "global":
            return self._times(on, 8.0, 3 if self._single else 2), kind
        if kind == "contextual":
            return self._times(on, 3.0, 5 if self._single else 4), kind
        if kind == "seasonal":
            columns = [permuted(x[:, None], int(on.stream.integers(2, 5))) for x in on.segment.T]
            return np.concatenate(columns, axis=1), kind
        if kind == "trend":
            return self._trend(on), kind
        level = on.segment[:1] + on.stream.uniform(0, 0.1) / self._unit(on)
        return np.repeat(level, on.points, axis=0), kind

    def _times(self, on: Stretch, factor: float, points: int) -> Bent:
        """The first points of the stretch, multiplied."""
        new = on.segment.copy()
        offset = np.zeros(len(on.channels))
        if self.mode == "official" and self.scaler is not None:
            offset = (self.scaler.low / self.scaler.size)[on.channels]
        new[:points] = factor * (new[:points] + offset) - offset
        return new

    def _unit(self, on: Stretch) -> np.ndarray:
        """What the rules' heights are in: standard deviations; as released, the data's unit."""
        if self.mode == "official" and self.scaler is not None:
            return self.scaler.size[on.channels]
        return np.ones(len(on.channels))

    def _trend(self, on: Stretch) -> Bent:
        """A ramp; as released a shift, up to the window's end."""
        height = on.sign() * on.stream.normal(1.0, 0.5) / self._unit(on)
        if self.mode == "official":
            return (on.window[on.start :] if on.free else on.segment) + height
        return on.segment + height * (np.arange(1, on.points + 1) / on.points)[:, None]
