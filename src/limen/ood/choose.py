"""Settings chosen by held-out auxiliary outliers, never by those of a test."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.algebra.modes import in_mode
from limen.bank.network import see
from limen.measure.separation import fpr_at_tpr
from limen.ood.pairs import in_memory
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.msp import msp
from limen.ood.seen import Inputs
from limen.ood.step import count
from limen.ood.train import Training
from limen.train.feed import moved

_ROWS = 512  # in one pass


@dataclass(frozen=True)
class Choice:
    """The best of some settings, and what the others reached.

    Attributes:
        best: The settings with the smallest FPR95; the first of equals.
        fpr: FPR95 of each, in the order given: share of held-out outliers mistaken for inliers
            when 95 % of held-out inliers are accepted; lower is better.
        held_out: What was held out, in words.

    Example:
        >>> Choice(Training(lr=0.1), (0.5, 0.25), "10 of 100 auxiliary outliers").best.lr
        0.1
    """

    best: Training
    fpr: tuple[float, ...]
    held_out: str


def choose(
    candidates: Sequence[Training],
    net: nn.Module,
    inliers: Any,
    *,
    outliers: Any,
    score: Callable[[Tensor], Any] | None = None,
    held_out: float = 0.1,
    seed: int = 0,
) -> Choice:
    """Try settings on a copy of the network each; the best mistakes fewest held-out outliers.

    A share of the inliers and of the auxiliary outliers is kept from training and asked
    afterwards. Outliers with labels are held out by whole classes, which is closer to outliers
    never seen; without labels by rows, which flatters every candidate. Outliers of a test have no
    place here. Train the best on everything afterwards.

    Args:
        candidates: Settings to try.
        net: The network that each starts from; left as it is.
        inliers: `(inputs, labels)` in memory.
        outliers: Auxiliary outliers in memory: inputs, or `(inputs, labels)`.
        score: Of logits; higher = more outlying. None: `extra_class` for a candidate whose
            objective trains one (`NTOM`), which `msp` would take for certainty, else `msp`.
        held_out: Share kept from training, above 0 and below 1.
        seed: Decides what is held out.

    Returns:
        The choice.

    Raises:
        UsageError: No candidates, rows that are not in memory, or nothing left on one side.

    Example:
        >>> from limen.ood.nets.mlp import MLP
        >>> known = torch.eye(4).repeat(8, 1), torch.arange(4).repeat(8)
        >>> tried = [Training(steps=1, lr=1e-6), Training(steps=40, lr=0.1)]
        >>> found = choose(tried, MLP(4, 4, widths=(16,)), known, outliers=torch.ones(32, 4))
        >>> found.best.steps, found.fpr[1]
        (40, 0.0)
    """
    if not candidates:
        raise UsageError("candidates must hold at least one Training; got none")
    if not 0 < held_out < 1:
        raise UsageError(f"held_out={held_out} must lie between 0 and 1")
    known, strange = in_memory(inliers, "inliers"), in_memory(outliers, "outliers")
    asked_in = _rows(len(known), held_out, seed=seed, name="inliers")
    if strange.labels is None:
        asked_out = _rows(len(strange), held_out, seed=seed, name="outliers")
        what = f"{int(asked_out.sum())} of {len(strange)} auxiliary outliers"
    else:
        classes = strange.labels.unique()
        kept = classes[_rows(len(classes), held_out, seed=seed, name="classes")]
        asked_out = torch.isin(strange.labels, kept)
        what = f"{len(kept)} of {len(classes)} classes of auxiliary outliers: {kept.tolist()}"
    learnt, _ = strange.take(~asked_out)
    questions = known.take(asked_in)[0], strange.take(asked_out)[0]
    fpr = []
    for place, candidate in enumerate(candidates, start=1):
        tried = copy.deepcopy(net)
        label = f"candidate {place} of {len(candidates)}"
        candidate.run(tried, known.take(~asked_in), learnt, label=label)
        by = score or usual_score(candidate.objective)
        inside, outside = (by(_logits(tried, rows, candidate)) for rows in questions)
        fpr.append(fpr_at_tpr(inside, outside, positive="inlier"))
    return Choice(candidates[fpr.index(min(fpr))], tuple(fpr), what)


def usual_score(objective: Any) -> Callable[[Tensor], Any]:
    """What a network is judged by that was trained with an objective, unless another is named.

    Args:
        objective: One of `limen.ood.objectives`, or None.

    Returns:
        `extra_class` where the objective trains one, else `msp`.

    Example:
        >>> from limen.ood.objectives.ntom import NTOM
        >>> usual_score(NTOM()).__name__, usual_score(None).__name__
        ('extra_class', 'msp')
    """
    return extra_class if getattr(objective, "extra_classes", 0) else msp


def _rows(rows: int, share: float, *, seed: int, name: str) -> Tensor:
    """Which rows are held out.

    Raises:
        UsageError: There are too few to have some on both sides.
    """
    many = ceil(share * rows)
    if many >= rows:
        raise UsageError(f"held_out={share} of {rows} {name} must leave some to learn from")
    held = torch.zeros(rows, dtype=torch.bool)
    held[torch.randperm(rows, generator=torch_stream(seed, "choose", name))[:many]] = True
    return held


@torch.no_grad()
def _logits(net: nn.Module, rows: Inputs, settings: Training) -> Float[Tensor, "rows classes"]:
    """Logits in float64, so that saturated probabilities still differ."""
    device = next(net.parameters()).device
    found = []
    with in_mode(net, training=False):
        for first in range(0, count(rows), _ROWS):
            some = _part(rows, slice(first, first + _ROWS))
            if settings.augment is not None and isinstance(some, Tensor):
                some = settings.augment.plain(some)
            found.append(see(net, moved(some, device), head=settings.head).logits.double())
    return torch.cat(found)


def _part(rows: Inputs, which: slice) -> Inputs:
    if isinstance(rows, Tensor):
        return rows[which]
    return {name: x[which] for name, x in rows.items()}
