"""The demo's section on outliers: digits that a network knows, and what it has never seen."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from limen.bank.bank import FeatureBank
from limen.measure.delong import delong_paired
from limen.measure.separation import fpr_at_tpr, roc
from limen.measure.tradeoff import Tradeoff
from limen.ood.detector import Detector
from limen.ood.judge import judge
from limen.ood.judged import Judged, measured
from limen.ood.nets.mlp import MLP
from limen.ood.objectives.atol import ATOL
from limen.ood.objectives.dal import DAL
from limen.ood.objectives.doe import DOE
from limen.ood.objectives.outlier_exposure import OutlierExposure
from limen.ood.scores.msp import msp
from limen.ood.synth.latents import Latents
from limen.ood.synth.pca import PCAGenerator
from limen.ood.toy import Digits, digits
from limen.ood.train import Training
from limen.report.curves import Curves
from limen.report.facts import Facts
from limen.report.gallery import Gallery, Picture
from limen.report.records import Section
from limen.report.table import Cell, Table
from limen.run.progress import say

ALPHA = 0.05
NEAR = ("digits 8 and 9",)
# Frozen: the rule under which OE, the yardstick, does best here (recipes/digits_outliers.py).
FINE = Training(weight=0.5, steps=150, lr=0.02, batch=64, outlier_batch=128, bn="frozen")
PLAIN, SHOWN = "MSP", "DAL"  # shown is chosen beforehand, not by what the table says


def section(*, quick: bool = False, seed: int = 0) -> Section:
    """Learn the digits 0 to 5, then what is none: plainly, with OE, DOE, DAL and ATOL.

    Args:
        quick: Fewer steps, to check that everything runs; its numbers mean little.
        seed: Decides weights, splits and orders.

    Returns:
        The section for the demo's page.

    Example:
        >>> section.__name__
        'section'
    """
    found = digits(seed=seed, train=0.5, calibration=0.2)
    known = _rows(found.train), torch.from_numpy(found.train_labels)
    net = MLP(64, 6, seed=seed)
    learning = Training(None, steps=60 if quick else 600, lr=0.1, batch=64, seed=seed)
    learning.run(net, known, label="learning the digits 0 to 5")
    plan = replace(FINE, steps=20 if quick else FINE.steps, seed=seed)
    nets: dict[str, nn.Module] = {PLAIN: net}
    for name, training in _plans(plan, found).items():
        nets[name] = copy.deepcopy(net)
        strange = None if isinstance(training.objective, ATOL) else _rows(found.auxiliary)
        training.run(nets[name], known, strange, label=f"learning what is none, {name}")
    judged = {name: _judged(one, found) for name, one in nets.items()}
    for name, one in judged.items():
        say(f"{name}: {_missed(one):.1%} of the outliers pass for digits at 5 % false alarms")
    return Section(
        "Outliers",
        [
            Curves(
                [replace(_curve(one), name=name) for name, one in judged.items()],
                at=ALPHA,
                title="Outliers caught, and digits falsely rejected",
                caption="All sets of outliers together. The line marks the price at which methods "
                "are compared: 5 % of the digits rejected.",
            ),
            _table(judged),
            _hardest(judged[SHOWN], found, SHOWN),
            _deployed(nets[SHOWN], found, SHOWN),
            Facts(_facts(plan, found), title="How to do it again"),
        ],
        answer=_answer(judged),
        text="A small network learnt the digits 0 to 5 and is sure of everything it is shown, also "
        "of an 8, of grass, of noise. Four methods teach it doubt: three from patches of one "
        "photograph, ATOL from nothing but digits. None saw any of the outliers below.",
    )


def _plans(plan: Training, found: Digits) -> dict[str, Training]:
    """The methods, at one weight and one number of steps."""
    rows, labels = _rows(found.train), torch.from_numpy(found.train_labels)
    low, high = (float(_rows(np.float32(x))) for x in (0, 1))
    generator = PCAGenerator.fit(rows, width=32, low=low, high=high)
    atol = ATOL(generator, Latents.anchored(generator.encode(rows), labels))
    return {
        "OE": replace(plan, objective=OutlierExposure()),
        "DOE": replace(plan, objective=DOE(strength=0.1)),
        "DAL": replace(plan, objective=DAL()),
        "ATOL": replace(plan, objective=atol, weight=1.0, lr=plan.lr / 2),
    }


def _rows(pixels: np.ndarray | np.float32) -> torch.Tensor:
    """Pixels as the network takes them."""
    return torch.from_numpy(np.asarray((pixels - 0.3) / 0.35, dtype=np.float32))


def _judged(net: nn.Module, found: Digits) -> Judged:
    test = _rows(found.test), torch.from_numpy(found.test_labels)
    sets = {name: _rows(rows) for name, rows in found.outliers.items()}
    bank = FeatureBank.extract(net, {"id": test, **sets})
    far = [name for name in sets if name not in NEAR]
    return judge(bank, outliers=list(sets), scores=[msp], groups={"near": list(NEAR), "far": far})


def _curve(judged: Judged) -> Tradeoff:
    return roc(*judged.pair("msp", "all"))


def _missed(judged: Judged, group: str = "all") -> float:
    return fpr_at_tpr(*judged.pair("msp", group), 1 - ALPHA, positive="inlier")


def _answer(judged: Mapping[str, Judged]) -> str:
    told = ", ".join(
        f"{_missed(one):.0%} with {name}" for name, one in judged.items() if name != PLAIN
    )
    return (
        f"At the price of rejecting 5 % of the digits, {_missed(judged[PLAIN]):.0%} of the "
        f"outliers pass for digits before training with outliers, and {told}."
    )


def _table(judged: Mapping[str, Judged]) -> Table:
    rows: list[list[Cell]] = []
    for name, one in judged.items():
        gap: Cell = None
        if name not in (PLAIN, "OE"):
            paired = delong_paired(one.pair("msp", "all"), judged["OE"].pair("msp", "all"))
            gap = measured(paired.difference, paired.interval)
        areas: dict[Any, Any] = {row[1]: row[2] for row in one.rows}
        groups = ("all", "near", "far")
        missed: list[Cell] = [_missed(one, group) for group in groups]
        accuracy = float(one.correct.mean())
        rows.append([name, *missed, *(areas[group] for group in groups), gap, accuracy])
    return Table(
        ["method", "taken for digits: all", "near", "far", "AUROC: all", "AUROC: near",
         "AUROC: far", "AUROC above OE's", "accuracy"],
        rows,
        title="Methods side by side",
        caption="Taken for digits: lower is better. AUROC: higher is better.",
        protocol=f"{judged[PLAIN].protocol} 'Taken for digits' is the share of outliers below the "
        "score that 95 % of the digits stay below. One run, one seed; differences over rows, "
        "DeLong. recipes/digits_outliers.py compares over seeds.",
    )  # fmt: skip


def _hardest(judged: Judged, found: Digits, name: str) -> Gallery:
    """Digits that look least like digits, and of each set the outlier that looks most like one."""
    inside = judged.inliers["msp"]
    pictures = [
        _picture(found.test[i], f"a {found.test_labels[i]}, score {inside[i]:.2f}")
        for i in np.argsort(-inside)[:4]
    ]
    for group, rows in found.outliers.items():
        scores = judged.outliers["msp"][group]
        worst = int(scores.argmin())
        pictures.append(_picture(rows[worst], f"{group}, score {scores[worst]:.2f}"))
    return Gallery(
        pictures,
        title="The hardest examples",
        caption=f"Scores of {name}: minus the largest probability, so -1 is sure. First the digits "
        "that it doubts most, then of each set the outlier that it doubts least.",
    )


def _picture(pixels: np.ndarray, caption: str) -> Picture:
    grey = np.round(255 * (1 - pixels.reshape(8, 8))).astype(np.uint8)
    return Picture(np.kron(grey, np.ones((8, 8), dtype=np.uint8)), caption)


def _deployed(net: nn.Module, found: Digits, name: str) -> Table:
    """What a calibrated detector flags of each set."""
    detector = Detector(net, score=msp).fit(_rows(found.calibration), alpha=ALPHA)
    sets = {"digits 0 to 5, never seen": found.test, **found.outliers}
    rows: list[list[Cell]] = [
        [kind, len(x), float(detector(_rows(x)).flags.mean())] for kind, x in sets.items()
    ]
    return Table(
        ["set", "pictures", "flagged"],
        rows,
        title=f"A detector to deploy: {name} with a conformal threshold",
        protocol=f"Threshold from {len(found.calibration)} digits that nothing was trained on; at "
        f"most {ALPHA:.0%} of new digits are flagged on average, whatever the network.",
    )


def _facts(plan: Training, found: Digits) -> dict[str, Any]:
    return {
        "data": "scikit-learn's digits and photographs, scikit-image's textures",
        "digits": f"{len(found.train)} to learn, {len(found.calibration)} for the threshold, "
        f"{len(found.test)} to judge",
        "auxiliary outliers": f"{len(found.auxiliary)} patches of one photograph",
        "network": "MLP of 42,502 parameters",
        "methods": [repr(objective) for objective in (OutlierExposure(), DOE(strength=0.1), DAL())],
        "training": repr(replace(plan, objective=None)),
        "seed": plan.seed,
    }
