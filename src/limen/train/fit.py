"""The training loop, the only place that changes parameters."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from limen._core.errors import InterruptedRun, UsageError, WorkError
from limen.algebra.shards import reshard
from limen.run.folder import RunFolder, held
from limen.run.progress import progress
from limen.run.store import clear_leftovers
from limen.train import ranks
from limen.train.checkpoint import (
    Stateful,
    check_ours,
    load_checkpoint,
    save_checkpoint,
    stateful,
)
from limen.train.feed import as_batches, moved
from limen.train.loop import Loop
from limen.train.losses import Back
from limen.train.modes import in_mode
from limen.train.protocols import Batches, Callback, Combine, Step
from limen.train.rectify import Rectify, clip_
from limen.train.state import State
from limen.train.stop import asked_to_stop
from limen.train.told import named, note, number, plain, told, values_of
from limen.train.weighted import Weighted

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


def fit(
    model: nn.Module,
    step: Step,
    batches: Any,
    *,
    steps: int,
    optimizer: Optimizer | MakeOptimizer,
    combine: Combine | None = None,
    callbacks: Sequence[Callback] = (),
    loop: Loop | None = None,
) -> State:
    """Train: named losses in, one gradient out, `steps` optimiser steps.

    One step: backward x accumulate -> combine.finish -> clip -> callbacks.before_update ->
    optimizer.step -> combine.updated -> constrain -> schedule -> observe ->
    callbacks.after_update -> checkpoint. Losses are means; each is weighed by its count of rows
    or tokens over the window's count on all processes, so that accumulation and sharding give
    the one-batch gradient. The model trains where it is, in train mode, and gets its modes back.

    With `loop.into` the run is checkpointed, and the same call again continues it to the same
    bits, also after a kill; Ctrl-C finishes the step, saves, and raises KeyboardInterrupt.

    Args:
        model: Any module; shard it with `fully_shard` beforehand, never wrap it in DDP.
        step: `step(model, batch)` returns named mean losses.
        batches: `batches[i]` is micro-batch i; also a list (cycled) or a DataLoader.
        steps: Optimiser steps in all, counted from the first run.
        optimizer: An optimiser of the model's parameters, or a function of the parameters
            (needed when sharding replaced them). What it does not hold does not move.
        combine: How losses become one gradient; the sum by default.
        callbacks: Watchers.
        loop: Accumulation, clipping, schedule, precision, checkpoints.

    Returns:
        The final state, with the history of all steps.

    Raises:
        UsageError: Wrong use, before the first step.
        WorkError: A loss or gradient became infinite or not a number; no step was taken with it,
            and the last checkpoint stands.

    Example:
        >>> net = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.ones_(net.weight)
        >>> sgd = torch.optim.SGD(net.parameters(), lr=0.25)
        >>> state = fit(net, lambda model, x: {"loss": model(x).square().mean()},
        ...             [torch.ones(4, 1)], steps=3, optimizer=sgd)
        >>> [row["loss"] for row in state.history]
        [1.0, 0.25, 0.0625]
    """
    run = _prepared(
        model,
        step,
        steps=steps,
        optimizer=optimizer,
        combine=combine or Weighted(),
        callbacks=callbacks,
        loop=loop or Loop(),
        batches=batches,
    )
    source = as_batches(batches, resumable=run.into is not None)
    with ExitStack() as stack:
        if run.into is not None and ranks.rank() == 0:
            stack.enter_context(held(run.into))
        stop = stack.enter_context(asked_to_stop(active=run.into is not None))
        stack.enter_context(in_mode(model, training=True))
        if not run.resumed() and hasattr(step, "prepare"):
            with run.precision():
                step.prepare(model, batches)
        run.go(source, stop)
    return run.state


@dataclass
class _Run:
    """One call of `fit`."""

    state: State
    step: Step
    combine: Combine
    callbacks: Sequence[Callback]
    loop: Loop
    schedule: LRScheduler | None
    device: torch.device
    into: Path | None
    batches: str
    defaults: str
    parts: dict[str, Stateful] = field(default_factory=dict)

    def go(self, batches: Batches, stop: threading.Event) -> None:
        state = self.state
        shown = self.loop.label and state.step < state.steps and ranks.rank() == 0
        bar = progress(self.loop.label, total=state.steps) if shown else nullcontext(_silent)
        with bar as advance:
            advance(state.step)
            while state.step < state.steps:
                self.one(batches)
                advance(note=note(state.values))
                stopping = self.asked(stop)
                if self.due() or stopping:
                    self.save()
                if stopping:
                    break
        if self.asked(stop):
            raise InterruptedRun(
                f"stopped after step {state.step} of {state.steps}, checkpoint saved; "
                "the same command continues"
            )

    def asked(self, stop: threading.Event) -> bool:
        """Whether any process was asked to stop a run that can be continued."""
        return self.into is not None and ranks.anyone(asks=stop.is_set(), device=self.device)

    def one(self, batches: Batches) -> None:
        state, combine, window = self.state, self.combine, self.loop.accumulate
        first = state.step * window
        micro = [moved(batches[first + j], self.device) for j in range(window)]
        state.before = None
        state.optimizer.zero_grad(set_to_none=True)
        combine.begin(state.params)
        values = self.backward(micro)
        ranks.average_grads_(state.params.values())
        numbers = combine.finish()
        self.bound_gradient()
        for callback in self.callbacks:
            callback.before_update(state)
        reshard(state.model)  # a callback's forward may have left gathered weights behind
        state.before = state.now.copy() if self.needs_before else None
        state.optimizer.step()
        numbers |= combine.updated(state.before)
        if self.loop.constrain is not None:
            with torch.no_grad():
                self.loop.constrain(state.params)
        if self.schedule is not None:
            self.schedule.step()
        state.step += 1
        state.values = {**values, **numbers}
        for part in (self.step, combine):
            if hasattr(part, "observe"):
                part.observe(values)
        state.history.append(state.values)
        for callback in self.callbacks:
            callback.after_update(state)
        self.log()

    def backward(self, micro: list[Any]) -> dict[str, float]:
        """The window's gradient; returns the window's mean of each loss."""
        counts = self.counts(micro)
        back = Back(self.state.model, precision=self.precision)
        totals: dict[str, float] = {}
        for batch, shares in zip(micro, counts, strict=True):

            def share(name: str, shares: dict[str, float] = shares) -> float:
                return shares.get(name, 1 / (len(micro) * ranks.world()))

            with self.precision():
                losses = named(self.step(self.state.model, batch))
            # Gradients are averaged over processes, so a share of the sum is `world` shares.
            paid = self.combine.backward(losses, lambda name: share(name) * ranks.world(), back)
            for name, value in paid.items():
                totals[name] = totals.get(name, 0.0) + number(name, value) * share(name)
        values = dict(zip(totals, ranks.summed(list(totals.values()), self.device), strict=True))
        self.check_finite(values, micro)
        return values

    def counts(self, micro: list[Any]) -> list[dict[str, float]]:
        """Each micro-batch's share of the rows or tokens behind each mean.

        Raises:
            UsageError: Some batch counts other names.
        """
        if not hasattr(self.step, "weigh"):
            return [{} for _ in micro]
        counts: list[dict[str, float]] = [self.step.weigh(batch) for batch in micro]
        if any(count.keys() != counts[0].keys() for count in counts):
            raise UsageError(f"weigh must give the same names for every batch, got {counts}")
        sums = {name: sum(count[name] for count in counts) for name in counts[0]}
        totals = dict(zip(sums, ranks.summed(list(sums.values()), self.device), strict=True))
        return [
            {name: value / totals[name] if totals[name] else 0.0 for name, value in count.items()}
            for count in counts
        ]

    def check_finite(self, values: dict[str, float], micro: list[Any]) -> None:
        bad = [name for name, value in values.items() if not isfinite(value)]
        if not bad:
            return
        blame = ""
        if hasattr(self.step, "blame"):
            found = [self.step.blame(self.state.model, batch) for batch in micro]
            blame = "; ".join(text for text in found if text)
        saved = self.into is not None and (self.into / "checkpoint" / "latest").is_file()
        kept = f"the checkpoint in {self.into} stands" if saved else "no step was taken with it"
        raise WorkError(
            f"loss {bad[0]!r} is {values[bad[0]]} at step {self.state.step}"
            f"{f' ({blame})' if blame else ''}; {kept}; lower the learning rate or clip"
        )

    def bound_gradient(self) -> None:
        """Clip, if asked for; a finite loss may have an infinite gradient, as sqrt has at 0.

        Raises:
            WorkError: So it has; no step was taken.
        """
        if self.loop.clip is not None:
            clip_(self.state.grads, self.loop.clip)
            return
        if isinstance(self.combine, Rectify):  # it has looked already
            return
        grads = [g.to_local() if isinstance(g, DTensor) else g for g in self.state.grads.values()]
        bad = bool(grads) and not isfinite(float(nn.utils.get_total_norm(grads)))
        if ranks.anyone(asks=bad, device=self.device):
            raise WorkError(
                f"the gradient is infinite or not a number at step {self.state.step}; no step was "
                "taken with it; lower the learning rate or change the loss"
            )

    def precision(self) -> AbstractContextManager[None]:
        if self.loop.mixed == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    @property
    def needs_before(self) -> bool:
        return any(getattr(x, "needs_before", False) for x in [self.combine, *self.callbacks])

    def due(self) -> bool:
        step = self.state.step
        return self.into is not None and (
            step % self.loop.save_every == 0 or step == self.state.steps
        )

    def save(self) -> None:
        if self.into is not None:
            folder = self.into / "checkpoint"
            save_checkpoint(folder, self.state, parts=self.parts, identity=self.identity())

    def resumed(self) -> bool:
        """Take up the latest checkpoint and the log up to it, where there is one.

        Raises:
            UsageError: The folder's log or checkpoint is not a training's.
        """
        if self.into is None:
            return False
        folder = RunFolder(self.into)
        check_ours(self.into)
        (self.into / "checkpoint").mkdir(parents=True, exist_ok=True)
        found = load_checkpoint(
            self.into / "checkpoint", self.state, parts=self.parts, identity=self.identity()
        )
        rows = folder.rows()[: self.state.step] if found else []
        if ranks.rank() == 0:
            clear_leftovers(self.into)
            folder.rewind(rows)
        self.state.history = [values_of(row) for row in rows]
        if self.state.history:
            self.state.values = self.state.history[-1]
        return found

    def log(self) -> None:
        if self.into is not None and ranks.rank() == 0:
            RunFolder(self.into).log({"step": self.state.step, **self.state.values})

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that takes it up."""
        shapes = {name: tuple(p.shape) for name, p in self.state.params.items()}
        return {
            "parameters": str(sum(p.numel() for p in self.state.params.values())),
            "names": hashlib.sha256(repr(shapes).encode()).hexdigest()[:12],
            "optimizer": type(self.state.optimizer).__name__,
            "optimizer's settings": self.defaults,
            "step": told(self.step),
            "batches": self.batches,
            "combine": told(self.combine),
            "precision": self.loop.mixed,
            "accumulate": self.loop.accumulate,
            "clip": self.loop.clip,
        }


