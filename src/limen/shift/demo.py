"""The demo's section on shift: a network that reads the background, found out and repaired."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limen._core.streams import numpy_stream, seed_for
from limen.algebra.modes import in_mode
from limen.report.curves import Curves
from limen.report.facts import Facts
from limen.report.gallery import Gallery, Picture
from limen.report.records import Section
from limen.report.table import Table
from limen.run.progress import progress, say
from limen.shift.discover import discover
from limen.shift.discovered import Discovery
from limen.shift.gap import gaps_table, mixture_gap
from limen.shift.repairs.dfr import DFR
from limen.shift.repairs.judge_repairs import judge_repairs
from limen.shift.repairs.last_layer_balance import LastLayerBalance
from limen.shift.repairs.linear import Linear
from limen.shift.repairs.projection import Projection
from limen.shift.toy import SIDE, TEXTURES, DigitsOnTextures, Pasted, digits_on_textures, turned
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.losses import Loss
from limen.train.randomness import seeded, undisturbed

AFFORD = 0.02
SEEN = (0, 30, 60)
ASKED = (30, 15, 45, 75, 90)
CLASSES = ("0 3 6 9", "1 4 7", "2 5 8")
SHOWN = "DFR"  # chosen beforehand, not by what the table says


def section(*, quick: bool = False, seed: int = 0) -> Section:
    """Learn digits whose background gives them away; find that out, repair it, tell the price.

    Args:
        quick: Fewer steps, to check that everything runs; its numbers mean little.
        seed: Decides weights, splits and orders.

    Returns:
        The section for the demo's page.

    Example:
        >>> section.__name__
        'section'
    """
    found = digits_on_textures(seed=seed)
    net = _trained(found.train, steps=40 if quick else 400, seed=seed)
    weight, bias = list(net.parameters())[-2:]
    before, body = Linear(weight.detach(), bias.detach()), net[:-1]
    asked = before.predict(_features(body, found.repair))
    discovery = discover(
        asked == found.repair.labels, _named(found.repair), found.repair.names, seed=seed
    )
    say(f"{len(discovery.pairs)} of {len(discovery.rows)} classes lean on the background")
    judged = _judged(body, before, found, quick=quick, seed=seed)
    gaps = _gaps(seed=seed, resamples=40 if quick else 200)
    return Section(
        "Shift",
        [
            Curves(
                judged.tradeoffs,
                at=AFFORD,
                title="Worst group gained, accuracy at home lost",
                caption="Each point is a blend of the head before and a repaired one. The line "
                "marks the price at which repairs are compared.",
            ),
            discovery.table,
            _gallery(body, before, found.test),
            judged,
            gaps,
            Facts(_facts(found, net, seed), title="How to do it again"),
        ],
        answer=_answer(discovery, judged),
        text="A network learnt digits that in training stand almost always on the texture of "
        "their class. At home it looks good. Where digits stand on any texture, discovery finds "
        "what it leans on: pairs of textures chosen on one half of the pictures and measured on "
        "the other. Three repairs then learn the last layer anew.\n\n"
        "The last table asks, without labels, how far digits turned by an angle are from every "
        "mixture of those turned by 0, 30 and 60 degrees. An angle between two others is no "
        "mixture of them.",
    )


def _trained(rows: Pasted, *, steps: int, seed: int) -> nn.Sequential:
    with undisturbed():
        torch.manual_seed(seed_for(seed, "shift demo", "weights"))
        net = _net()
    pictures, labels = torch.from_numpy(rows.pictures), torch.from_numpy(rows.labels)
    stream = numpy_stream(seed, "shift demo", "order")
    drawn = stream.integers(len(rows), size=(steps, 64))
    with seeded(net, seed_for(seed, "shift demo", "training")):
        fit(
            net, _step, [(pictures[some], labels[some]) for some in drawn], steps=steps,
            optimizer=lambda params: torch.optim.AdamW(params, 2e-3),
            loop=Loop(label="learning digits on textures"),
        )  # fmt: skip
    return net


def _net() -> nn.Sequential:
    side = SIDE // 4
    return nn.Sequential(
        nn.Unflatten(1, (1, SIDE, SIDE)),
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * side * side, 64), nn.ReLU(),
        nn.Linear(64, len(CLASSES)),
    )  # fmt: skip


def _step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Loss]:
    return {"task": nn.functional.cross_entropy(model(batch[0]), batch[1])}


@torch.no_grad()
def _features(body: nn.Module, rows: Pasted) -> np.ndarray:
    with in_mode(body, training=False):
        found: Tensor = body(torch.from_numpy(rows.pictures))
    return found.double().numpy()


def _named(rows: Pasted) -> list[str]:
    return [CLASSES[one] for one in rows.labels]


def _judged(
    body: nn.Module, before: Linear, found: DigitsOnTextures, *, quick: bool, seed: int
) -> Table:
    repairs: dict[str, Any] = {
        "DFR": DFR(subsets=2 if quick else 5, seed=seed),
        "LastLayerBalance": LastLayerBalance(decay=0.01),
        "Projection": Projection(decay=0.01),
    }
    features = _features(body, found.repair)
    with progress("repairing the last layer", total=len(repairs)) as advance:
        for repair in repairs.values():
            repair.fit(features, found.repair.labels, found.repair.textures)
            advance()
    table = judge_repairs(
        repairs, before, features=_features(body, found.test), labels=found.test.labels,
        groups=found.test.names, home=(_features(body, found.home), found.home.labels),
        afford=AFFORD, seed=seed,
    )  # fmt: skip
    told = "; ".join(f"{place} is {name}" for place, name in enumerate(CLASSES))
    return replace(table, caption=f"Classes are remainders of the digit by 3: {told}.")


def _gallery(body: nn.Module, before: Linear, rows: Pasted) -> Gallery:
    """Of each class a picture on each texture, with what the network takes it for."""
    named = before.predict(_features(body, rows))
    pictures = []
    for label, name in enumerate(CLASSES):
        for texture, where in enumerate(TEXTURES):
            mine = np.flatnonzero((rows.labels == label) & (rows.textures == texture))
            right = float((named[mine] == label).mean())
            pictures.append(_picture(
                rows.pictures[mine[0]],
                f"{name} on {where}: {right:.0%} right; this one taken for "
                f"{CLASSES[named[mine[0]]]}",
            ))  # fmt: skip
    return Gallery(
        pictures,
        title="Each class on each texture",
        caption="The first test picture of every class and texture, before repair. Training "
        "showed the first class on brick, the second on grass, the third on gravel.",
    )


def _picture(pixels: np.ndarray, caption: str) -> Picture:
    grey = np.round(255 * pixels.reshape(SIDE, SIDE)).astype(np.uint8)
    return Picture(np.kron(grey, np.ones((4, 4), dtype=np.uint8)), caption)


def _gaps(*, seed: int, resamples: int) -> Table:
    parts = turned([*SEEN, *ASKED], seed=seed)
    sources = {f"{angle} degrees": rows for angle, rows in zip(SEEN, parts, strict=False)}
    targets = zip(ASKED, parts[len(SEEN) :], strict=True)
    gaps = {}
    with progress("measuring mixture gaps", total=len(ASKED)) as advance:
        for angle, rows in targets:
            kind = "seen" if angle in SEEN else "between" if angle < max(SEEN) else "beyond"
            gaps[f"{angle} degrees, {kind}"] = mixture_gap(
                sources, rows, standardise=False, resamples=resamples, seed=seed
            )
            advance()
    return gaps_table(gaps, title="Turned digits: how far from every mixture of the angles seen")


def _answer(discovery: Discovery, judged: Table) -> str:
    if not discovery.pairs:
        return "No class leans on its background by more than chance explains."
    line = next(row for row in judged.rows if row[0] == SHOWN)
    return (
        f"From the best to the worst background accuracy falls by {discovery.drop} on pictures "
        f"that had no say in choosing the two; {SHOWN} gains {line[-1]} in the worst group for at "
        f"most {AFFORD:.0%} of accuracy at home."
    )


def _facts(found: DigitsOnTextures, net: nn.Module, seed: int) -> dict[str, Any]:
    return {
        "data": "scikit-learn's digits on scikit-image's brick, grass and gravel",
        "classes": "remainders of the digit by 3: " + "; ".join(CLASSES),
        "pictures": f"{len(found.train)} to learn, {len(found.repair)} to find and repair, "
        f"{len(found.test)} to judge",
        "at home": "95 % of the digits on the texture of their class",
        "network": f"two convolutions, {sum(p.numel() for p in net.parameters()):,} parameters",
        "seed": seed,
    }
