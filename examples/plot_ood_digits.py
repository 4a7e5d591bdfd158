"""
Digits that a network knows, and what it has never seen
=======================================================

A network knows the digits 0 to 5. Shown an 8, a patch of a photograph or noise, it still answers
with one of the six. Here five ways to learn from outliers are compared on outliers that none of
them saw, at one price: 5 % of the known digits refused.
"""

# %%
# A network that knows six digits
# -------------------------------
# The outliers to learn from are patches of a photograph. Those to be caught are others: the digits
# 8 and 9, another photograph, textures, noise, and known digits disturbed.

import copy

import matplotlib.pyplot as plt
import torch

from limen import FeatureBank, ood
from limen.ood.nets import MLP
from limen.ood.synth import Latents, PCAGenerator
from limen.ood.toy import digits

torch.set_num_threads(1)
found = digits(seed=0, calibration=0.15)


def seen(pixels):
    """Pixels as the network takes them."""
    return torch.from_numpy((pixels - 0.3) / 0.35).float()


known, strange = (seen(found.train), torch.from_numpy(found.train_labels)), seen(found.auxiliary)
before = MLP(64, 6)
ood.train(before, known, objective=None, steps=400, lr=0.1)

# %%
# Five networks
# -------------
# DAL, DOE and plain outlier exposure (OE) learn from the same patches. ATOL takes none: it makes
# its outliers from the principal components of the known digits.

generator = PCAGenerator.fit(known[0], width=32)
latents = Latents.anchored(generator.encode(known[0]), known[1])
objectives = {
    "OE": ood.OutlierExposure(),
    "DAL": ood.DAL(),
    "DOE": ood.DOE(strength=0.1),
    "ATOL": ood.ATOL(generator, latents),
}
networks = {"MSP alone": before}
for name, objective in objectives.items():
    networks[name] = copy.deepcopy(before)
    outliers = None if name == "ATOL" else strange
    ood.train(
        networks[name], known, outliers,
        objective=objective, steps=100, lr=0.02, weight=1.0 if name == "ATOL" else 0.5,
    )  # fmt: skip

# %%
# Judged on what none of them saw
# -------------------------------
# Each network forwards every set once; scores and tables come from its bank. FPR95 is the share of
# outliers taken for digits when 95 % of the known digits are accepted, averaged over the sets.

sets = {name: seen(rows) for name, rows in found.outliers.items()}
test = seen(found.test), torch.from_numpy(found.test_labels)
judged = {
    name: ood.judge(
        FeatureBank.extract(net, {"id": test, **sets}), outliers=list(sets), scores=[ood.msp]
    )
    for name, net in networks.items()
}
names = list(sets)
column = judged["OE"].columns.index("FPR95, 95 % of inliers kept")
rates = {
    name: [100 * row[column].value for row in result.rows if row[1] in names]
    for name, result in judged.items()
}
for name, values in rates.items():
    print(f"{name:10} FPR95 {sum(values) / len(values):5.1f} %")

figure, panel = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for place, (name, values) in enumerate(rates.items()):
    panel.plot(values, [i + 0.12 * (place - 2) for i in range(len(names))], "o", label=name)
panel.set_yticks(range(len(names)), names)
panel.invert_yaxis()
panel.set(xlabel="outliers taken for digits [%], lower is better")
panel.spines[["top", "right"]].set_visible(False)
panel.legend(frameon=False)
plt.show()

# %%
# The same rows, so the comparison is paired: above 0, DAL separates better than OE. One seed says
# nothing of another; give ``ood.compare`` a list of judgements for that.

for row in ood.compare(judged["DAL"], judged["OE"]).rows:
    gap = row[2]
    print(f"{row[1]:24} {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]  p, Holm: {row[4]:.3f}")

# %%
# A detector with a promise
# -------------------------
# Calibrated on known digits that nothing was trained on, it flags at most 5 % of new ones, as long
# as they come from where the calibration digits came.

detector = ood.Detector(networks["DAL"], score=ood.msp).fit(seen(found.calibration), alpha=0.05)
print(f"known digits flagged: {detector(test[0]).flags.mean():.1%}")
for name, rows in sets.items():
    print(f"{name:24} flagged: {detector(rows).flags.mean():.1%}")
