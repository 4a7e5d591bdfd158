"""Does training with outliers help, at equal weight and equal passes? CIFAR-10 and photographs.

Command:
    limen run recipes/cifar10_outliers.py --data DIR --jobs 2

DIR holds cifar10_subset.zip, imagenet_one_per_class_256px.zip, pacs_64px.zip and MNIST's
t10k-images-idx3-ubyte.gz. Cost: about an hour on two cores. Cells resume; the page names those that
were not run.

A ResNet-8 of 78,042 parameters learns 5,000 pictures of CIFAR-10 (23 epochs) and is trained on for
250 steps of 64 inliers and 64 outliers: every method from the same weights, beside the same
inliers in the same order, with the same weight, rate and augmentation. Two rows train OE on as many
row passes as DOE (three times the steps) and as ATOL (three times the outliers) take.

Outliers to learn from are random crops of one photograph for each of 355 ImageNet classes. No
class of them is in any test set, and none shows what CIFAR-10 or PACS shows
(cifar10_shared_classes.json has the list). Test sets, near: photographs of other ImageNet classes
and PACS photographs without its dogs and horses; far: PACS drawings, MNIST, textures, noise. DAL's
radius and DOE's strength are chosen on auxiliary classes held out, with a network of another seed.

Published: DOE, DAL and ATOL each report large gains over OE on CIFAR-10, with WRN-40-2, all 50,000
pictures and up to 80 million outliers; the page repeats those numbers, and none can be laid beside
these.

Measured, mean FPR95 over six sets and three seeds, by MSP [95 % interval of the difference to OE].
MSP, not trained on, 85.1; OE 76.7; DAL of radius 0.5, chosen, 73.3 [-10.9, 4.1]; DOE of strength
0.03, chosen, 72.0 [-18.1, 8.6]: both undecided at three seeds. OE on as many passes as DOE 62.6
[-25.2, -2.9], which is lower than any DOE, so that no gain of DOE beyond its passes is shown. ATOL,
which sees no photograph, 82.0 [2.6, 8.0], higher than OE; MixOE 84.3; DAL as released 87.9 [5.7,
16.6]. Energy with a margin 61.2, judged by energy, by which OE has 73.1. All gradients are clipped
to length 1, as in what DOE's and ATOL's authors released; DAL's is not clipped. On smaller data
that cost ATOL some points (recipes/digits_outliers.py), and was not tried here. Accuracy 65 %: the
network is small and so are the data. About an hour on two busy cores.
"""

import copy
import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from limen import FeatureBank, ood
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure import aupr, auroc, fpr_at_tpr, student
from limen.ood.data import Images, read_images, require_apart
from limen.ood.nets import ResNet
from limen.ood.objectives import ATOL, DAL, DOE, EnergyMargin, MixOE, OutlierExposure
from limen.ood.synth import Latents, PCAGenerator
from limen.ood.train import Training
from limen.report import Facts, Measured, Page, Table
from limen.run import Cell

SEEDS, CHOICE_SEED = (701, 702, 703), 700
SETTINGS = {
    "learn steps": 1800, "learn lr": 0.1, "steps": 250, "lr": 0.02, "batch": 64,
    "outlier batch": 64, "weight": 0.5, "clip": 1.0,
}  # fmt: skip
TRAIN, TEST, CROPS, SIDE, BLOCK = 500, 300, 24, 32, 25  # a class, a class, a picture, pixels
CHOICE_STEPS = 120
NEAR, FAR = ("ImageNet", "PACS photographs"), ("PACS drawings", "MNIST", "textures", "noise")
PACS = ("elephant", "giraffe", "guitar", "house", "person")
SCORES = {"MSP": ood.msp, "MaxLogit": ood.max_logit, "energy": ood.energy}
RESAMPLES = 200
CLASSES = Path(__file__).with_name("cifar10_shared_classes.json")
ARCHIVES = ("cifar10_subset.zip", "imagenet_one_per_class_256px.zip", "pacs_64px.zip",
            "t10k-images-idx3-ubyte.gz")  # fmt: skip


@dataclass(frozen=True)
class Task:
    """Pixels of all sets, 0 to 255."""

    known: tuple[torch.Tensor, torch.Tensor]
    asked: tuple[torch.Tensor, torch.Tensor]
    auxiliary: tuple[torch.Tensor, torch.Tensor]  # with the number of the photograph
    outliers: dict[str, torch.Tensor]


