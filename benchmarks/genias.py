"""What training GenIAS and injecting by it cost on one core, and whether it lands in its bands.

    python benchmarks/genias.py

The setting that its regression bands are stated for: UCR series 135 (aeon ships it; 1,200 points
for training), windows of 200 points every 2, 16 channels, 450 steps, the published margins 0.1 to
0.2. The perturbed error should also be 0.09 or more and psi above 2. The same with the KL summed
must collapse, which is to be told in one warning. Beside it the default margins, relative to the
data's variance. Wall-clock and CPU seconds, one thread; injecting is 10,000 windows made of windows
of training.
"""

import warnings
from math import inf
from time import perf_counter, process_time

import torch
from timing import table, write

from limen.anomaly.synth.genias import GenIAS

SETTING = {"window": 200, "steps": 450, "width": 16, "stride": 2}
WINDOWS = 10_000
WANTED = {
    "training [s]": 90,
    "injecting 10,000 windows [s]": 15,
    "copy error": (0, 0.02),
    "perturbed error": (0.09, 0.21),
    "psi": (2, inf),
    "summed KL: warnings of collapse": (1, inf),
    "windows outside the band": 0.6,
    "summed KL: distance of copy error from variance": 0.05,
}


def timed(work):
    """What it gives, wall-clock seconds, CPU seconds."""
    wall, cpu = perf_counter(), process_time()
    found = work()
    return found, perf_counter() - wall, process_time() - cpu


def main() -> None:
    """Measure, print, write."""
    from aeon.datasets import load_kdd_tsad_135

    torch.set_num_threads(1)
    series, _ = load_kdd_tsad_135(split="train")
    maker, wall, cpu = timed(lambda: GenIAS(**SETTING, margins="published").fit(series))
    made, inject_wall, inject_cpu = timed(lambda: maker.sample(WINDOWS, series))
    found = maker.diagnosis
    figures = {
        "training [s]": wall,
        "training [CPU s]": cpu,
        "injecting 10,000 windows [s]": inject_wall,
        "injecting 10,000 windows [CPU s]": inject_cpu,
        "copy error": found.copy_error,
        "perturbed error": found.perturbed_error,
        "windows outside the band": 1 - found.in_band,
        "psi": found.psi,
        "KL [nats]": found.kl,
        "active units": found.active_units,
        "variance": found.variance,
        "windows made at the first draw": maker.counts["first"],
        "share of numbers changed": float(made.mask.mean()),
    }
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        summed = GenIAS(**SETTING, margins="published", reduction="sum").fit(series).diagnosis
    figures |= {
        "summed KL: copy error": summed.copy_error,
        "summed KL: distance of copy error from variance": abs(
            summed.copy_error / summed.variance - 1
        ),
        "summed KL: active units": summed.active_units,
        "summed KL: warnings of collapse": sum("collapsed" in str(one.message) for one in told),
    }
    relative = GenIAS(**SETTING).fit(series).diagnosis
    figures |= {
        "relative margins: copy error": relative.copy_error,
        "relative margins: perturbed error": relative.perturbed_error,
        "relative margins: windows outside the band": 1 - relative.in_band,
        "relative margins: psi": relative.psi,
    }
    print(table(figures, WANTED))
    wanted = {name: str(bound) for name, bound in WANTED.items()}  # infinity is no JSON
    write("genias", {"windows": WINDOWS, "steps": SETTING["steps"], "wanted": wanted, **figures})


if __name__ == "__main__":
    main()
