"""Does training with outliers help, at equal weight and equal passes? Scikit-learn's digits.

Command:
    limen run recipes/digits_outliers.py --jobs 2

A network of 42,502 parameters learns the digits 0 to 5 (60 % of them, 600 steps of SGD at 0.1) and
is then trained on beside outliers: patches of a photograph, or the digits 6 and 7. Every variant
starts from the same weights and sees the same inliers in the same order: 150 steps at 0.02, 64
inliers and 128 outliers a batch, weight 0.5, unless its row says otherwise (ATOL: 100 steps at .01,
no outliers but those that it generates); batch norm is joint unless a row says frozen, and
gradients are not clipped unless a row says so; "as released" means the released search and losses,
without the warm-up and the clipping that DOE's code also has. MSP judges all of them on seven sets
that no variant saw: the digits 8 and 9, patches of another photograph, noise, and known digits
inverted, permuted, rotated and averaged in pairs. FPR95 is the share of outliers taken for inliers
when 95 % of the inliers are accepted, as a mean over the seven sets.

Variants and settings were explored on other seeds, and the numbers of that time stand in the
column "explored"; rows that lose stay. An earlier edition of this table, over these same seeds,
clipped all gradients to length 1, of which the account of that exploration says nothing, and passed
ATOL's generated rows apart from the real ones. Both were found and mended on seeds 11 to 14, and no
other setting was changed. The two rows that clip show what it costs: on seed 11, 2 of OE's 150
gradients are longer than 1 and 33 of ATOL's 100, the first ones among them. Two rows train OE on
as many row passes as DOE (400 steps) and ATOL (320 outliers a batch) take.

Published: DOE, DAL and ATOL each report large gains over OE on CIFAR; no number there can be laid
beside these.

Measured, FPR95 over eight seeds [95 % interval of the difference to OE]. Beside patches of a
photograph: MSP, not trained on, 27.5; OE 13.2; DAL of radius 3 10.5 [-4.5, -0.9]; DOE of strength
0.1 10.9 [-5.9, 1.2]; ATOL, which sees no patch, 11.2 [-6.2, 2.1], and unaligned 16.3, with labels
as released 13.1, clipped 18.8; OE on as many passes as DOE 11.2 [-3.2, -0.8], so that no gain of
DOE beyond its passes is shown; OE under frozen batch norm 8.2 [-7.7, -2.4], the lowest of all.
Beside the digits 6 and 7: OE 29.2, no better than MSP; DAL of radius 3 25.6 [-5.9, -1.3]; DOE of
strength 0.1 25.3 [-5.9, -2.0], but 47.6 under frozen batch norm; MixOE 23.7 [-9.1, -2.0]; ATOL 11.2
as above. About 15 minutes on two busy cores.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from limen import FeatureBank, ood
from limen.measure import auroc, fpr_at_tpr, student
from limen.ood.nets import MLP
from limen.ood.objectives import (
    ATOL,
    DAL,
    DOE,
    VOS,
    EnergyMargin,
    MixOE,
    OutlierExposure,
)
from limen.ood.synth import Latents, PCAGenerator
from limen.ood.toy import AUXILIARY, Digits, digits
from limen.ood.train import Training
from limen.report import Facts, Measured, Page, Table
from limen.run import Cell

SEEDS = (401, 402, 403, 404, 405, 406, 407, 408)
SETTINGS = {
    "learn steps": 600, "learn lr": 0.1, "steps": 150, "lr": 0.02, "batch": 64,
    "outlier batch": 128, "weight": 0.5, "ATOL steps": 100, "ATOL lr": 0.01,
}  # fmt: skip
FAR = ("textures",)  # measured, but no part of the mean, which the explored numbers are of
SCORES = {"MSP": ood.msp, "MaxLogit": ood.max_logit, "energy": ood.energy}
MEAN, SPREAD = 0.3, 0.35  # of the pixels, for the network

Make = Callable[[Digits, Training], Training]


def _with(objective: Any, **how: Any) -> Make:
    return lambda _, plan: replace(plan, objective=objective, **how)


def _atol(
    *, anchored: bool = True, bn: str = "joint", clip: float | None = None, **how: Any
) -> Make:
    """ATOL on principal components; its outliers are generated, four for each inlier."""

    def make(found: Digits, plan: Training) -> Training:
        rows, labels = _seen(found.train), torch.from_numpy(found.train_labels)
        low, high = (float(_seen(np.float32(x))) for x in (0, 1))
        generator = PCAGenerator.fit(rows, width=32, low=low, high=high)
        stream = torch.Generator().manual_seed(plan.seed)
        latents = (
            Latents.anchored(generator.encode(rows), labels, spread=0.25)
            if anchored
            else Latents.corners(6, stream=stream, width=32, mean=2.0, sigma=0.25)
        )
        objective = ATOL(generator, latents, **how)
        return replace(
            plan, objective=objective, weight=1.0, bn=bn, clip=clip,
            steps=SETTINGS["ATOL steps"], lr=SETTINGS["ATOL lr"],
        )  # fmt: skip

    return make


OE, PASSES_OF_DOE, PASSES_OF_ATOL = "OE", "OE, as many passes as DOE", "OE, as many passes as ATOL"
VARIANTS: dict[str, Make] = {
    OE: _with(OutlierExposure()),
    "OE, weight 1": _with(OutlierExposure(), weight=1.0),
    PASSES_OF_DOE: _with(OutlierExposure(), steps=400),
    PASSES_OF_ATOL: _with(OutlierExposure(), steps=100, lr=0.01, outlier_batch=320, weight=1.0),
    "energy margin": _with(EnergyMargin(m_in=-8.0, m_out=-1.8), weight=0.1),
    "MixOE": _with(MixOE(), weight=1.0),
    "VOS": _with(VOS(queue=60, draws=1000), weight=0.1),
    "DAL, radius 1": _with(DAL(radius=1.0, relative=False)),
    "DAL, radius 3": _with(DAL(radius=3.0, relative=False)),
    "DAL, half the feature length": _with(DAL()),
    "DAL, as released": _with(DAL(mode="official")),
    "DOE, strength 0.1": _with(DOE(strength=0.1)),
    "DOE, four strengths": _with(DOE(strength=(0.1, 0.01, 0.001, 0.0001))),
    "DOE, strength 0.3, on the loss": _with(DOE(strength=0.3, inner="oe")),
    "DOE, strength 1": _with(DOE(strength=1.0)),
    "DOE, every 4th batch": _with(DOE(strength=0.1, refresh=4)),
    "DOE, random direction": _with(DOE(strength=0.1, mode="random")),
    "DOE, as released": _with(DOE(mode="official"), weight=1.0),
    "ATOL": _atol(),
    "ATOL, unaligned": _atol(label_mode="off"),
    "ATOL, labels as released": _atol(label_mode="official"),
    "ATOL, smoothed by 0.5": _atol(smoothing=0.5),
    "ATOL, means at random corners": _atol(anchored=False),
    "OE, frozen": _with(OutlierExposure(), bn="frozen"),
    "DAL, half the feature length, frozen": _with(DAL(), bn="frozen"),
    "DOE, strength 0.1, frozen": _with(DOE(strength=0.1), bn="frozen"),
    "ATOL, frozen": _atol(bn="frozen"),
    "OE, gradients clipped to length 1": _with(OutlierExposure(), clip=1.0),
    "ATOL, gradients clipped to length 1": _atol(clip=1.0),
}
EXPLORED = {
    "pictures": {
        "MSP": 31.7, OE: 13.3, "OE, weight 1": 12.3, "energy margin": 10.4, "MixOE": 29.8,
        "DAL, radius 1": 11.7, "DAL, radius 3": 9.8, "DAL, as released": 9.7,
        "DOE, strength 0.1": 11.9, "DOE, four strengths": 13.1,
        "DOE, strength 0.3, on the loss": 11.1, "DOE, strength 1": 13.6,
        "DOE, random direction": 13.0, "DOE, as released": 11.8, "ATOL": 11.5,
        "ATOL, unaligned": 13.7, "ATOL, labels as released": 13.3, "ATOL, smoothed by 0.5": 18.0,
        "ATOL, means at random corners": 16.4,
    },
    "digits": {
        "MSP": 31.7, OE: 30.6, "energy margin": 28.0, "MixOE": 23.9, "DAL, radius 1": 29.4,
        "DAL, radius 3": 27.2, "DAL, as released": 27.8, "DOE, four strengths": 31.8,
        "DOE, strength 0.1": 34.4, "DOE, as released": 30.5,
    },
}  # fmt: skip


def cells(_data: Path | None) -> list[Cell]:
    """One cell for each seed and kind of auxiliary outlier: the network that all share is there."""
    return [
        Cell(f"{kind}, seed {seed}", {**SETTINGS, "auxiliary": kind, "seed": seed})
        for kind in AUXILIARY
        for seed in SEEDS
    ]


def run(settings: dict[str, Any], _data: Path | None) -> dict[str, Any]:
    """Learn the digits, then train every variant from there."""
    torch.set_num_threads(1)
    seed = settings["seed"]
    found = digits(seed=seed, auxiliary=settings["auxiliary"])
    known = _seen(found.train), torch.from_numpy(found.train_labels)
    net = MLP(64, 6, seed=seed)
    Training(
        None, steps=settings["learn steps"], lr=settings["learn lr"], batch=settings["batch"],
        seed=seed,
    ).run(net, known, label="")  # fmt: skip
    plan = Training(
        weight=settings["weight"], steps=settings["steps"], lr=settings["lr"],
        batch=settings["batch"], outlier_batch=settings["outlier batch"], seed=seed,
    )  # fmt: skip
    results = {"MSP": _judged(net, found)}
    for name, make in VARIANTS.items():
        after, chosen = copy.deepcopy(net), make(found, plan)
        strange = None if isinstance(chosen.objective, ATOL | VOS) else _seen(found.auxiliary)
        start = perf_counter()
        chosen.run(after, known, strange, label="")
        results[name] = {"seconds": perf_counter() - start, **_judged(after, found)}
    return {"variants": results}


def _seen(pixels: np.ndarray) -> torch.Tensor:
    """Pixels as the network takes them."""
    return torch.from_numpy(np.asarray((pixels - MEAN) / SPREAD, dtype=np.float32))


def _judged(net: torch.nn.Module, found: Digits) -> dict[str, Any]:
    sets = {name: _seen(rows) for name, rows in found.outliers.items()}
    bank = FeatureBank.extract(net, {"id": _seen(found.test), **sets})
    right = bank["id"].logits.argmax(1) == found.test_labels
    inside = {name: score(bank["id"].logits) for name, score in SCORES.items()}
    outside = {(n, s): SCORES[n](bank[s].logits) for n in SCORES for s in found.outliers}
    return {
        "accuracy": float(right.mean()),
        "FPR95": {
            name: {
                s: fpr_at_tpr(inside[name], outside[name, s], positive="inlier")
                for s in found.outliers
            }
            for name in SCORES
        },
        "AUROC": {
            name: {s: auroc(inside[name], outside[name, s]) for s in found.outliers}
            for name in SCORES
        },
    }


Done = list[tuple[Cell, dict[str, Any]]]


def page(done: Done) -> Page:
    """For each kind of auxiliary outlier one table of all variants, and one of the sets."""
    records: list[Any] = []
    said = []
    for kind in AUXILIARY:
        runs = [result["variants"] for cell, result in done if cell.settings["auxiliary"] == kind]
        if runs:
            records += [_table(runs, kind), _sets(runs, kind)]
            said.append(_answer(runs, kind))
    if not said:
        said = ["No cell has been run yet."]
    records.append(Facts({**SETTINGS, "seeds": list(SEEDS), "pixels": f"(x - {MEAN}) / {SPREAD}"}))
    return Page("Training with outliers, at equal weight: digits", " ".join(said), records)


def _mean_fpr(run: dict[str, Any], name: str, score: str = "MSP") -> float:
    found = run[name]["FPR95"][score]
    return 100 * float(np.mean([fpr for s, fpr in found.items() if s not in FAR]))


def _mean_auroc(run: dict[str, Any], name: str) -> float:
    found = run[name]["AUROC"]["MSP"]
    return 100 * float(np.mean([area for s, area in found.items() if s not in FAR]))


def _table(runs: list[dict[str, Any]], kind: str) -> Table:
    rows = []
    for name in ("MSP", *VARIANTS):
        fpr = np.array([_mean_fpr(run, name) for run in runs])
        to = {other: np.array([_mean_fpr(run, other) for run in runs]) for other in ("MSP", OE)}
        rows.append([
            "MSP, not trained on" if name == "MSP" else name,
            EXPLORED[kind].get(name), _interval(fpr),
            None if name == OE else _interval(fpr - to[OE]),
            None if name == "MSP" else _interval(fpr - to["MSP"]),
            float(np.mean([_mean_auroc(run, name) for run in runs])),
            100 * float(np.mean([run[name]["accuracy"] for run in runs])),
            float(np.median([run[name].get("seconds", 0.0) for run in runs])) or None,
        ])  # fmt: skip
    return Table(
        ["method", "explored", "FPR95 [%]", "FPR95 - OE's [points]", "FPR95 - MSP's [points]",
         "AUROC [%]", "accuracy [%]", "training time [s]"],
        rows,
        title=f"Auxiliary outliers: {_told(kind)}",
        caption="FPR95: lower is better, so a difference below 0 is an improvement.",
        protocol="MSP on seven sets never trained on, mean over sets; mean over "
        f"{len(runs)} seeds with 95 % Student intervals, differences paired by seed; FPR95: 95 % "
        "of the inliers are accepted. 'explored': an earlier run on other seeds. ATOL and VOS "
        "see no auxiliary outliers.",
    )  # fmt: skip


def _sets(runs: list[dict[str, Any]], kind: str) -> Table:
    names = list(runs[0][OE]["FPR95"]["MSP"])
    chosen = ("MSP", OE, "DAL, radius 3", "DOE, strength 0.1", "ATOL")
    rows = [
        [name, *(100 * float(np.mean([r[name]["FPR95"]["MSP"][s] for r in runs])) for s in names)]
        for name in chosen
    ]
    return Table(
        ["FPR95 [%]", *names],
        rows,
        title=f"By set, auxiliary outliers: {_told(kind)}",
        protocol="'textures' is no part of the mean above.",
    )


def _answer(runs: list[dict[str, Any]], kind: str) -> str:
    oe = np.array([_mean_fpr(run, OE) for run in runs])
    verdicts: dict[str, list[str]] = {"less": [], "more": []}
    for name in VARIANTS:
        found = _interval(np.array([_mean_fpr(run, name) for run in runs]) - oe)
        if name != OE and isinstance(found, Measured):
            if found.high < 0:
                verdicts["less"].append(name)
            elif found.low > 0:
                verdicts["more"].append(name)
    left = len(VARIANTS) - 1 - sum(map(len, verdicts.values()))
    return (
        f"With {_told(kind)} as auxiliary outliers, OE mistakes {oe.mean():.1f} % of the outliers "
        f"for digits; fewer: {', '.join(verdicts['less']) or 'none'}; more: "
        f"{', '.join(verdicts['more']) or 'none'}; {left} make no difference beyond their interval."
    )


def _told(kind: str) -> str:
    return {"pictures": "patches of a photograph", "digits": "the digits 6 and 7"}[kind]


def _interval(values: np.ndarray) -> Measured | float:
    if len(values) < 2:
        return float(values.mean())
    found = student(values)
    return Measured(float(values.mean()), found.low, found.high)
