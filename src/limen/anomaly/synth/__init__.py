"""Makers of anomalies: rules, and GenIAS, which learns."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.anomaly.synth.carla import CARLA
    from limen.anomaly.synth.channel_swap import ChannelSwap
    from limen.anomaly.synth.cut_paste import CutPaste
    from limen.anomaly.synth.flat_line import FlatLine
    from limen.anomaly.synth.frequency import Frequency
    from limen.anomaly.synth.genias import GenIAS
    from limen.anomaly.synth.level_shift import LevelShift
    from limen.anomaly.synth.mixture import Mixture
    from limen.anomaly.synth.noise import Noise
    from limen.anomaly.synth.patch import Patch
    from limen.anomaly.synth.protocol import Disturbed, Injected, Maker
    from limen.anomaly.synth.seasonal import Seasonal
    from limen.anomaly.synth.shapelet import Shapelet
    from limen.anomaly.synth.spike import Spike
    from limen.anomaly.synth.trend import Trend

__all__ = [
    "CARLA",
    "ChannelSwap",
    "CutPaste",
    "Disturbed",
    "FlatLine",
    "Frequency",
    "GenIAS",
    "Injected",
    "LevelShift",
    "Maker",
    "Mixture",
    "Noise",
    "Patch",
    "Seasonal",
    "Shapelet",
    "Spike",
    "Trend",
]
__getattr__, __dir__ = lazy(__name__, __file__)
