"""A stretch from elsewhere."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class CutPaste(Rule):
    """Puts a stretch of another window in its place, with a trend added to it.

    The other window is drawn from those that are disturbed together; of one alone, another stretch
    of itself is taken.

    Args:
        trend: Standard deviations that the trend reaches at most; 0 adds none.

    Reference:
        Wang et al., CutAddPaste: time series anomaly detection by exploiting abnormal knowledge,
        KDD 2024: cut, add a trend, paste. Its further settings are not taken over.

    Example:
        >>> wave = np.sin(np.arange(200) / 5)
        >>> made = CutPaste(window=60).fit(wave).inject(wave, events=1)
        >>> made.events[0].kind
        'cut_paste'
    """

    trend: float = 1.0
    kind: ClassVar[str] = "cut_paste"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trend < 0:
            raise UsageError(f"trend must be 0 or more, got {self.trend}")

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        points = on.points
        at = int(on.stream.integers(len(on.other) - points + 1))
        ramp = on.sign() * on.stream.uniform(0, self.trend) * np.arange(points) / max(1, points - 1)
        return on.other[at : at + points] + ramp[:, None], self.kind
