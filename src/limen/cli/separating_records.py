"""What the pages of `limen ood` show: curves, histograms, the hardest pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limen.measure.tradeoff import Tradeoff
from limen.ood.data import Images
from limen.ood.judged import Judged
from limen.report import Curves, Gallery, Picture

PRICE = 0.05
"""Share of inliers rejected at which curves are compared."""
SHOWN = 6
"""Pictures of each side."""
_SETTINGS = 300


def curves(found: Mapping[str, Tradeoff], *, title: str) -> Curves:
    """ROC curves by name, compared where one inlier in twenty is rejected."""
    return Curves(
        [replaced(curve, name) for name, curve in found.items()],
        at=PRICE,
        title=title,
        caption="Each marker is a threshold. The line marks where one inlier in twenty is "
        "rejected; all are compared there.",
    )


def replaced(curve: Tradeoff, name: str) -> Tradeoff:
    """A named curve of few enough settings to be drawn; the one at `PRICE` is kept."""
    count = len(curve.price)
    chosen = set(np.linspace(0, count - 1, min(count, _SETTINGS)).round().astype(int).tolist())
    affordable = np.flatnonzero(curve.price <= PRICE + 1e-9)
    chosen |= {int(affordable[curve.gain[affordable].argmax()])}
    places = sorted(chosen)
    return Tradeoff(
        price=curve.price[places], gain=curve.gain[places], knob=[curve.knob[i] for i in places],
        name=name, price_name=curve.price_name, gain_name=curve.gain_name,
        knob_name=curve.knob_name,
    )  # fmt: skip


def hardest(
    judged: Judged, score: str, sets: Mapping[str, Images], *, inliers: str, classes: Sequence[str]
) -> Gallery:
    """Inliers that look most like outliers, and the outliers that look most like inliers."""
    values = np.asarray(judged.inliers[score])
    items = [
        _picture(sets[inliers], row, f"inlier, {_class(sets[inliers], row)}: {values[row]:.3g}")
        for row in np.argsort(-values, kind="stable")[:SHOWN].tolist()
    ]
    names = [name for name in judged.predicted if name in sets]
    found = [(float(v), name, row) for name in names
             for row, v in enumerate(judged.outliers[score][name])]  # fmt: skip
    for value, name, row in sorted(found, key=lambda one: one[0])[:SHOWN]:
        named = called(classes, judged.predicted[name][row])
        items.append(_picture(sets[name], row, f"{name}, named {named}: {value:.3g}"))
    return Gallery(
        items,
        title="The hardest pictures",
        caption=f"First the inliers with the highest {score}, then the outliers with the lowest; "
        "the number is the score, higher = more outlying.",
    )


def called(classes: Sequence[str], number: Any) -> str:
    """A class's name, or its number where nobody knows the name."""
    return classes[int(number)] if int(number) < len(classes) else str(number)


def _picture(images: Images, row: int, caption: str) -> Picture:
    pixels = np.ascontiguousarray(images.inputs[row].transpose(1, 2, 0))
    return Picture(pixels, f"{caption} ({images.names[row]})")


def _class(images: Images, row: int) -> str:
    return "" if images.labels is None else images.classes[int(images.labels[row])]
