"""One labelled series and the scores for which peers' values are known."""

import numpy as np

LABELS = np.zeros(200, dtype=int)
LABELS[60:80] = LABELS[150:155] = 1
TIME = np.arange(200)
PEAKS = 1e-6 * TIME
PEAKS[[70, 152]] += 1
FLAGS = np.zeros(200)
FLAGS[75:90] = FLAGS[100:103] = 1
SCORES = {
    "perfect": LABELS.astype(float),
    "ramp": TIME / 199,
    "inverse": 1.0 - LABELS,
    "late": np.roll(LABELS, 5) + 1e-6 * TIME,
    "noise": np.random.RandomState(0).randn(200),
    "peaks": PEAKS,
    "flags": FLAGS,
}
