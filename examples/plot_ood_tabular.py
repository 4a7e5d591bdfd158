"""
Tables: a kind of wine that nobody showed, and a column in the wrong unit
=========================================================================

Outliers are rarely at hand for tables, but they can be made: shuffle each column by itself, and
every value is one that occurs while no row is one that could. Does a network that learns to be
unsure of such rows notice a class that it has never seen? Not always, as the intervals below
tell. Then a detector that finds a column in the wrong unit.
"""

# %%
# A cultivar left out
# -------------------
# Thirteen chemical values of wines from three cultivars. Each cultivar is left out in turn: the
# network learns the other two, then once more beside shuffled rows (outlier exposure, OE).
# AUROC, with DeLong's interval: the chance that a wine of the unseen cultivar scores above one of
# the known ones.

import copy

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_wine

from limen import FeatureBank, ood
from limen.ood.nets import MLP
from limen.ood.synth import shuffled_columns

torch.set_num_threads(1)


def split(rows, labels, *, share):
    """Rows standardised by the first part, in two parts at random."""
    order = np.random.default_rng(0).permutation(len(rows))
    first, second = np.split(order, [int(share * len(rows))])
    middle, width = rows[first].mean(0), rows[first].std(0)

    def ready(x):
        return torch.from_numpy((x - middle) / width).float()

    return (ready(rows[first]), labels[first]), (ready(rows[second]), labels[second]), ready


def learned(known):
    """A network that knows the classes, and the same one after outlier exposure."""
    before = MLP(known[0].shape[1], 2, widths=(64, 64), norm="layer")
    ood.train(before, known, objective=None, steps=200, lr=0.05)
    stream = torch.Generator().manual_seed(0)
    shuffled = torch.cat([shuffled_columns(known[0], stream) for _ in range(8)])
    after = copy.deepcopy(before)
    ood.train(after, known, shuffled, objective=ood.OutlierExposure(), steps=100, lr=0.02)
    return {"before": before, "after OE": after}


rows, cultivar = load_wine(return_X_y=True)
for unseen in range(3):
    here = cultivar != unseen
    names = torch.from_numpy(np.unique(cultivar[here], return_inverse=True)[1])
    known, test, ready = split(rows[here], names, share=0.6)
    for when, net in learned(known).items():
        sets = {"train": known, "id": test, "unseen": ready(rows[~here])}
        judged = ood.judge(
            FeatureBank.extract(net, sets), outliers=["unseen"], scores=[ood.msp, ood.KNN(k=5)]
        )
        told = "   ".join(f"{row[0]} {row[2]}" for row in judged.rows)
        print(f"cultivar {unseen} unseen, {when:8}  {told}")

# %%
# A column in the wrong unit
# --------------------------
# Thirty measurements of tumours. A detector is calibrated to flag at most a tenth of such rows,
# then each column in turn is multiplied by ten, as centimetres sent as millimetres would be.

rows, diagnosis = load_breast_cancer(return_X_y=True)
known, rest, ready = split(rows, torch.from_numpy(diagnosis), share=0.5)
net = learned(known)["after OE"]
calibration, test = (part.clone() for part in rest[0].tensor_split(2))

detector = ood.Detector(net, score=ood.Mahalanobis())
detector.fit(calibration, alpha=0.1, train=known)
print(f"as they are: {detector(test).flags.mean():.1%} flagged")

middle, width = ready(np.zeros((1, 30))), ready(np.ones((1, 30)))
raw = (test - middle) / (width - middle)
flagged = []
for column in range(30):
    wrong = raw.clone()
    wrong[:, column] *= 10
    flagged.append(detector(wrong * (width - middle) + middle).flags.mean())

names = load_breast_cancer().feature_names
figure, panel = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
order = np.argsort(flagged)
panel.barh([names[i] for i in order], [100 * flagged[i] for i in order])
panel.axvline(10, linewidth=0.8, color="black")
panel.tick_params("y", labelsize=7)
panel.set(xlabel="rows flagged [%]; line: what was promised of rows as they are")
panel.spines[["top", "right"]].set_visible(False)
plt.show()
