"""How to train a forgetting, in one place for the function, the command and the recipes."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limen._core.errors import UsageError, WorkError
from limen._core.streams import seed_for
from limen.run.progress import say
from limen.train import ranks
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.primal_dual import PrimalDual
from limen.train.protocols import Callback
from limen.train.randomness import seeded
from limen.train.rectify import Rectify
from limen.train.state import State
from limen.train.weighted import Weighted
from limen.unlearn.activation_checkpointing import activation_checkpointing
from limen.unlearn.early_stop import EarlyStop
from limen.unlearn.effect_trace import EffectTrace
from limen.unlearn.encode import require_fit
from limen.unlearn.memory import MemoryEstimate, memory_estimate
from limen.unlearn.objectives.wga import WGA
from limen.unlearn.precision import rounding_share
from limen.unlearn.reference import Reference
from limen.unlearn.retain.nll import NLL
from limen.unlearn.steer import Course, Steer, course, held_still
from limen.unlearn.step import REFUSING, Objective, Step, sight_of
from limen.unlearn.task import Task

PROBES = 64
"""Rows of each set on which effects are watched, at most."""
LOST = 0.01
"""Share of the weights that do not move from which a warning is due."""


@dataclass(frozen=True)
class Training:
    """Settings of a forgetting run; all of them decide its numbers.

    Args:
        objective: The loss on the forget rows.
        rectify: True for `Rectify` with its defaults, False for the plain gradient, or a function
            that makes the `Rectify` wanted.
        retain: NLL() or, without `rectify`, KL() or RR() on the retain rows, added to the objective
            with `weight`; None adds nothing (a rectified run still has the retain rows' NLL as its
            guard). The task's further sets to keep guard a rectified run as well.
        weight: Factor of the retain loss.
        bound: Hold the retain rows' NLL below this with a multiplier that adapts (`PrimalDual`),
            in place of surgery and `retain`; in nats, above 0. PDU is made for it.
        steer: Drop or weigh rows, or freeze layers, by their effects before the first step.
        stop: `(forget, retain)`: stop once the forget rows' extraction strength is at most the
            first, or less than the second's share of the retain rows' is left.
        check_every: Steps between two looks at that, at most `steps`.
        steps: Optimiser steps.
        lr: Learning rate of AdamW, constant.
        batch: Forget rows in a micro-batch, and as many retain rows.
        accumulate: Micro-batches to a step.
        clip: Largest gradient norm, after rectification; None for no clipping.
        weight_decay: Of AdamW.
        seed: Decides every random number: the order of the rows, and dropout.
        save_every: Steps between checkpoints.
        precision: "no" or "bf16" (autocast over the weights' own type).
        checkpointing: Recompute activations in the backward pass: slower, less memory.
        effects_every: Steps between looks at the effects on probe rows, see `EffectTrace`; 0 for
            none. They change no number of the training.

    Raises:
        UsageError: A value out of range, a guard whose gradient vanishes at the start (KL, RR), or
            settings that exclude each other.

    Example:
        >>> Training(steps=40).combine()
        Rectify(goal='forget', guard='retain', ema=0.8, on='gradient', guard_weight=0.0, clip=None)
    """

    objective: Objective = field(default_factory=WGA)
    rectify: bool | partial[Rectify] = True
    retain: Objective | None = None
    weight: float = 1.0
    bound: float | None = None
    steer: Steer | None = None
    stop: tuple[float, float] | None = None
    check_every: int = 5
    steps: int = 60
    lr: float = 1e-5
    batch: int = 8
    accumulate: int = 1
    clip: float | None = 1.0
    weight_decay: float = 0.0
    seed: int = 0
    save_every: int = 20
    precision: str | None = None
    checkpointing: bool = False
    effects_every: int = 0

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.rectify and getattr(self.retain, "needs_reference", False):
            raise UsageError(
                f"retain={type(self.retain).__name__}() cannot be the guard of a rectified run: "
                "its gradient vanishes at the start; take NLL() or rectify=False"
            )
        if (
            self.steer is not None
            and self.steer.how == "weigh"
            and sight_of(self.objective) != "answers"
        ):
            raise UsageError(
                f"steer='weigh' goes with objectives that see answers; {self.objective} does not: "
                "take 'drop' or 'freeze'"
            )
        taken = {"goal", "guard", "guard_weight"} & set(getattr(self.rectify, "keywords", {}))
        if taken:
            raise UsageError(f"rectify must leave {sorted(taken)} to retain, weight and the task")
        if self.bound is not None and (self.rectify or self.retain is not None):
            raise UsageError(
                f"bound={self.bound} takes the place of surgery and of a retain loss; set "
                "rectify=False and retain=None"
            )
        if self.stop is not None and self.check_every > self.steps:
            raise UsageError(
                f"check_every={self.check_every} must be at most steps={self.steps}; nobody would "
                "look whether to stop"
            )
        self.step()  # these three check what is theirs
        self.combine()
        self.loop()

    def _check_numbers(self) -> None:
        for name in ("steps", "batch", "accumulate", "save_every", "check_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1")
        if self.effects_every < 0:
            raise UsageError(f"effects_every={self.effects_every} must not be negative")
        if not 0 < self.lr < 1:
            raise UsageError(f"lr={self.lr} must lie between 0 and 1")
        if not 0 <= self.weight < float("inf"):
            raise UsageError(f"weight={self.weight} must be finite and not negative")
        if not 0 <= self.weight_decay < 1:
            raise UsageError(f"weight_decay={self.weight_decay} must lie between 0 and 1")
        if self.bound is not None and not 0 < self.bound < float("inf"):
            raise UsageError(
                f"bound={self.bound} must be finite and above 0: no loss of the retain rows is "
                "ever below that"
            )

    @property
    def name(self) -> str:
        """The method in words."""
        combine = self.combine()
        surgery = " rectified" if isinstance(combine, Rectify) else ""
        place = " on the update" if getattr(combine, "on", None) == "update" else ""
        return type(self.objective).__name__ + surgery + place

    def step(self, row_weight: Sequence[float] | None = None) -> Step:
        """The losses. A rectified run needs the retain rows' loss, its guard, whole in any case."""
        if self.rectify or self.bound is not None:
            return Step(self.objective, self.retain or NLL(), row_weight=row_weight)
        return Step(self.objective, self.retain, weight=self.weight, row_weight=row_weight)

    def combine(self, guards: Sequence[str] = ()) -> Weighted | Rectify | PrimalDual:
        """Plain sum, surgery or a multiplier; with a retain loss the goal of surgery contains it.

        Args:
            guards: Names of further sets to keep.
        """
        if self.bound is not None:
            return PrimalDual(goal="forget", guard=("retain", *guards), bound=self.bound)
        if not self.rectify:
            return Weighted()
        make = Rectify if self.rectify is True else self.rectify
        contained = 0.0 if self.retain is None else self.weight
        if not guards:
            return make(goal="forget", guard="retain", guard_weight=contained)
        return make(goal="forget", guard=("retain", *guards), guard_weight={"retain": contained})

    def trace(self, task: Task) -> EffectTrace | None:
        """The watcher of effects, where they are asked for; one of the callbacks of `run`."""
        if not self.effects_every:
            return None
        return EffectTrace(task.probes(PROBES, seed=self.seed), every=self.effects_every)

    def early_stop(self, task: Task) -> EarlyStop | None:
        """The watcher that ends the run, where one is asked for; one of the callbacks of `run`."""
        if self.stop is None:
            return None
        forget, retain = self.stop
        return EarlyStop(task, forget=forget, retain=retain, every=self.check_every)

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

    def run(
        self,
        model: nn.Module,
        task: Task,
        *,
        label: str,
        into: Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> State:
        """Train `model` in place; with `into` the same call resumes. Global generators stay.

        Args:
            model: The model before unlearning.
            task: Its rows.
            label: Of the progress bar.
            into: Run folder.
            callbacks: Watchers, such as those of `trace` and `early_stop`; without an `EarlyStop`
                among them the run makes its own.

        Returns:
            The final state.

        Raises:
            UsageError: As `check`, or rows that the model cannot take.
        """
        self.check(task, model)
        self._warn_of_rounding(model)
        if into is not None and ranks.rank() == 0:
            self._tell_memory(model, task)
        steered = course(self.steer, model, task, objective=self.objective)
        self._tell(steered, task)
        seed = seed_for(self.seed, "training", ranks.rank())
        thrifty = activation_checkpointing(model) if self.checkpointing else nullcontext()
        callbacks = self._stopping(callbacks, task)
        with seeded(model, seed), held_still(model, steered.frozen), thrifty:
            state = fit(
                model,
                self.step(steered.row_weight),
                steered.task.batches(self.batch, seed=self.seed),
                steps=self.steps,
                optimizer=self.optimizer,
                combine=self.combine(tuple(task.guards)),
                callbacks=callbacks,
                loop=self.loop(into=into, label=label),
            )
        self._tell_stop(callbacks)
        return state

    def check(self, task: Task, model: nn.Module | None = None) -> None:
        """Refuse a task or a model that lacks what the settings ask for.

        Raises:
            UsageError: No retain rows for a guard, a retain loss, a bound, a steer or a stop; no
                prompts to refuse; a layer that the model has not; a single row to steer.
        """
        needed = self.rectify or self.steer or self.stop or self.bound is not None
        if not task.retain and (needed or self.retain is not None):
            raise UsageError(
                "retain rows are needed as a guard (rectify), for a retain loss, a bound, a steer "
                "or a stop; give some, or rectify=False and none of the others"
            )
        if task.guards and not self.rectify and self.bound is None:
            raise UsageError(
                f"guards={','.join(task.guards)}: further sets to keep go with rectify or a bound; "
                "take one"
            )
        if self.steer is not None:
            self.steer.check(task)
        parts = [task.forget, task.retain, *task.guards.values()]
        if sight_of(self.objective) in REFUSING:
            parts.append(task.refusals)
        if model is not None:
            self.step().check(model)
            for part in parts:
                require_fit(model, part)

    def optimizer(self, params: Any) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(params, self.lr, weight_decay=self.weight_decay)

    def spec(self, guards: Sequence[str] = ()) -> dict[str, Any]:
        """Everything as JSON values, for `spec.json` and the page.

        Args:
            guards: Names of the task's further sets to keep.
        """
        return {
            "objective": repr(self.objective),
            "combine": repr(self.combine(guards)),
            "retain loss": repr(self.retain),
            "retain weight": self.weight,
            "steer": repr(self.steer),
            "stop": self.stop,
            "steps": self.steps,
            "check every": self.check_every,
            "learning rate": self.lr,
            "batch": self.batch,
            "accumulate": self.accumulate,
            "clip": self.clip,
            "weight decay": self.weight_decay,
            "seed": self.seed,
            "precision": self.precision,
            "checkpointing": self.checkpointing,
        }

    def memory(self, model: nn.Module, task: Task) -> MemoryEstimate:
        """What a step will need, before one is taken."""
        combine = self.combine(tuple(task.guards))
        losses = [loss for loss in (self.objective, self.retain) if loss is not None]
        parts = [task.forget, task.retain, *task.guards.values()]
        if sight_of(self.objective) in REFUSING:
            parts.append(task.refusals)
        return memory_estimate(
            model,
            rows=self.batch,
            length=max(2, *(len(row.ids) for part in parts for row in part)),
            rectify=isinstance(combine, Rectify),
            guards=1 + len(task.guards),
            on=getattr(combine, "on", "gradient"),
            reference=Reference(losses).whole,
            mixed=self.precision if self.precision == "bf16" else None,
            checkpointing=self.checkpointing,
        )

    def _tell_memory(self, model: nn.Module, task: Task) -> None:
        try:
            say(f"memory of a step: {self.memory(model, task)}")
        except WorkError as unknown:  # some kernels cannot be played through
            say(str(unknown))

    def _stopping(self, callbacks: Sequence[Callback], task: Task) -> list[Callback]:
        """The watchers, with one that ends the run where it is asked for and not there."""
        told = any(isinstance(callback, EarlyStop) for callback in callbacks)
        stop = None if told else self.early_stop(task)
        return [*callbacks] if stop is None else [*callbacks, stop]

    def _tell_stop(self, callbacks: Sequence[Callback]) -> None:
        for callback in callbacks:
            if isinstance(callback, EarlyStop) and callback.stopped and ranks.rank() == 0:
                when, why = callback.stopped.split(": ", 1)
                say(f"stopped early, at {when} of {self.steps}: {why}")

    def _tell(self, steered: Course, task: Task) -> None:
        if self.steer is None or ranks.rank() > 0:
            return
        dropped = len(task.forget) - len(steered.task.forget)
        weighed = sum(weight != 1 for weight in steered.row_weight or ())
        frozen = ", ".join(steered.frozen) or "no layer"
        idle = "" if dropped or weighed or steered.frozen else "; nothing does harm"
        say(
            f"steered by effects: {dropped} of {len(task.forget)} rows dropped, {weighed} weighed, "
            f"frozen: {frozen}{idle}"
        )

    def _warn_of_rounding(self, model: nn.Module) -> None:
        """AdamW moves a weight by about `lr`, and rounds to the weights' own type."""
        share = rounding_share(model, self.lr)
        if share <= LOST or ranks.rank() > 0:
            return
        narrow = any(p.requires_grad and p.element_size() < 4 for p in model.parameters())
        cure = "use --dtype float32; --precision bf16 keeps products cheap"
        say(
            f"steps of lr={self.lr:g} round away for {share:.0%} of the trained weights; "
            f"{cure if narrow else 'take a larger --lr'}"
        )
