"""A drift away."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class Trend(Rule):
    """Adds a ramp that reaches half to one and a half times `size` at its last point.

    Args:
        size: In standard deviations of training.

    Example:
        >>> wave = np.sin(np.arange(100) / 5)
        >>> made = Trend(window=20).fit(wave).inject(wave, events=1, length=(6, 6))
        >>> steps = np.diff((made.series - wave)[made.mask])
        >>> bool(np.allclose(steps, steps[0]))
        True
    """

    size: float = 3.0
    kind: ClassVar[str] = "trend"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.size > 0:
            raise UsageError(f"size must be above 0, got {self.size}")

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        ramp = np.arange(1, on.points + 1) / (on.points)
        height = on.sign() * self.size * on.stream.uniform(0.5, 1.5)
        return on.segment + height * ramp[:, None], self.kind
