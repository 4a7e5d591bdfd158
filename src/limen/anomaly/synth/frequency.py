"""The same shape, faster or slower."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class Frequency(Rule):
    """Reads the stretch at another speed, `factor` times as fast or as slow, to and fro.

    Args:
        factor: Above 1; by a fair coin the stretch runs that much faster or slower.

    Example:
        >>> wave = np.sin(np.arange(200) / 5)
        >>> made = Frequency(window=60).fit(wave).inject(wave, events=1)
        >>> made.events[0].kind
        'frequency'
    """

    factor: float = 2.0
    kind: ClassVar[str] = "frequency"
    least: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factor > 1:
            raise UsageError(f"factor must be above 1, got {self.factor}")

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        speed = self.factor if on.stream.random() < 0.5 else 1 / self.factor
        last = on.points - 1
        at = speed * np.arange(on.points)
        if last > 0:  # reflected at both ends, so that no jump tells
            at = last - np.abs(at % (2 * last) - last)
        segment = on.segment
        columns = [np.interp(at, np.arange(on.points), column) for column in segment.T]
        return np.stack(columns, axis=1), self.kind
