"""What finding a target in encoded channels costs, beside Spectral Python (SPy).

    pip install spectral && python benchmarks/spectral_detectors.py

A frame of 512 x 512 pixels with nine channels in float64, one thread. SPy's and limen's matched
filter, adaptive coherence estimator and spectral angle take turns, wall seconds, the median of 15
rounds after one to warm up; and the background's statistics. Their scores agree to 1e-8. Without
SPy only limen's seconds are told.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from timing import in_turns, table, write

from limen._core.streams import numpy_stream
from limen.spectral.understand.targets import ACE, SAM, MatchedFilter

SIDE, CHANNELS, ROUNDS = 512, 9, 15


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    draw = numpy_stream(0, "detectors benchmark")
    mixed = np.eye(CHANNELS) + 0.3 * draw.normal(size=(CHANNELS, CHANNELS))
    frame = draw.normal(size=(SIDE, SIDE, CHANNELS)) @ mixed + 5.0
    target = frame[0, 0] + 2.0
    ours = {
        "matched filter": MatchedFilter(target).fit(frame),
        "ACE": ACE(target).fit(frame),
        "spectral angle": SAM(target),
    }
    variants: dict[str, Callable[[], Any]] = {
        f"limen: {name}": lambda detector=detector: detector(frame)
        for name, detector in ours.items()
    }
    variants["limen: statistics"] = lambda: MatchedFilter(target).fit(frame)
    if find_spec("spectral"):
        import spectral as spy

        known = spy.calc_stats(frame)
        peers: dict[str, Callable[[], Any]] = {
            "matched filter": lambda: spy.matched_filter(frame, target, known),
            "ACE": lambda: spy.ace(frame, target, known),
            "spectral angle": lambda: spy.spectral_angles(frame, target[None])[..., 0],
            "statistics": lambda: spy.calc_stats(frame),
        }
        for name, detector in ours.items():
            assert np.allclose(peers[name](), detector(frame), atol=1e-8)
        variants |= {f"SPy: {name}": run for name, run in peers.items()}
    found = in_turns(variants, rounds=ROUNDS)
    figures = {f"{name} [ms]": 1e3 * value for name, value in found.items()}
    figures |= {
        f"{name.removeprefix('SPy: ')}: SPy / limen": value / found[name.replace("SPy", "limen")]
        for name, value in found.items()
        if name.startswith("SPy")
    }
    print(table(figures, {}))
    write("spectral_detectors", figures)


if __name__ == "__main__":
    main()
