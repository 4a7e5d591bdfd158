"""
Does the model know the animal, or its background?
==================================================

The same classes are photographed before a common and before a counter background. Nothing but the
background differs, so the accuracy that falls from one to the other was owed to it. Here classes
and backgrounds are directions in a made space of embeddings: what each model leans on is known, and
can be found again.
"""

# %%
# Photos: a class, a group, a background
# --------------------------------------
# A folder for each class, with ``common-<background>`` and ``counter-<background>`` in it. Only
# names are needed here: the embeddings that stand for the photos are made below.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np

from limen import shift
from limen._core.streams import numpy_stream

animals = shift.animals()[:24]
with TemporaryDirectory() as folder:
    for animal in animals:
        kind = Path(folder, f"{animal.index} {animal.label.split(',')[0]}")
        for group in (f"common-{animal.common}", f"counter-{animal.counter}"):
            (kind / group).mkdir(parents=True)
            for number in range(20):
                (kind / group / f"{number}.jpg").touch()
    photos = shift.read_photos(folder)
print(len(photos), "photos,", photos.counts.sum(axis=0), "of the two groups")

# %%
# Two models that lean on backgrounds
# -----------------------------------
# A photo's embedding is its animal, some noise, and its background. A caption's embedding is its
# animal and the background that it is usually seen before: that is how pairs learn to lean. The
# first model sees strong backgrounds, the second weak ones.

WIDTH, NAMES = 48, 1000


def directions(what, count):
    """Random unit rows."""
    rows = numpy_stream(0, "counter", what).normal(size=(count, WIDTH))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


kinds = directions("kinds", NAMES)
behind = dict(zip(sorted(set(photos.background)), directions("backgrounds", 14), strict=False))
usual = {animal.index: behind[animal.common] for animal in animals}


def made(strength):
    """Saved embeddings of a model for which a background counts `strength` times its animal."""
    texts = kinds.copy()
    for index, place in usual.items():
        texts[index] += strength * place
    noise = numpy_stream(0, "counter", "noise").normal(0, 0.2, size=(len(photos), WIDTH))
    seen = np.stack([behind[place] for place in photos.background])
    return shift.Embeddings(kinds[photos.labels] + strength * seen + noise, texts)


leaning = shift.counter(made(0.6), photos, name="strong backgrounds")
steady = shift.counter(made(0.3), photos, name="weak backgrounds")
for found in (leaning, steady):
    print(found.answer)

# %%
# Class by class
# --------------
# Two uncertainties stand behind each mean: other photos of these classes, or other classes. The
# second is the larger one, and the one that speaks of animals in general.

figure, (first, second) = plt.subplots(
    1, 2, figsize=(8.6, 5.4), width_ratios=(3, 2), layout="constrained"
)
order = np.argsort(leaning.drops)
for shift_by, (colour, found) in zip((0.17, -0.17), (("C3", leaning), ("C0", steady)), strict=True):
    lost = [found.lost[place] for place in order]
    middle = np.array([one.value for one in lost])
    reach = [middle - [one.low for one in lost], [one.high for one in lost] - middle]
    rows = np.arange(len(order)) + shift_by
    first.barh(rows, middle, 0.32, color=colour, alpha=0.3)
    first.errorbar(middle, rows, xerr=reach, fmt="o", color=colour, markersize=3, label=found.name)
first.axvline(0, color="grey", linewidth=0.8)
first.set_yticks(np.arange(len(order)), [leaning.names[place] for place in order], fontsize=8)
first.set_xlabel("drop of accuracy [points]")
first.legend(frameon=False, fontsize=8, loc="lower right")

for row, (colour, found) in enumerate((("C3", leaning), ("C0", steady))):
    for up, (name, ends) in zip((0.1, -0.1), (
        ("other photos", found.fixed["drop"]), ("other classes", found.resampled["drop"])
    ), strict=True):  # fmt: skip
        second.plot([100 * ends.low, 100 * ends.high], [row + up] * 2, color=colour)
        second.annotate(name, (100 * ends.high, row + up), (4, -3), textcoords="offset points",
                        fontsize=8)  # fmt: skip
    second.plot(100 * found.drop, row, "o", color=colour)
second.set_yticks([0, 1], ["strong", "weak"])
second.set(xlabel="mean drop [points]", xlim=(0, 70), ylim=(-0.6, 1.6))
for panel in (first, second):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Is one of them better, or is it an accident?
# --------------------------------------------
# Classes that are hard are hard for both, so differences are taken class by class before anything
# is drawn again.

print(shift.compare(leaning, steady).table.to_text())

# %%
# What stands in for the animal
# -----------------------------
# The names that counter photos are mistaken for: animals whose usual place this is.

for place in np.argsort(-leaning.drops)[:5]:
    print(
        f"{leaning.names[place]} before {leaning.backgrounds[place][1]}: "
        f"{leaning.mistaken[place] or 'nothing'}"
    )
