"""Training with outliers in one line: the published schedule around `limen.fit`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from math import cos, pi
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from limen._core.errors import UsageError
from limen._core.streams import seed_for
from limen.ood.augment import Augment
from limen.ood.objectives.outlier_exposure import OutlierExposure
from limen.ood.pairs import pairs
from limen.ood.step import Objective, Step
from limen.train import ranks
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.randomness import seeded
from limen.train.state import State
from limen.train.weighted import Weighted

_LAST_LR = 1e-6


@dataclass(frozen=True)
class Training:
    """How to train with outliers: nesterov SGD, its rate falling by a cosine at every step.

    `lr_t = e + (lr - e) (1 + cos(pi t / steps)) / 2`, e = 1e-6. The network trains where it is
    and gets its modes back; a pre-trained one is fine-tuned with a fifth to a tenth of the rate
    that it was trained with.

    Args:
        objective: What to learn from outliers; None trains on the inliers alone.
        weight: Of the loss "outlier"; the inliers' cross-entropy has 1. None takes the
            objective's own `weight`, the published one.
        steps: Optimiser steps.
        lr: First learning rate.
        momentum: Nesterov momentum, 0 to below 1.
        weight_decay: On every parameter.
        batch: Inliers in a batch.
        outlier_batch: Outliers in a batch; None means twice as many.
        bn: The batch-norm rule of `Step`.
        augment: Crops, flips and normalises pictures.
        head: The classifier's name, where `limen.bank.head_of` finds another layer.
        clip: Largest gradient norm; None for no clipping.
        seed: Decides every random number: order, augmentation, dropout, the objective's.
        save_every: Steps between checkpoints.

    Raises:
        UsageError: A value out of range.

    Reference:
        Hendrycks, Mazeika, Dietterich, Deep Anomaly Detection with Outlier Exposure, ICLR 2019,
        for momentum 0.9, decay 5e-4 and the cosine.

    Example:
        >>> Training(steps=100, lr=0.1).rate(0), round(Training(steps=100, lr=0.1).rate(50), 4)
        (0.1, 0.05)
    """

    objective: Objective | None = field(default_factory=OutlierExposure)
    weight: float | None = None
    steps: int = 1000
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch: int = 64
    outlier_batch: int | None = None
    bn: str = "joint"
    augment: Augment | None = None
    head: str | None = None
    clip: float | None = None
    seed: int = 0
    save_every: int = 200

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"steps={self.steps} must be at least 1")
        if not 0 < self.lr < float("inf"):
            raise UsageError(f"lr={self.lr} must be positive and finite")
        if not 0 <= self.factor < float("inf"):
            raise UsageError(f"weight={self.weight} must be at least 0 and finite")
        for name in ("momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 0 and below 1")
        self.step()
        Loop(clip=self.clip, save_every=self.save_every)

    @property
    def factor(self) -> float:
        """What the loss "outlier" is weighed by."""
        return getattr(self.objective, "weight", 0.5) if self.weight is None else self.weight

    def rate(self, step: int) -> float:
        """The learning rate of a step.

        Args:
            step: 0 to `steps`.

        Returns:
            From `lr` down to 1e-6.
        """
        last = min(_LAST_LR, self.lr)
        return last + (self.lr - last) * (1 + cos(pi * step / self.steps)) / 2

    def step(self) -> Step:
        """The losses."""
        return Step(self.objective, bn=self.bn, head=self.head, seed=self.seed)

    def optimizer(self, params: Iterable[nn.Parameter]) -> Optimizer:
        """Nesterov SGD.

        Args:
            params: What it moves.
        """
        return SGD(
            params, self.lr, self.momentum,
            weight_decay=self.weight_decay, nesterov=self.momentum > 0,
        )  # fmt: skip

    def run(
        self,
        net: nn.Module,
        inliers: Any,
        outliers: Any = None,
        *,
        into: str | Path | None = None,
        label: str = "training",
    ) -> State:
        """Train `net` in place; with `into` the same call continues. Global generators stay.

        Args:
            net: A classifier with a linear head.
            inliers: As for `pairs`.
            outliers: As for `pairs`; None where the objective makes its own.
            into: Folder for checkpoints and the log.
            label: Of the progress bar; "" draws none.

        Returns:
            The final state, with the history of all losses.

        Raises:
            UsageError: Bad rows; with `into`, a loader that shuffles without a generator.
        """
        batches = pairs(
            inliers, outliers,
            batch=self.batch, outlier_batch=self.outlier_batch,
            augment=self.augment, seed=self.seed,
        )  # fmt: skip
        schedule = partial(LambdaLR, lr_lambda=lambda step: self.rate(step) / self.lr)
        weights = {} if self.objective is None else {"outlier": self.factor}
        with seeded(net, seed_for(self.seed, "training", ranks.rank())):
            return fit(
                net,
                self.step(),
                batches,
                steps=self.steps,
                optimizer=self.optimizer,
                combine=Weighted(**weights),
                loop=Loop(clip=self.clip, schedule=schedule, into=into, label=label,
                          save_every=self.save_every),
            )  # fmt: skip


def train(
    net: nn.Module,
    inliers: Any,
    outliers: Any = None,
    *,
    objective: Objective | None,
    steps: int,
    lr: float,
    weight: float | None = None,
    bn: str = "joint",
    seed: int = 0,
    into: str | Path | None = None,
) -> State:
    """Train a classifier to be unsure of outliers, in place; `Training` has the other settings.

    Args:
        net: A classifier with a linear head, trained already or not.
        inliers: `(inputs, labels)`, a dataset or a DataLoader.
        outliers: The same without labels; None where the objective makes its own.
        objective: What to learn from outliers; None trains on the inliers alone.
        steps: Optimiser steps.
        lr: First learning rate of the cosine.
        weight: Of the loss "outlier"; None takes the objective's own, the published one.
        bn: The batch-norm rule of `Step`.
        seed: Decides every random number.
        into: Folder for checkpoints; the same call continues there.

    Returns:
        The final state, with the history of all losses.

    Raises:
        UsageError: Bad rows or settings.

    Example:
        >>> import torch
        >>> from limen.ood.nets.mlp import MLP
        >>> known = torch.eye(4).repeat(8, 1), torch.arange(4).repeat(8)
        >>> net, strange = MLP(4, 4, widths=(16,)), torch.ones(32, 4)
        >>> state = train(net, known, strange, objective=OutlierExposure(), steps=60, lr=0.1)
        >>> bool(net.eval()(strange).softmax(-1).amax() < 0.5 < net(known[0]).softmax(-1).amax())
        True
    """
    settings = Training(objective, weight, steps, lr, bn=bn, seed=seed)
    return settings.run(net, inliers, outliers, into=into)
