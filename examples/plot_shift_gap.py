"""
Digits at angles between and beyond those that were seen
========================================================

A network learns digits turned by 0, 30 and 60 degrees. How will it do at other angles? No label of
the new angle is needed to ask how far its pictures lie from every mixture of the three seen: the
mixture gap. Here it stands beside the error, and beside what more rows do to the error.
"""

# %%
# Three environments and four targets
# -----------------------------------

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from limen.shift.gap import gaps_table, mixture_gap
from limen.shift.trend import trend

warnings.filterwarnings("ignore", message="the target has")
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
SEEN, ASKED = (0, 30, 60), (0, 15, 30, 45, 60, 75, 90)


def turned(rows, angle):
    """The pictures of these rows, turned."""
    pictures = images[rows].reshape(-1, 8, 8)
    found = rotate(pictures, angle, axes=(1, 2), reshape=False, order=1)
    return found.reshape(len(rows), -1) / 16


train, test = order[:1200], order[1200:]
sources = {f"{angle} degrees": turned(train[i::3], angle) for i, angle in enumerate(SEEN)}
classes = np.concatenate([labels[train[i::3]] for i in range(3)])
targets = {angle: turned(test[:300], angle) for angle in ASKED}

# %%
# The gap, without a label of the targets
# ---------------------------------------
# Small p: no mixture of the three angles looks like this. An angle between two seen ones is not a
# mixture of them either: half of the digits at 30 degrees and half at 60 are no digits at 45.

gaps = {
    f"{angle} degrees": mixture_gap(sources, rows, standardise=False)
    for angle, rows in targets.items()
}
print(gaps_table(gaps).to_text())

# %%
# Error against gap
# -----------------

net = LogisticRegression(max_iter=300).fit(np.concatenate(list(sources.values())), classes)
errors = [1 - net.score(rows, labels[test[:300]]) for rows in targets.values()]
distances = [gap.distance for gap in gaps.values()]
print(f"Spearman correlation of gap and error: {spearmanr(distances, errors).statistic:.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
left.plot(distances, errors, "o")
for angle, x, y in zip(ASKED, distances, errors, strict=True):
    left.annotate(f"{angle}°", (x, y), xytext=(4, 4), textcoords="offset points")
left.set(xlabel="mixture gap", ylabel="error")

# %%
# Do more rows help?
# ------------------
# Error against the number of training rows, five seeds each, at a seen angle, between two, and
# beyond them all. The verdict is told from the seeds.

sizes, pooled = [45, 90, 180, 360, 720], np.concatenate(list(sources.values()))
for angle in (30, 45, 90):
    found = []
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(len(pooled))
        fits = [LogisticRegression(max_iter=100).fit(pooled[shuffled[:n]], classes[shuffled[:n]])
                for n in sizes]  # fmt: skip
        found.append([1 - fit.score(targets[angle], labels[test[:300]]) for fit in fits])
    told = trend(sizes, found)
    print(f"{angle} degrees: {told.verdict}")
    right.errorbar(sizes, told.mean, told.deviation, label=f"{angle}°: {told.verdict}")
right.set(xlabel="training rows", xscale="log")
right.legend(frameon=False)
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()
