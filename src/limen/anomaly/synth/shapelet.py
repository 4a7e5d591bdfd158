"""A foreign shape of the same height."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limen.anomaly.synth.rules import Bent, Rule, Stretch

_SHAPES = ("sine", "square", "triangle", "sawtooth")


@dataclass(eq=False)
class Shapelet(Rule):
    """Puts a sine, square, triangle or sawtooth of one to four periods in the stretch's place.

    It has the stretch's middle and range (at least one standard deviation), so that its shape alone
    is foreign.

    Example:
        >>> wave = np.sin(np.arange(200) / 5)
        >>> made = Shapelet(window=60).fit(wave).inject(wave, events=1)
        >>> made.events[0].kind.split(", ")[0]
        'shapelet'
    """

    kind: ClassVar[str] = "shapelet"

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        segment = on.segment
        name = str(on.stream.choice(_SHAPES))
        turns = on.stream.uniform(1, 4) * np.arange(on.points) / max(1, on.points - 1)
        phase = (turns + on.stream.random()) % 1
        shape = {
            "sine": np.sin(2 * np.pi * phase),
            "square": np.where(phase < 0.5, 1.0, -1.0),
            "triangle": 4 * np.abs(phase - 0.5) - 1,
            "sawtooth": 2 * phase - 1,
        }[name]
        height = np.maximum(np.ptp(segment, axis=0), 1.0) / 2
        middle = (segment.max(0) + segment.min(0)) / 2
        return middle + height * shape[:, None], f"{self.kind}, {name}"
