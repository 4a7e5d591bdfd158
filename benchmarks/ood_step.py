"""What a training step of DOE, DAL and ATOL costs beside one of outlier exposure.

    python benchmarks/ood_step.py

WRN-16-2 on 32 x 32 pictures, 32 inliers and 64 outliers a batch (published: 128 and 256), the
same batches for all, `limen.fit` with SGD, one thread, CPU time; every ratio is the median over
rounds in which the variants take turns, 4 steps each, so that DOE searching every 4th batch
searches once a round. Under joint batch norm DOE passes inliers beside outliers; "id_stats" stands
beside OE under the same rule. DAL's released form and DOE's stand beside the default ones. ATOL
makes 4 outliers and one auxiliary inlier for each inlier; it is compared with outlier exposure on
as many rows as OE has, so its batch has 16 inliers where 96 rows pass; generator: principal
components, and a DCGAN.
"""

from statistics import median

import torch
from timing import interleaved, ratio, table, write

import limen
from limen import ood
from limen._core.streams import torch_stream
from limen.ood.nets import WRN
from limen.ood.objectives import ATOL, DAL, DOE, OutlierExposure
from limen.ood.step import PairedRows
from limen.ood.synth import Generator, Latents, Normalised, PCAGenerator

INLIERS, OUTLIERS, STEPS, ROUNDS, CLASSES = 32, 64, 4, 3, 10
WANTED = {
    "DOE, search every step / OE": 1.75,
    "DOE, search every 4th / OE": 1.25,
    "DOE id_stats, search every step / OE id_stats": 1.75,
    "DOE id_stats, search every 4th / OE id_stats": 1.25,
    "DAL, ball / OE": 1.05,
    "ATOL / OE on as many rows": 2.3,
}


def pictures(rows: int, name: str) -> torch.Tensor:
    """Noise: no time depends on what is shown."""
    return torch.randn(rows, 3, 32, 32, generator=torch_stream(0, "benchmark", name))


def batches(inliers: int, *, outliers: int) -> list[PairedRows]:
    """As many batches as steps."""
    labels = torch.arange(inliers) % CLASSES
    return [
        PairedRows(
            pictures(inliers, f"inliers {i}"), labels,
            pictures(outliers, f"outliers {i}") if outliers else None,
        )
        for i in range(STEPS)
    ]  # fmt: skip


def training(objective, rows, *, bn="joint"):
    """A function that trains for a round."""
    model = WRN(16, 2, CLASSES)
    step = ood.Step(outlier=objective, bn=bn)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def run():
        limen.fit(model, step, rows, steps=STEPS, optimizer=sgd, loop=limen.Loop(label=""))

    return run


def atols():
    """ATOL by principal components and by a DCGAN."""
    rows = pictures(200, "fitted")
    pca = PCAGenerator.fit(rows, width=64)
    anchored = Latents.anchored(pca.encode(rows), torch.arange(200) % CLASSES)
    gan = Normalised(Generator(64, width=32), (0.5,) * 3, (0.25,) * 3)
    return {"ATOL": ATOL(pca, anchored), "ATOL, DCGAN": ATOL(gan, anchored)}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    paired = batches(INLIERS, outliers=OUTLIERS)
    alone = batches((INLIERS + OUTLIERS) // 6, outliers=0)
    objectives = {
        "OE": OutlierExposure(),
        "DOE, search every step": DOE(),
        "DOE, search every 4th": DOE(refresh=4),
        "DOE, released form": DOE(mode="official"),
        "DAL, ball": DAL(),
        "DAL, released form": DAL(mode="official"),
    }
    variants = {name: training(objective, paired) for name, objective in objectives.items()}
    apart = {
        "OE id_stats": OutlierExposure(),
        "DOE id_stats, search every step": DOE(),
        "DOE id_stats, search every 4th": DOE(refresh=4),
    }
    variants |= {name: training(loss, paired, bn="id_stats") for name, loss in apart.items()}
    variants |= {name: training(objective, alone) for name, objective in atols().items()}
    seconds = interleaved(variants, rounds=ROUNDS)
    figures = {"OE [ms a step]": 1000 * median(seconds["OE"]) / STEPS}
    for name in variants:
        base = "OE id_stats" if "id_stats" in name else "OE"
        if name not in ("OE", "OE id_stats"):
            rows = " on as many rows" if name.startswith("ATOL") else ""
            figures[f"{name} / {base}{rows}"] = ratio(seconds, name, base)
    print(table(figures, WANTED))
    sizes = {"inliers": INLIERS, "outliers": OUTLIERS, "rounds": ROUNDS, "steps a round": STEPS}
    write("ood_step", {**sizes, "wanted": WANTED, **figures})


if __name__ == "__main__":
    main()
