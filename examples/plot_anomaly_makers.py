"""
Anomalies made to order, and detectors taught by them
=====================================================

Labelled anomalies are rare, so they are made: by rules, or by a generator that has learnt what is
normal. Here each maker changes the same series at the same size, a classifier learns from one of
them, and all are judged on events that none of them made.
"""

# %%
# One series, four makers
# -----------------------
# Every maker gives the changed series, a mask, and a table of events. ``size`` scales each event to
# the same root mean square, in standard deviations of the series.

import matplotlib.pyplot as plt
import numpy as np
import torch

from limen import anomaly

torch.set_num_threads(1)
rng = np.random.default_rng(0)
time = np.arange(2400)
series = np.sin(time / 8) + 0.4 * np.sin(time / 31) + 0.05 * rng.normal(size=time.size)
train, test = series[:1600], series[1600:]

makers = {
    "level shift": anomaly.LevelShift(window=80),
    "seasonal": anomaly.Seasonal(window=80),
    "cut and paste": anomaly.CutPaste(window=80),
    "GenIAS": anomaly.GenIAS(window=80, steps=150, width=8),
}
figure, rows = plt.subplots(len(makers), sharex=True, figsize=(7, 6))
for axis, (name, maker) in zip(rows, makers.items(), strict=True):
    made = maker.fit(train).inject(test, events=3, size=1.5, seed=2)
    axis.plot(made.series, linewidth=1)
    for event in made.events:
        axis.axvspan(event.start, event.end, alpha=0.25)
    axis.set_title(f"{name}: {', '.join(f'{e.length} points' for e in made.events)}", fontsize=9)
figure.tight_layout()

# %%
# Does what was made teach anything?
# ----------------------------------
# Events of two other kinds are to be found. VUS-PR stands beside what random scores get; labels
# chose nothing but the columns that say "oracle".

unseen = anomaly.Mixture([anomaly.Shapelet(window=80), anomaly.FlatLine(window=80)]).fit(train)
broken, mask, events = unseen.inject(test, events=4, seed=5)
detectors = {
    "RMS of z": anomaly.RMSZ(),
    "windowed PCA": anomaly.WindowedPCA(window=80),
    "taught by GenIAS": anomaly.Classifier(makers["GenIAS"], steps=120),
    "taught by CARLA's rules": anomaly.Classifier(anomaly.CARLA(window=80), steps=120),
}
scores = {name: one.fit(train).decision_function(broken) for name, one in detectors.items()}
table = anomaly.judge(scores, mask, window=80)
print(table.to_text())

# %%
# Where they look
# ---------------

figure, rows = plt.subplots(len(scores) + 1, sharex=True, figsize=(7, 6))
rows[0].plot(broken, linewidth=1)
rows[0].set_title("the series, its events shaded", fontsize=9)
for axis, (name, found) in zip(rows[1:], scores.items(), strict=True):
    axis.plot(found, linewidth=1)
    axis.set_title(f"score: {name}", fontsize=9)
for axis in rows:
    for event in events:
        axis.axvspan(event.start, event.end, alpha=0.25)
figure.tight_layout()