def _prepared(
    model: nn.Module,
    step: Step,
    *,
    steps: int,
    optimizer: Optimizer | MakeOptimizer,
    combine: Combine,
    callbacks: Sequence[Callback],
    loop: Loop,
    batches: Any,
) -> _Run:
    if isinstance(model, DistributedDataParallel):
        raise UsageError("model must not be wrapped in DDP: pass the module, or fully_shard it")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and ranks.world() == 1:
        raise UsageError("several processes were launched: call init_process_group() before fit")
    if steps < 0:
        raise UsageError(f"steps={steps} must not be negative")
    if not getattr(step, "additive", True) and loop.accumulate > 1:
        raise UsageError(
            f"accumulate={loop.accumulate} must be 1: this step's loss is no mean over rows"
        )
    reshard(model)  # so that the names lead to shards, not to gathered copies
    optimizer, params = _trained(model, optimizer)
    schedule = loop.schedule
    if schedule is not None and not isinstance(schedule, LRScheduler):
        schedule = schedule(optimizer)
    run = _Run(
        state=State(model, params, optimizer, step=0, steps=steps),
        step=step,
        combine=combine,
        callbacks=callbacks,
        loop=loop,
        schedule=schedule,
        device=next(iter(params.values())).device,
        into=Path(loop.into) if loop.into is not None else None,
        batches=told(batches) if not isinstance(batches, list | tuple) else "a list",
        defaults=plain(optimizer.defaults),
    )
    parts = {"optimizer": optimizer, "schedule": schedule, "combine": combine, "step": step}
    watchers = {f"callback {i}": callback for i, callback in enumerate(callbacks)}
    run.parts = stateful({**parts, **watchers})
    return run


def _trained(
    model: nn.Module, optimizer: Optimizer | MakeOptimizer
) -> tuple[Optimizer, dict[str, nn.Parameter]]:
    """The optimiser, and the parameters that it moves, by name.

    Raises:
        UsageError: There are none, or they are another model's.
    """
    params = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not params:
        raise UsageError("model must have trainable parameters; all of them are frozen")
    if not isinstance(optimizer, Optimizer):
        optimizer = optimizer(list(params.values()))
    known = {id(p) for p in params.values()}
    held_by = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    moving = {id(p) for p in held_by if p.requires_grad}
    if not moving or not moving <= known:
        raise UsageError(
            "optimizer must hold this model's trainable parameters; it holds others (made before "
            "the model was sharded?): pass a function of the parameters"
        )
    return optimizer, {name: p for name, p in params.items() if id(p) in moving}


def _silent(_count: int = 1, *, note: str = "") -> None:
    """The progress of somebody who asked for none."""
