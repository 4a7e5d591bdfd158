"""A sensor that sticks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class FlatLine(Rule):
    """Holds the stretch's first value.

    Example:
        >>> wave = np.sin(np.arange(200) / 5)
        >>> made = FlatLine(window=60).fit(wave).inject(wave, events=1)
        >>> bool(np.ptp(made.series[made.mask]) < 1e-12)
        True
    """

    kind: ClassVar[str] = "flat_line"
    least: ClassVar[int] = 2

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        return np.repeat(on.segment[:1], on.points, axis=0), self.kind
