"""Ten detectors on one inlier set and six outlier sets: limen beside pytorch-ood's own runner.

    python benchmarks/ood_judge.py

Same network (WRN-16-2, weights as initialised: no time depends on them), same pictures, same batch
size, one thread. limen extracts every set once and judges from arrays, intervals, paired tests and
tables for each class included. pytorch-ood 0.4 fits each detector, then its `Benchmark.evaluate`
takes them all in one call, which is its fastest way: it keeps logits and features of the outlier
set at hand, and forwards the inliers anew for each set; it computes no intervals. Pictures are
patches of scikit-image's photographs. CPU time; passes are counted by a hook.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from pytorch_ood.benchmark import Benchmark
from pytorch_ood.detector import (
    GEN,
    KNN,
    EnergyBased,
    Entropy,
    KLMatching,
    Mahalanobis,
    MaxLogit,
    MaxSoftmax,
    ReAct,
    ViM,
)
from skimage import data as pictures
from timing import interleaved, ratio, table, write
from torch.utils.data import DataLoader, TensorDataset

from limen import FeatureBank, ood
from limen._core.streams import numpy_stream
from limen.bank import head_of
from limen.ood.nets import WRN

ROUNDS, BATCH = 3, 100
TRAIN, ROWS, CLASSES = 400, 200, 10
OUTLIERS = ("camera", "coins", "moon", "brick", "grass", "gravel")
WANTED = {"limen / pytorch-ood": 0.25, "network passes for each image": 1.0}
SCORES = [
    ood.msp, ood.max_logit, ood.energy, ood.entropy, ood.GEN(), ood.KLMatching(),
    ood.Mahalanobis(), ood.KNN(k=50), ood.ViM(dim=64), ood.ReAct(percentile=90),
]  # fmt: skip


def patches(name: str, count: int) -> torch.Tensor:
    """Patches of a photograph, 32 x 32, three channels."""
    picture = getattr(pictures, name)().astype(np.float32) / 255
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    stream = numpy_stream(0, "benchmark", name)
    tops = stream.integers(colour.shape[0] - 32, size=count)
    lefts = stream.integers(colour.shape[1] - 32, size=count)
    rows = [colour[t : t + 32, s : s + 32] for t, s in zip(tops, lefts, strict=True)]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).contiguous()


class Sets(Benchmark):
    """The sets as pytorch-ood's runner wants them: outliers carry the label -1."""

    def __init__(self, sets: dict[str, tuple[torch.Tensor, torch.Tensor]]):
        self.sets, self.ood_names = sets, list(OUTLIERS)

    def train_set(self) -> TensorDataset:
        """What detectors are fitted on."""
        return TensorDataset(*self.sets["train"])

    def test_sets(self, known: bool = True, unknown: bool = True) -> list[Any]:  # noqa: FBT001, FBT002
        """One set for each kind of outlier, inliers with it."""
        inliers = TensorDataset(*self.sets["id"])
        return [inliers + TensorDataset(*self.sets[name]) for name in self.ood_names]


class Counted:
    """Rows that a network was shown."""

    def __init__(self, net: torch.nn.Module):
        self.rows = 0
        net.register_forward_pre_hook(self._count)

    def _count(self, _net: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self.rows += len(given[0])


def theirs(net: torch.nn.Module, sets: dict[str, Any]) -> list[Any]:
    """Fit and evaluate the ten detectors with pytorch-ood."""
    head, runner = head_of(net), Sets(sets)
    seen: list[torch.Tensor] = []
    head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))

    def features(x: torch.Tensor) -> torch.Tensor:
        seen.clear()
        net(x)
        return seen[0]

    loader = DataLoader(runner.train_set(), batch_size=BATCH)
    detectors = [
        MaxSoftmax(net), MaxLogit(net), EnergyBased(net), Entropy(net), GEN(net), KLMatching(net),
        Mahalanobis(features), KNN(features, k=50),
        ViM(features, d=64, w=head.weight.detach(), b=head.bias.detach()), ReAct(features, head),
    ]  # fmt: skip
    with torch.no_grad():
        for detector in detectors:
            if detector.requires_fit:
                detector.fit(loader)
        return runner.evaluate(detectors, loader_kwargs={"batch_size": BATCH})


def ours(net: torch.nn.Module, sets: dict[str, Any]) -> Any:
    """Extract and judge with limen."""
    loaders = {name: rows if name in ("train", "id") else rows[0] for name, rows in sets.items()}
    bank = FeatureBank.extract(net, loaders, batch_size=BATCH)
    judged = ood.judge(bank, inliers="id", outliers=list(OUTLIERS), scores=SCORES)
    return judged, judged.paired, judged.by_class  # made when asked for


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = WRN(16, 2, classes=CLASSES).eval()
    labels = torch.arange(TRAIN) % CLASSES
    sets = {
        "train": (patches("astronaut", TRAIN), labels),
        "id": (patches("coffee", ROWS), labels[:ROWS]),
        **{name: (patches(name, ROWS), torch.full((ROWS,), -1)) for name in OUTLIERS},
    }
    count = Counted(net)
    images = sum(len(rows) for rows, _ in sets.values())
    passes: dict[str, float] = {}
    variants: dict[str, Callable[[], Any]] = {
        "limen": lambda: ours(net, sets),
        "pytorch-ood": lambda: theirs(net, sets),
    }
    for name, run in variants.items():
        count.rows = 0
        run()
        passes[name] = count.rows / images
    seconds = interleaved(variants, rounds=ROUNDS)
    figures = {
        "images": images,
        "limen [s]": median(seconds["limen"]),
        "pytorch-ood [s]": median(seconds["pytorch-ood"]),
        "limen / pytorch-ood": ratio(seconds, "limen", "pytorch-ood"),
        "network passes for each image": passes["limen"],
        "network passes for each image, pytorch-ood": passes["pytorch-ood"],
    }
    print(table(figures, WANTED))
    write("ood_judge", {"rounds": ROUNDS, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
