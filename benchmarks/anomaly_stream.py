"""What a point of a stream costs early and late, beside scoring all points again.

    python benchmarks/anomaly_stream.py

UCR series 135 (aeon ships it): detectors are fitted on its 1,200 training points and fed its other
points over and over. The median over 500 points after 200 and over 500 after 10,000, taken in
turns: their ratio should be 1. Naive: `decision_function` of the last 10,000 points, to have the
score of the last one. One thread, CPU seconds.
"""

import copy
from time import process_time

import numpy as np
import torch
from timing import table, write

from limen.anomaly.demo import series_135
from limen.anomaly.detectors import (
    KNN,
    RMSZ,
    Classifier,
    Contrastive,
    Forecaster,
    MovingVariance,
    WindowedPCA,
)
from limen.anomaly.synth.carla import CARLA

WINDOW, EARLY, LATE, TIMED = 100, 200, 10_000, 500
WANTED = {"cost late / early, at most": 1.2}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    found = series_135()
    rules = CARLA(window=WINDOW).fit(found.train)
    detectors = {
        "RMSZ": RMSZ(),
        "MovingVariance": MovingVariance(window=WINDOW),
        "WindowedPCA": WindowedPCA(window=WINDOW),
        "KNN": KNN(window=WINDOW),
        "Forecaster": Forecaster(window=WINDOW, steps=20),
        "Classifier": Classifier(rules, steps=20),
        "Contrastive": Contrastive(rules, epochs=1, steps=20),
    }
    stream = np.resize(found.test, (LATE + TIMED, 1))
    figures = {}
    for name, detector in detectors.items():
        early, late = costs(detector.fit(found.train), stream)
        start = process_time()
        detector.decision_function(stream[-LATE:])
        whole = process_time() - start
        figures |= {
            f"{name}: early [ms a point]": 1e3 * early,
            f"{name}: late / early": late / early,
            f"{name}: scoring all again / late": whole / late,
        }
    worst = max(value for key, value in figures.items() if key.endswith("late / early"))
    figures = {"cost late / early, at most": worst, **figures}
    print(table(figures, WANTED))
    write("anomaly_stream", figures)


def costs(detector, stream):
    """Median CPU seconds of a point after EARLY points and after LATE, taken in turns."""
    young, old = copy.deepcopy(detector), detector
    for one, fed in ((young, EARLY), (old, LATE)):
        for point in stream[:fed]:
            one.update(point)
    taken = np.empty((TIMED, 2))
    for i, point in enumerate(stream[LATE:]):
        for column, one in enumerate((young, old)):
            start = process_time()
            one.update(point)
            taken[i, column] = process_time() - start
    return tuple(float(one) for one in np.median(taken, axis=0))


if __name__ == "__main__":
    main()
