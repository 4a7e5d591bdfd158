"""Another level for a while."""

from dataclasses import dataclass
from typing import ClassVar

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class LevelShift(Rule):
    """Adds a constant of half to one and a half times `size`, up or down.

    Args:
        size: In standard deviations of training.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(np.arange(100) / 5)
        >>> made = LevelShift(window=20).fit(wave).inject(wave, events=1, length=(5, 5), size=3.0)
        >>> made.events[0].length, round(made.events[0].magnitude, 6)
        (5, 3.0)
    """

    size: float = 2.0
    kind: ClassVar[str] = "level_shift"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.size > 0:
            raise UsageError(f"size must be above 0, got {self.size}")

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        return on.segment + on.sign() * self.size * on.stream.uniform(0.5, 1.5), self.kind