Make = Callable[[torch.nn.Module, Task, Training], Training]


def _with(objective: Any, **how: Any) -> Make:
    return lambda _net, _task, plan: replace(plan, objective=objective, **how)


def _energy_margin(net: torch.nn.Module, task: Task, plan: Training) -> Training:
    """Margins without a search: inliers' mean energy, and the energy of a row of zeros."""
    inside = float(ood.energy(_bank(net, {"id": task.known[0]})["id"].logits).mean())
    objective = EnergyMargin(m_in=inside, m_out=-float(np.log(10)))
    return replace(plan, objective=objective, weight=0.1)


def _atol(_net: torch.nn.Module, task: Task, plan: Training) -> Training:
    """ATOL on principal components of the inliers: two generated outliers for each inlier."""
    rows = ood.Augment().plain(task.known[0])
    generator = PCAGenerator.fit(
        rows[::2], width=32, low=float(rows.amin()), high=float(rows.amax())
    )
    latents = Latents.anchored(generator.encode(rows), task.known[1])
    return replace(plan, objective=ATOL(generator, latents, ratio=2.0))


MSP, ENERGY, CHOSEN = "MSP, not trained on", "energy, not trained on", " (chosen)"
OE, ALONE = "OE", "inliers alone"
MARGIN, PASSES_OF_DOE, PASSES_OF_ATOL = "energy margin", "OE, passes of DOE", "OE, passes of ATOL"
DALS = {f"DAL, radius {radius:g}": DAL(radius=radius) for radius in (0.1, 0.5, 1.0)}
DOES = {f"DOE, strength {size:g}": DOE(strength=size) for size in (0.03, 0.1, 0.3)}
VARIANTS: dict[str, Make | None] = {  # in the order in which they run, ablations last
    MSP: None,
    OE: _with(OutlierExposure()),
    "DAL, radius 0.5": _with(DALS["DAL, radius 0.5"]),
    "DOE, strength 0.1": _with(DOES["DOE, strength 0.1"]),
    ALONE: _with(None),
    MARGIN: _energy_margin,
    "MixOE": _with(MixOE(), weight=1.0),
    PASSES_OF_DOE: _with(OutlierExposure(), steps=3 * SETTINGS["steps"]),
    "DAL, radius 0.1": _with(DALS["DAL, radius 0.1"]),
    "DAL, radius 1": _with(DALS["DAL, radius 1"]),
    PASSES_OF_ATOL: _with(OutlierExposure(), outlier_batch=3 * SETTINGS["outlier batch"]),
    "ATOL": _atol,
    "DAL, as released": _with(DAL(mode="official")),
    "DAL, radius 0.5, 1 move": _with(DAL(steps=1)),
    "DAL, radius 0.5, 10 moves": _with(DAL(steps=10)),
    "DOE, strength 0.1, every 4th batch": _with(DOE(strength=0.1, refresh=4)),
    "DOE, strength 0.03": _with(DOES["DOE, strength 0.03"]),
    "DOE, strength 0.3": _with(DOES["DOE, strength 0.3"]),
}
CHOICE = "choice"
KINDS: dict[str, dict[str, Any]] = {"DAL": DALS, "DOE": DOES}


def cells(data: Path | None) -> list[Cell]:
    """The choice of settings, then one cell for each method and seed."""
    _folder(data)
    choice = Cell(CHOICE, {**SETTINGS, "method": CHOICE, "seed": CHOICE_SEED})
    return [choice] + [
        Cell(f"{method}, seed {seed}", {**SETTINGS, "method": method, "seed": seed})
        for method in VARIANTS
        for seed in SEEDS
    ]


