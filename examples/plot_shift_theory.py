"""
Why a picture-text pair leans on the background
===============================================

Pictures and texts share an object and a background. A linear contrastive pair keeps whatever
varies together in both, so the background too; where background and object part ways, it errs.
The model is solved exactly, so every square below is a formula, not a run.
"""

# %%
# Two strengths
# -------------
# The cue's strength runs up, how often it agrees with the class runs to the right. Left: error
# where the background fits the class. Right: where it contradicts it.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from limen.report import Grid, Page
from limen.shift.theory import SpuriousLatents

strengths = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
agreements = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
errors = {
    group: [
        [getattr(SpuriousLatents(mu, p).errors(), group) for p in agreements] for mu in strengths
    ]
    for group in ("aligned", "opposed")
}

figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained", sharey=True)
for panel, (group, values) in zip(panels, errors.items(), strict=True):
    picture = panel.imshow(values, origin="lower", vmin=0, vmax=1, cmap="magma", aspect="auto")
    panel.set_xticks(range(len(agreements)), agreements)
    panel.set_yticks(range(len(strengths)), strengths)
    panel.set(title=group, xlabel="chance that the cue agrees with the class")
panels[0].set_ylabel("strength of the cue")
figure.colorbar(picture, ax=panels, label="error, lower is better")
plt.show()

# %%
# A fair cue (0.5) and no cue (strength 0) cost nothing: both groups have one error there. A
# stronger cue always misleads more; one that is right more often does not, once it is strong.
#
# By drawing
# ----------
# Pairs of 40 numbers, the loss minimised on them, a million fresh pictures asked.

for mu, p in [(0.5, 0.9), (1.0, 0.9), (1.5, 0.95)]:
    model = SpuriousLatents(mu, p)
    print(
        f"strength {mu}, agreement {p}: formula {model.errors().opposed:.4f}, "
        f"drawn {model.simulated().opposed:.4f}, with the printed covariance "
        f"{model.errors(model.printed_covariance).opposed:.4f}"
    )

# %%
# The same grid as a page
# -----------------------

grid = Grid(
    errors["opposed"], x=agreements, y=strengths, title="Error where the cue contradicts the class",
    x_name="chance that the cue agrees", y_name="strength of the cue",
)  # fmt: skip
print(grid.alt())
answer = "A stronger cue misleads more."
Page("A cue that misleads", answer, [grid]).write(Path(tempfile.mkdtemp()) / "theory.html")
