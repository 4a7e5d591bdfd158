"""More noise."""

from dataclasses import dataclass
from typing import ClassVar

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class Noise(Rule):
    """Adds white Gaussian noise; a small `size` makes near copies, a control that teaches nothing.

    Args:
        size: Its standard deviation, in those of training.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(np.arange(200) / 5)
        >>> made = Noise(window=60).fit(wave).inject(wave, events=1, size=0.5)
        >>> round(made.events[0].magnitude, 6)
        0.5
    """

    size: float = 1.0
    kind: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.size > 0:
            raise UsageError(f"size must be above 0, got {self.size}")

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        segment = on.segment
        return segment + self.size * on.stream.standard_normal(segment.shape), self.kind