def run(settings: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """Train one method at one seed from the network that all share, and judge it."""
    torch.set_num_threads(1)
    task, method = _task(_folder(data)), settings["method"]
    net, plan = _learnt(settings, task), _plan(settings)
    if method == CHOICE:
        tried = {
            kind: {n: replace(plan, objective=o, steps=CHOICE_STEPS) for n, o in some.items()}
            for kind, some in KINDS.items()
        }
        return {"choice": {kind: _chosen(net, task, some) for kind, some in tried.items()}}
    make = VARIANTS[method]
    if make is None:
        return _judged(net, task)
    after, settled = copy.deepcopy(net), make(net, task, plan)
    given = settled.objective is not None and not isinstance(settled.objective, ATOL)
    start = perf_counter()
    settled.run(after, task.known, task.auxiliary[0] if given else None, label="")
    return {"seconds": perf_counter() - start, **_judged(after, task)}


def _plan(settings: dict[str, Any], **how: Any) -> Training:
    plan = Training(
        weight=settings["weight"], steps=settings["steps"], lr=settings["lr"],
        batch=settings["batch"], outlier_batch=settings["outlier batch"],
        clip=settings["clip"], augment=ood.Augment(), seed=settings["seed"],
    )  # fmt: skip
    return replace(plan, **how)


def _chosen(net: torch.nn.Module, task: Task, tried: dict[str, Training]) -> dict[str, Any]:
    """FPR95 of each candidate on auxiliary photographs held out."""
    plans = list(tried.values())
    found = ood.choose(plans, net, task.known, outliers=task.auxiliary, seed=CHOICE_SEED)
    fpr = dict(zip(tried, found.fpr, strict=True))
    return {"best": list(tried)[plans.index(found.best)], "FPR95": fpr}


def _learnt(settings: dict[str, Any], task: Task) -> torch.nn.Module:
    """The network that all methods start from, learnt once for each seed and kept."""
    net = ResNet(8, seed=settings["seed"]).to(memory_format=torch.channels_last)
    kept = _cache(settings, task)
    if kept.is_file():
        net.load_state_dict(load_file(kept))
        return net
    plan = _plan(settings, objective=None, steps=settings["learn steps"], lr=settings["learn lr"])
    plan.run(net, task.known, label="")
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(f".{os.getpid()}")
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, fresh)
    fresh.replace(kept)
    return net


def _cache(settings: dict[str, Any], task: Task) -> Path:
    decides = {k: v for k, v in settings.items() if k.startswith("learn") or k in ("batch", "seed")}
    text = json.dumps(decides, sort_keys=True).encode() + task.known[0].numpy().tobytes()
    key = hashlib.sha256(text).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / "limen-cifar10-outliers" / f"{key}.safetensors"


def _folder(data: Path | None) -> Path:
    # Checked before any work starts.
    folder = data or Path("data")
    missing = [name for name in ARCHIVES if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} must hold {', '.join(missing)}; use --data")
    return folder


def split_classes(names: list[str], listed: dict[str, Any]) -> tuple[list[str], list[str]]:
    """ImageNet's classes to learn from and to test on: by turns, in blocks of kindred classes.

    Neither shows what CIFAR-10 shows; those to learn from do not show what PACS shows either.
    """
    removed = {name for some in listed["removed"].values() for name in some}
    of_pacs = {name for some in listed["not auxiliary"].values() for name in some}
    left = sorted(set(names) - removed)
    blocks = [left[first : first + BLOCK] for first in range(0, len(left), BLOCK)]
    learnt = [name for block in blocks[::2] for name in block if name not in of_pacs]
    return learnt, [name for block in blocks[1::2] for name in block]


@lru_cache(maxsize=1)
def _task(folder: Path) -> Task:
    """All sets; the same for every seed, so that seeds differ by training alone."""
    cifar = folder / ARCHIVES[0]
    train = read_images(cifar / "train", size=SIDE, limit=TRAIN)
    test = read_images(cifar / "test", size=SIDE, limit=TEST)
    photographs = read_images(folder / ARCHIVES[1], size=256)
    names = [Path(name).stem for name in photographs.names]
    learnt, asked = split_classes(names, json.loads(CLASSES.read_text(encoding="utf-8")))
    auxiliary = photographs.take([names.index(name) for name in learnt])
    unseen = photographs.take([names.index(name) for name in asked])
    pacs = _pacs(folder / ARCHIVES[2])
    require_apart(
        {"train": train, "test": test, "auxiliary": auxiliary, "ImageNet": unseen, **pacs}
    )
    numbers = torch.arange(len(auxiliary)).repeat_interleave(CROPS)
    outliers = {name: torch.from_numpy(some.inputs) for name, some in pacs.items()}
    return Task(
        (torch.from_numpy(train.inputs), torch.from_numpy(train.labels)),
        (torch.from_numpy(test.inputs), torch.from_numpy(test.labels)),
        (_crops(auxiliary.inputs, CROPS, smallest=64), numbers),
        {
            "ImageNet": torch.stack([_shrunk(picture) for picture in unseen.inputs]),
            **outliers,
            "MNIST": _mnist(folder / ARCHIVES[3], 1000),
            "textures": _textures(1000),
            "noise": _noise(1000),
        },
    )


