"""
The limen line
==============

Two detectors, one question: which is better? The answer depends on the price you can pay, so say
the price first. A :class:`limen.Tradeoff` holds what each setting costs and gains; its
:meth:`~limen.Tradeoff.at` answers at one price.
"""

import matplotlib.pyplot as plt
import numpy as np

from limen import measure

# %%
# Scores of 2,000 inliers, and of 500 outliers under each detector; higher is more outlying. The
# first detector is certain about half of the outliers and blind to the rest. The second is a little
# suspicious of all of them.

draw = np.random.default_rng(0)
inliers = draw.normal(size=2000)
certain = np.concatenate([draw.normal(4, 0.5, size=250), draw.normal(size=250)])
suspicious = draw.normal(1.2, 1, size=500)

curves = {
    "certain of half": measure.roc(inliers, certain),
    "suspicious of all": measure.roc(inliers, suspicious),
}

# %%
# The area under a ROC curve averages over all prices, most of which nobody would pay. At five false
# alarms in a hundred, the order turns around.

for name, curve in curves.items():
    caught = curve.at(price=0.05).gain
    print(f"{name:18} area {curve.area():.2f}   at price 0.05 {caught:.2f}")

# %%
# ``at`` never interpolates: its answer is a setting that was measured, with the knob that reaches
# it, here the threshold on the score. The other way around, it finds the cheapest setting that
# gains enough.

print(curves["certain of half"].at(price=0.05))
print(curves["suspicious of all"].at(gain=0.9))

# %%
# Most settings are dominated by another one that costs no more and gains no less. The frontier
# keeps the rest.

for name, curve in curves.items():
    print(f"{name:18} {len(curve.frontier())} of {len(curve)} settings")

# %%
# Price to the right, gain upwards, and one thin line at the price at which everything is compared.
# What lies right of it is pale, because it cannot be afforded. The one filled dot is the operating
# point. Every page that limen writes uses this picture.


def limen_line(axes, curves, *, price):
    """Draw trade-offs and compare them at one price."""
    for name, curve in curves.items():
        best, point = curve.frontier(), curve.at(price=price)
        (line,) = axes.step(best.price, best.gain, where="post", label=name)
        axes.plot(point.price, point.gain, "o", color=line.get_color(), zorder=5)
    axes.axvspan(price, 1, facecolor="white", edgecolor="none", alpha=0.65, zorder=3)
    axes.axvline(price, color="black", linewidth=0.8, zorder=4)


figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
limen_line(axes, curves, price=0.05)
axes.set(xlabel="inliers flagged", ylabel="outliers caught")
axes.set(xlim=(0, 0.5), ylim=(0, 1.02))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(loc="lower right", frameon=False).set_zorder(5)
plt.show()
