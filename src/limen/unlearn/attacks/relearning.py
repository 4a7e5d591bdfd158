"""Teach it again: how few steps bring back what was forgotten."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import seed_for
from limen.run.progress import say
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.randomness import seeded
from limen.train.state import State
from limen.unlearn.attacks.attacked import Attacked, Sides, both
from limen.unlearn.data import Source
from limen.unlearn.encode import require_fit
from limen.unlearn.precision import rounding_share
from limen.unlearn.retain.nll import NLL
from limen.unlearn.step import Step
from limen.unlearn.task import Task
from limen.unlearn.training import LOST


@dataclass(frozen=True)
class Relearning:
    """Recall while a copy is fine-tuned again; a steep curve says the knowledge was only hidden.

    AdamW on the mean NLL of the answers, at a constant rate, with gradients clipped to norm 1.
    The whole curve is kept, because one point depends on where it was taken: a model that never
    knew the rows learns them too, given steps enough, and is what a curve is compared with.

    Args:
        rows: What to train on: anything `read_rows` takes; None stands for both sets of the task.
            Some of the forget rows alone ask whether the others come back too.
        steps: Optimiser steps, at least 1.
        lr: Learning rate, that of the original fine-tuning.
        size: Rows in a step.
        every: Steps between two points of the curve.
        seed: Decides the order of the rows, and dropout.

    Raises:
        UsageError: A number out of range, or a count that is not whole.

    Reference:
        Wang et al., Towards Effective Evaluations and Comparisons for LLM Unlearning Methods,
        ICLR 2025, fine-tune for an epoch on all data. Departures: a number of steps, and the
        curve over them.

    Example:
        >>> Relearning(steps=20).name
        'relearning, 20 steps of 8 rows at lr=1e-05'
    """

    rows: Source | None = None
    steps: int = 50
    lr: float = 1e-5
    size: int = 8
    every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "size", "every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name}={value!r} must be a whole number of at least 1")
        if not isinstance(self.seed, int):
            raise UsageError(f"seed={self.seed!r} must be a whole number")
        if not 0 < self.lr < 1:
            raise UsageError(f"lr={self.lr} must lie between 0 and 1")

    @property
    def name(self) -> str:
        """The attack in words."""
        own = " of its own" if self.rows is not None else ""
        seed = f", seed {self.seed}" if self.seed else ""
        return f"relearning, {self.steps} steps of {self.size} rows{own} at lr={self.lr:g}{seed}"

    def check(self, model: nn.Module, task: Task) -> None:
        """Refuse rows to teach that cannot be read or do not fit the model.

        Args:
            model: The model to attack.
            task: Forget and retain rows.

        Raises:
            UsageError: No such rows, or rows that the model cannot take.
        """
        try:
            require_fit(model, self._lessons(task).forget)
        except UsageError as wrong:
            raise UsageError(f"rows of relearning: {wrong}") from None

    def _lessons(self, task: Task) -> Task:
        rows = self.rows if self.rows is not None else [*task.forget_rows, *task.retain_rows]
        return Task(task.tokenizer, forget=rows, template=task.template, eos=task.eos)

    def __call__(self, model: nn.Module, task: Task, *, batch: int = 16) -> Attacked:
        """Scores while a copy of the model learns the rows again.

        Args:
            model: A causal language model; its trainable parameters are copied and trained.
            task: Forget and retain rows.
            batch: Rows in a forward pass.

        Returns:
            The scores after the last step; `tried` holds the curve, from step 0 on.

        Raises:
            UsageError: No retain rows, or rows that the model cannot take.
        """
        self.check(model, task)
        lessons = self._lessons(task)
        pupil = copy.deepcopy(model)
        curve = _Curve(task, every=self.every, batch=batch)
        curve.add(pupil, step=0)
        if rounding_share(pupil, self.lr) > LOST:
            say(
                f"relearning: steps of lr={self.lr:g} round away for many weights, which makes the "
                "attack look weak; load the model in float32"
            )
        with seeded(pupil, seed_for(self.seed, "relearning")):
            fit(
                pupil,
                Step(NLL()),
                lessons.batches(self.size, seed=self.seed),
                steps=self.steps,
                optimizer=lambda params: torch.optim.AdamW(params, self.lr, weight_decay=0.0),
                callbacks=[curve],
                loop=Loop(clip=1.0, label=""),
            )
        return Attacked(*curve.tried[self.steps], "step", curve.tried)


class _Curve:
    """Scores of both sets at the start, every few steps, and at the end."""

    def __init__(self, task: Task, *, every: int, batch: int):
        self.task, self.every, self.batch = task, every, batch
        self.tried: dict[int | str, Sides] = {}

    def add(self, model: nn.Module, *, step: int) -> None:
        self.tried[step] = both(model, self.task, batch=self.batch)

    def before_update(self, state: State) -> None:
        """Nothing to see yet."""

    def after_update(self, state: State) -> None:
        """Score, where it is due."""
        if state.step % self.every == 0 or state.step == state.steps:
            self.add(state.model, step=state.step)
