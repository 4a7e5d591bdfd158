"""A few points far off."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class Spike(Rule):
    """Adds or takes away `size` standard deviations at `points` neighbouring points.

    Args:
        size: In standard deviations of training.
        points: How many.

    Example:
        >>> wave = np.sin(np.arange(100) / 5)
        >>> made = Spike(window=20, points=1).fit(wave).inject(wave, events=2)
        >>> [event.length for event in made.events], int(made.mask.sum())
        ([1, 1], 2)
    """

    size: float = 5.0
    points: int = 2
    kind: ClassVar[str] = "spike"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.size > 0 or self.points < 1:
            raise UsageError(
                f"size must be above 0 and points 1 or more, got {self.size} and {self.points}"
            )

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        new = on.segment.copy()
        points = min(self.points, len(new))
        at = int(on.stream.integers(len(new) - points + 1))
        new[at : at + points] += on.sign() * self.size * np.ones_like(new[at : at + points])
        return new, self.kind