def _pacs(archive: Path) -> dict[str, Images]:
    """Pictures of what CIFAR-10 does not show, as many photographs as drawings."""
    some = read_images(archive, size=SIDE)
    order = numpy_stream(0, "cifar10", "PACS").permutation(len(some)).tolist()
    parts = [Path(name).parts for name in some.names]  # domain, class, file
    at = [i for i in order if parts[i][1] in PACS]
    photographs = [i for i in at if parts[i][0] == "photo"][:750]
    drawings = [i for i in at if parts[i][0] != "photo"][:750]
    return {"PACS photographs": some.take(photographs), "PACS drawings": some.take(drawings)}


def _crops(pictures: np.ndarray, each: int, *, smallest: int) -> torch.Tensor:
    """Random squares of each picture, from `smallest` pixels to the whole, at 32 x 32."""
    stream = numpy_stream(0, "cifar10", "crops")
    whole = pictures.shape[-1]
    rows = []
    for picture in pictures:
        for _ in range(each):
            side = int(smallest * (whole / smallest) ** stream.random())
            left, top = stream.integers(whole - side + 1, size=2).tolist()
            rows.append(_shrunk(picture[:, top : top + side, left : left + side]))
    return torch.stack(rows)


def _shrunk(picture: np.ndarray) -> torch.Tensor:
    small = Image.fromarray(picture.transpose(1, 2, 0)).resize((SIDE, SIDE))
    return torch.from_numpy(np.asarray(small).transpose(2, 0, 1).copy())


def _mnist(path: Path, count: int) -> torch.Tensor:
    """The first digits, in three equal channels, in a black frame."""
    with gzip.open(path) as stored:
        pixels = np.frombuffer(stored.read(), dtype=np.uint8, offset=16).reshape(-1, 28, 28)
    framed = np.pad(pixels[:count], ((0, 0), (2, 2), (2, 2)))
    return torch.from_numpy(framed).unsqueeze(1).repeat(1, 3, 1, 1)


