"""Two sensors taken for each other."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.synth.rules import Bent, Rule, Stretch


@dataclass(eq=False)
class ChannelSwap(Rule):
    """Exchanges two channels, each in its own standard deviations, over the stretch.

    Raises:
        UsageError: At `fit`: a series of one channel.

    Example:
        >>> waves = np.stack([np.sin(np.arange(99) / 5), np.cos(np.arange(99) / 3)], axis=1)
        >>> made = ChannelSwap(window=30).fit(waves).inject(waves, events=1)
        >>> made.events[0].channels
        (0, 1)
    """

    kind: ClassVar[str] = "channel_swap"

    def _learn(self, series: list[np.ndarray]) -> None:
        if series[0].shape[1] < 2:
            raise UsageError("ChannelSwap needs two channels to exchange; X has one")

    def _channels(self, count: int, stream: Any) -> np.ndarray:
        found: np.ndarray = np.sort(stream.choice(count, size=2, replace=False))
        return found

    def _bent(self, on: Stretch) -> tuple[Bent, str]:
        return on.segment[:, ::-1], self.kind
