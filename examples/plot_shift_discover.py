"""
What a network leans on, and what it costs to make it stop
==========================================================

Digits on brick, grass and gravel: in training the texture almost always gives the class away. A
head learned on such rows is good at home and fails where digits stand on other textures. Here the
failure is found without knowing where to look, measured without flattering, and repaired.
"""

# %%
# A head that leans
# -----------------
# The features are random convolutions' answers: cheap, and as ready to tell textures as digits.

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from limen.shift.discover import discover
from limen.shift.head import Head
from limen.shift.repairs import DFR, LastLayerBalance, Projection, judge_repairs
from limen.shift.toy import SIDE, digits_on_textures
from limen.shift.transfer import transfer

torch.set_num_threads(1)
torch.manual_seed(0)
found = digits_on_textures(seed=0)
body = nn.Sequential(
    nn.Unflatten(1, (1, SIDE, SIDE)), nn.Conv2d(1, 24, 5), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten()
)


@torch.no_grad()
def features(part):
    """What the head sees."""
    return body(torch.from_numpy(part.pictures)).numpy()


before = Head(1e-3).fit(features(found.train), found.train.labels)
for name in ("home", "test"):
    part = getattr(found, name)
    print(f"{name}: {(before.predict(features(part)) == part.labels).mean():.2f} right")

# %%
# Found: chosen on one half, measured on the other
# ------------------------------------------------
# The gap where it was chosen is the one that a hasty reader would report.

right = before.predict(features(found.repair)) == found.repair.labels
discovery = discover(right, found.repair.labels, found.repair.names)
print(discovery.table.to_text())

# %%
# What pure noise would have shown
# --------------------------------
# The same numbers of rows, but answers right at random. Extremes of noisy accuracies always lie
# apart; held out, the gap is gone.

chosen, held = [], []
for seed in range(200):
    noise = np.random.default_rng(seed).random(len(right)) < right.mean()
    told = discover(noise, found.repair.labels, found.repair.names, seed=seed)
    chosen += [one.chosen_gap for one in told.rows]
    held += [one.gap for one in told.rows]

figure, (first, second) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
bins = np.linspace(-0.6, 0.6, 31)
first.hist(chosen, bins, alpha=0.6, label=f"where chosen, mean {np.mean(chosen):.2f}")
first.hist(held, bins, alpha=0.6, label=f"held out, mean {np.mean(held):.2f}")
first.set(xlabel="gap found in noise", ylabel="labels")
first.legend(frameon=False)

# %%
# Repaired, and judged
# --------------------
# Each repair learns from pictures that the head was not trained on, and is judged on others. The
# price is accuracy at home, where the texture still helps.

rows = features(found.repair), found.repair.labels, found.repair.textures
repairs = {
    "DFR": DFR(subsets=3).fit(*rows),
    "balance": LastLayerBalance(0.01).fit(*rows),
    "projection": Projection(decay=0.01).fit(*rows),
}
table = judge_repairs(
    repairs,
    before,
    features=features(found.test),
    labels=found.test.labels,
    groups=found.test.names,
    home=(features(found.home), found.home.labels),
    afford=0.02,
)
print(table.to_text())

for curve in table.tradeoffs:
    second.plot(curve.price, curve.gain, "o-", label=curve.name, markersize=3)
second.axvline(0.02, color="grey", linewidth=0.8)
second.set(xlabel=table.tradeoffs[0].price_name, ylabel=table.tradeoffs[0].gain_name)
second.legend(frameon=False)
for panel in (first, second):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Whose hard cases are these?
# ---------------------------
# Pairs that one head finds hard, measured on every head: in rows who chose, in columns who is
# measured, always on the other half of the pictures.

heads = {"before": before, **repairs}
answers = {
    name: head.predict(features(found.test)) == found.test.labels for name, head in heads.items()
}
print(transfer(answers, found.test.labels, found.test.names).numbers().to_text())