def _textures(count: int) -> torch.Tensor:
    from skimage import data

    pictures = [getattr(data, name)() for name in ("brick", "grass", "gravel")]
    rows = np.stack([np.stack([picture] * 3) for picture in pictures])
    return _crops(rows, -(-count // 3), smallest=64)[:count]


def _noise(count: int) -> torch.Tensor:
    """Uniform and Gaussian pixels, half each."""
    stream = numpy_stream(0, "cifar10", "noise")
    shape = (count // 2, 3, SIDE, SIDE)
    normal = (127.5 + 64 * stream.standard_normal(shape)).clip(0, 255)
    return torch.from_numpy(np.concatenate([stream.integers(256, size=shape), normal])).byte()


def _bank(net: torch.nn.Module, sets: dict[str, torch.Tensor]) -> FeatureBank:
    return FeatureBank.extract(net, {n: ood.Augment().plain(rows) for n, rows in sets.items()})


def _judged(net: torch.nn.Module, task: Task) -> dict[str, Any]:
    bank = _bank(net, {"id": task.asked[0], **task.outliers})
    logits = {name: bank[name].logits for name in ("id", *task.outliers)}
    found: dict[str, Any] = {
        "accuracy": float((logits["id"].argmax(1) == task.asked[1].numpy()).mean())
    }
    for name, score in SCORES.items():
        rows = {one: score(values.astype(np.float64)) for one, values in logits.items()}
        inside = rows.pop("id")
        found[name] = {
            "FPR95": {s: _fpr(inside, outside) for s, outside in rows.items()},
            "AUROC": {s: auroc(inside, outside) for s, outside in rows.items()},
            "AUPR": {s: aupr(inside, outside) for s, outside in rows.items()},
            "resampled": _resampled(inside, rows),
        }
    return found


def _fpr(inside: np.ndarray, outside: np.ndarray) -> float:
    return fpr_at_tpr(inside, outside, positive="inlier")


def _resampled(inside: np.ndarray, rows: dict[str, np.ndarray]) -> list[float]:
    """Mean FPR95 over the sets, on pictures drawn anew: the same for every method and seed."""
    means = []
    for number in range(RESAMPLES):
        stream = numpy_stream(0, "cifar10", "resampled", number)
        kept = inside[stream.integers(len(inside), size=len(inside))]
        drawn = [out[stream.integers(len(out), size=len(out))] for out in rows.values()]
        means.append(round(float(np.mean([_fpr(kept, out) for out in drawn])), 5))
    return means


Done = list[tuple[Cell, dict[str, Any]]]
Runs = dict[str, dict[int, dict[str, Any]]]  # what each method reached at each seed


def page(done: Done) -> Page:
    """All methods, paired differences, sets, scores, the choice, and what the papers report."""
    choice, runs = _read(done)
    records: list[Any] = []
    if runs:
        records += [_table(runs), _differences(runs), _sets(runs), _scores(runs)]
    if choice:
        records.append(_choice_table(choice))
    facts = {**SETTINGS, "energy margin's weight": 0.1, "MixOE's weight": 1.0}
    records += [PUBLISHED, Facts({**facts, "seeds": list(SEEDS), "choice steps": CHOICE_STEPS})]
    return Page("Training with outliers, at equal weight: CIFAR-10", _answer(runs), records)


def _read(done: Done) -> tuple[dict[str, Any], Runs]:
    """The choice, and the methods in their order, each by its score, the chosen named so."""
    choice: dict[str, Any] = {}
    found: Runs = {}
    for cell, result in done:
        if cell.settings["method"] == CHOICE:
            choice = result["choice"]
        else:
            found.setdefault(cell.settings["method"], {})[cell.settings["seed"]] = result
    best = [one["best"] for one in choice.values()]
    runs: Runs = {}
    for name in (one for one in VARIANTS if one in found):
        scores = {MSP: {MSP: "MSP", ENERGY: "energy"}, MARGIN: {MARGIN: "energy"}}
        for told, score in scores.get(name, {name: "MSP"}).items():
            runs[told + CHOSEN * (name in best)] = {
                seed: {**run, **run[score]} for seed, run in found[name].items()
            }
    return choice, runs


def _mean(run: dict[str, Any], what: str, sets: tuple[str, ...] = NEAR + FAR) -> float:
    return 100 * float(np.mean([run[what][one] for one in sets]))


def _over(some: dict[int, dict[str, Any]], what: str, sets: tuple[str, ...] = NEAR + FAR) -> Any:
    return _interval(np.array([_mean(run, what, sets) for run in some.values()]))


def _table(runs: Runs) -> Table:
    rows = [
        [name, _over(some, "FPR95"), _over(some, "FPR95", NEAR), _over(some, "FPR95", FAR),
         _over(some, "AUROC"), _over(some, "AUPR"),
         _interval(np.array([100 * run["accuracy"] for run in some.values()])),
         float(np.median([run.get("seconds", 0.0) for run in some.values()])) or None, len(some)]
        for name, some in runs.items()
    ]  # fmt: skip
    return Table(
        ["method", "FPR95 [%]", "near [%]", "far [%]", "AUROC [%]", "AUPR-out [%]",
         "accuracy [%]", "training time [s]", "seeds"],
        rows,
        title="All methods",
        caption="FPR95: lower is better; AUROC, AUPR, accuracy: higher. Time depends on what else "
        "the machine did.",
        protocol=f"{PROTOCOL} 95 % Student intervals over seeds (of training; the pictures are the "
        f"same). Near: {', '.join(NEAR)}. Far: {', '.join(FAR)}. Chosen: on auxiliary classes held "
        "out, by another seed. ATOL sees no auxiliary outliers.",
    )  # fmt: skip


PROTOCOL = (
    "MSP (energy where the row says so), mean over six sets, each of equal weight; FPR95: 95 % of "
    f"{10 * TEST} inliers are accepted; AUPR: outliers are what is to be found."
)


def _differences(runs: Runs) -> Table:
    passes = {"DOE": PASSES_OF_DOE, "ATOL": PASSES_OF_ATOL}
    rows = []
    for name in runs:
        others = (OE, passes.get(name.split(",")[0]), MSP)
        rows += [_pair(runs, name, one) for one in others if one and one != name and name != MSP]
    return Table(
        ["method", "less", "FPR95, over seeds [points]", "FPR95, over pictures [points]",
         "AUROC, over seeds [points]", "seeds"],
        [row for row in rows if row],
        title="Paired differences",
        caption="FPR95: negative is an improvement; AUROC: positive is.",
        protocol=f"{PROTOCOL} Paired by seed. Over seeds: 95 % Student intervals. Over pictures: "
        f"95 % percentile intervals of {RESAMPLES} bootstrap draws of all test pictures, for these "
        "seeds.",
    )  # fmt: skip


def _pair(runs: Runs, name: str, other: str) -> list[Any]:
    """A row of differences over the seeds that both have; empty where there are none."""
    known = runs.get(other, {})
    pairs = [(run, known[seed]) for seed, run in runs[name].items() if seed in known]
    if not pairs:
        return []
    fpr, areas = (
        np.array([_mean(a, what) - _mean(b, what) for a, b in pairs]) for what in ("FPR95", "AUROC")
    )
    drawn = [np.array(a["resampled"]) - np.array(b["resampled"]) for a, b in pairs]
    low, high = np.percentile(100 * np.mean(drawn, axis=0), [2.5, 97.5]).tolist()
    over_pictures = Measured(float(fpr.mean()), low, high)
    return [name, other, _interval(fpr), over_pictures, _interval(areas), len(pairs)]


def _sets(runs: Runs) -> Table:
    def cell(some: dict[int, dict[str, Any]], one: str) -> str:
        both = [[_mean(r, what, (one,)) for r in some.values()] for what in ("FPR95", "AUROC")]
        return " / ".join(f"{np.mean(values):.1f}" for values in both)

    rows = [[name, *(cell(some, one) for one in NEAR + FAR)] for name, some in runs.items()]
    columns = ["FPR95 / AUROC [%]", *NEAR, *FAR]
    return Table(columns, rows, title="By set", protocol="Means over seeds.")


def _scores(runs: Runs) -> Table:
    rows = [
        [name, *(float(np.mean([_mean(run[score], "FPR95") for run in some.values()]))
                 for score in SCORES)]
        for name, some in runs.items()
        if name != ENERGY
    ]  # fmt: skip
    columns, protocol = ["FPR95 [%]", *SCORES], "Means over sets and seeds."
    return Table(columns, rows, title="By score", protocol=protocol)


def _choice_table(choice: dict[str, Any]) -> Table:
    rows = [
        [name, 100 * fpr, "yes" if name == found["best"] else ""]
        for found in choice.values()
        for name, fpr in found["FPR95"].items()
    ]
    return Table(
        ["candidate", "FPR95 on auxiliary classes held out [%]", "chosen"],
        rows,
        title="Settings chosen without the test outliers",
        protocol=f"One network (seed {CHOICE_SEED}), {CHOICE_STEPS} steps; a tenth of the "
        "auxiliary photographs and of the inliers kept from training; MSP.",
    )


PUBLISHED = Table(
    ["reported by", "test sets", "MSP", "OE", "DOE", "DAL", "ATOL"],
    [
        ["DOE's authors", "not known which", "53.77 / 88.40", "12.41 / 97.85", "5.15 / 98.78",
         "", ""],
        ["DAL's authors", "SVHN, LSUN, iSUN, Textures, Places365", "50.15 / 91.02", "4.67 / 98.88",
         "", "2.68 / 99.01", ""],
        ["ATOL's authors", "six", "", "", "", "", "14.66 / 97.05"],
        ["Wu et al., ICLR 2025", "as DAL's", "", "3.36 / 99.02", "", "2.69 / 98.86", ""],
    ],
    title="What is published for CIFAR-10, FPR95 / AUROC [%]",
    caption="Three papers, three sets of outliers: no two rows can be laid beside each other, and "
    "none beside the measured ones.",
    protocol="WRN-40-2 on all 50,000 pictures, mean over sets. The authors' numbers as their "
    "repositories print them; ATOL's without any outlier data.",
)  # fmt: skip


def _answer(runs: Runs) -> str:
    if OE not in runs or MSP not in runs:
        return "No cells of MSP and OE have been run yet."
    levels = [np.mean([_mean(run, "FPR95") for run in runs[name].values()]) for name in (MSP, OE)]
    said = [f"MSP takes {levels[0]:.1f} % of the outliers for inliers, OE {levels[1]:.1f} %."]
    for name in (one for one in runs if one.endswith(CHOSEN) or one == "ATOL"):
        found = (_pair(runs, name, OE) or [None] * 3)[2]
        if isinstance(found, Measured):
            verdict = "fewer" if found.high < 0 else "more" if found.low > 0 else "undecided"
            said.append(f"{name}, against OE at equal weight: {verdict} ({found} points).")
    return " ".join(said)


def _interval(values: np.ndarray) -> Measured | float:
    if len(values) < 2:
        return float(values.mean())
    found = student(values)
    return Measured(float(values.mean()), found.low, found.high)
