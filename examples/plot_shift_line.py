"""
Is a CLIP more robust than its accuracy tells?
==============================================

Animals on backgrounds they are often seen on (common) and on others (counter). A model that is
better on the first is better on the second; the question is whether it stands above the line
that others follow.
"""

# %%
# Two families
# ------------
# Published accuracies of 28 CLIPs and 15 ImageNet classifiers, a line through each on the logit
# scale, and the diagonal, on which no accuracy is lost. The CLIP that chose the backgrounds is
# hollow: it must look worst, and is left out of its family's line.

import matplotlib.pyplot as plt
import numpy as np

from limen.shift.published import DISCOVERY, place, published_line, results

grid = np.linspace(0.58, 0.92, 60)
figure, panel = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
for family, colour in (("CLIP", "tab:orange"), ("ImageNet", "tab:blue")):
    line = published_line(family)
    low, high = line.band(grid)
    panel.fill_between(100 * grid, 100 * low, 100 * high, color=colour, alpha=0.15, lw=0)
    panel.plot(100 * grid, 100 * line.predict(grid), color=colour, label=family)
    for model in results():
        if model.family == family:
            panel.plot(
                100 * model.common, 100 * model.counter, "o", color=colour,
                mfc="none" if model.name == DISCOVERY else colour, ms=5,
            )  # fmt: skip
    print(f"{family:8} slope {line.slope:.3f}  intercept {line.intercept:+.3f}  R2 {line.r2:.3f}")
panel.plot(100 * grid, 100 * grid, "--", color="gray", label="no drop")
panel.set(xlabel="common accuracy [%]", ylabel="counter accuracy [%], higher is better")
panel.spines[["top", "right"]].set_visible(False)
panel.legend(frameon=False)
plt.show()

# %%
# Not every CLIP lies below
# -------------------------
# Excess over the ImageNet line, in points of counter accuracy at equal common accuracy.

over = {
    model.name: place(model.common, model.counter).over_imagenet
    for model in results() if model.family == "CLIP"
}  # fmt: skip
for name, excess in sorted(over.items(), key=lambda pair: pair[1]):
    print(f"{name:26} {100 * excess:+6.2f}")
print(f"above the line: {sum(excess > 0 for excess in over.values())} of {len(over)}")

# %%
# One's own model
# ---------------
# With the number of photos in each group, the interval covers chance in the photos and in which
# models drew the line.

mine = place(0.80, 0.66, name="mine")
interval = mine.lines["ImageNet"].interval(0.80, 0.66, counts=(7174, 5926))
print(f"over ImageNet {100 * mine.over_imagenet:+.2f} points "
      f"[{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]")  # fmt: skip
print(f"over CLIP     {100 * mine.over_clip:+.2f} points")
