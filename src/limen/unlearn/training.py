"""How to train a forgetting, in one place for the function, the command and the recipes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import seed_for
from limen.run.progress import say
from limen.train import ranks
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.randomness import undisturbed
from limen.train.rectify import Rectify
from limen.train.state import State
from limen.train.weighted import Weighted
from limen.unlearn.encode import require_fit
from limen.unlearn.objectives.wga import WGA
from limen.unlearn.retain.kl import KL
from limen.unlearn.retain.nll import NLL
from limen.unlearn.step import Objective, Step
from limen.unlearn.task import Task


@dataclass(frozen=True)
class Training:
    """Settings of a forgetting run; all of them decide its numbers.

    Args:
        objective: The loss on the forget rows.
        rectify: True for `Rectify` with its defaults, False for the plain gradient, or a function
            that makes the `Rectify` wanted.
        retain: NLL() or, without `rectify`, KL() on the retain rows, added to the objective with
            `weight`; None adds nothing (a rectified run still has the retain rows' NLL as its
            guard).
        weight: Factor of the retain loss.
        steps: Optimiser steps.
        lr: Learning rate of AdamW, constant.
        batch: Forget rows in a micro-batch, and as many retain rows.
        accumulate: Micro-batches to a step.
        clip: Largest gradient norm, after rectification; None for no clipping.
        weight_decay: Of AdamW.
        seed: Decides every random number: the order of the rows, and dropout.
        save_every: Steps between checkpoints.
        precision: "no" or "bf16" (autocast over the weights' own type).

    Raises:
        UsageError: A value out of range, or KL as the guard of a rectified run.

    Example:
        >>> Training(steps=40).combine()
        Rectify(goal='forget', guard='retain', ema=0.8, on='gradient', guard_weight=0.0, clip=None)
    """

    objective: Objective = field(default_factory=WGA)
    rectify: bool | partial[Rectify] = True
    retain: Objective | KL | None = None
    weight: float = 1.0
    steps: int = 60
    lr: float = 1e-5
    batch: int = 8
    accumulate: int = 1
    clip: float | None = 1.0
    weight_decay: float = 0.0
    seed: int = 0
    save_every: int = 20
    precision: str | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "save_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0 < self.lr < 1:
            raise UsageError(f"lr={self.lr} must lie between 0 and 1")
        if not 0 <= self.weight < float("inf"):
            raise UsageError(f"weight={self.weight} must be finite and not negative")
        if not 0 <= self.weight_decay < 1:
            raise UsageError(f"weight_decay={self.weight_decay} must lie between 0 and 1")
        if self.rectify and isinstance(self.retain, KL):
            raise UsageError(
                "retain=KL() cannot be the guard of a rectified run: its gradient vanishes at the "
                "start; take NLL() or rectify=False"
            )
        self.step()  # these three check what is theirs
        self.combine()
        self.loop()

    @property
    def name(self) -> str:
        """The method in words."""
        combine = self.combine()
        surgery = " rectified" if isinstance(combine, Rectify) else ""
        place = " on the update" if getattr(combine, "on", None) == "update" else ""
        return type(self.objective).__name__ + surgery + place

    def step(self) -> Step:
        """The losses. A rectified run needs the retain rows' loss, its guard, whole in any case."""
        if self.rectify:
            return Step(self.objective, self.retain or NLL())
        return Step(self.objective, self.retain, weight=self.weight)

    def combine(self) -> Weighted | Rectify:
        """Plain sum, or surgery; with a retain loss the goal contains it (one backward fewer)."""
        if not self.rectify:
            return Weighted()
        make = Rectify if self.rectify is True else self.rectify
        contained = 0.0 if self.retain is None else self.weight
        return make(goal="forget", guard="retain", guard_weight=contained)

    def loop(self, *, into: Path | None = None, label: str = "") -> Loop:
        """Accumulation, clipping, precision and checkpoints."""
        return Loop(
            accumulate=self.accumulate,
            clip=self.clip,
            into=into,
            save_every=self.save_every,
            precision=self.precision,
            label=label,
        )

    def run(self, model: nn.Module, task: Task, *, into: Path | None = None, label: str) -> State:
        """Train `model` in place; with `into` the same call resumes. Global generators stay.

        Raises:
            UsageError: Rectified or with a retain loss, but the task has no retain rows; or rows
                that the model cannot take.
        """
        self.check(task)
        require_fit(model, [*task.forget, *task.retain])
        self._warn_of_rounding(model)
        with seeded(model, seed_for(self.seed, "training", ranks.rank())):
            return fit(
                model,
                self.step(),
                task.batches(self.batch, seed=self.seed),
                steps=self.steps,
                optimizer=self.optimizer,
                combine=self.combine(),
                loop=self.loop(into=into, label=label),
            )

    def check(self, task: Task) -> None:
        """Refuse a task without retain rows where they are needed.

        Raises:
            UsageError: So it is.
        """
        if not task.retain and (self.rectify or self.retain is not None):
            raise UsageError(
                "retain rows are needed as a guard (rectify) or for a retain loss; give some, or "
                "rectify=False and no retain loss"
            )

    def optimizer(self, params: Any) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(params, self.lr, weight_decay=self.weight_decay)

    def spec(self) -> dict[str, Any]:
        """Everything as JSON values, for `spec.json` and the page."""
        return {
            "objective": repr(self.objective),
            "combine": repr(self.combine()),
            "retain loss": repr(self.retain),
            "retain weight": self.weight,
            "steps": self.steps,
            "learning rate": self.lr,
            "batch": self.batch,
            "accumulate": self.accumulate,
            "clip": self.clip,
            "weight decay": self.weight_decay,
            "seed": self.seed,
            "precision": self.precision,
        }

    def _warn_of_rounding(self, model: nn.Module) -> None:
        """AdamW moves a weight by about `lr`, and rounds to the weights' own type."""
        narrow = (torch.bfloat16, torch.float16)
        for dtype in narrow:
            trained = [p for p in model.parameters() if p.requires_grad and p.dtype == dtype]
            rms = max(
                (float(p.detach().float().square().mean().sqrt()) for p in trained), default=0.0
            )
            if self.lr < torch.finfo(dtype).eps / 2 * rms and ranks.rank() == 0:
                name = str(dtype).removeprefix("torch.")
                say(f"steps of lr={self.lr:g} round away in {name}; use --dtype float32")


@contextmanager
def seeded(model: nn.Module, seed: int) -> Iterator[None]:
    """Inside the block the generators of the CPU and of the model's devices start from `seed`."""
    cuda = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    with undisturbed(), torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
