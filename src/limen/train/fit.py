"""The training loop, the only place that changes parameters."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from limen._core.errors import UsageError
from limen.algebra.modes import in_mode
from limen.algebra.shards import reshard
from limen.run.folder import held
from limen.train import ranks
from limen.train.checkpoint import stateful
from limen.train.feed import as_batches
from limen.train.loop import Loop
from limen.train.protocols import Callback, Combine, Step
from limen.train.running import Running
from limen.train.state import State
from limen.train.stop import asked_to_stop
from limen.train.told import plain, told
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
    bits, also after a kill; Ctrl-C finishes the step, saves, and raises KeyboardInterrupt. A
    callback may end the run early (see `limen.train.Callback`): it is then over, as after `steps`.

    Args:
        model: Any module; shard it with `fully_shard` beforehand, never wrap it in DDP.
        step: `step(model, batch)` returns named mean losses.
        batches: `batches[i]` is micro-batch i; also a list (cycled) or a DataLoader.
        steps: Optimiser steps in all, counted from the first run.
        optimizer: An optimiser of the model's parameters, or a function of the parameters
            (needed when sharding replaced them). What it does not hold does not move.
        combine: How losses become one gradient; the sum by default.
        callbacks: Watchers; their states travel in the checkpoints.
        loop: Accumulation, clipping, schedule, precision, checkpoints.

    Returns:
        The final state, with the history of all steps.

    Raises:
        UsageError: Wrong use, before the first step.
        WorkError: A loss or gradient became infinite or not a number; no step was taken with it,
            and the last checkpoint stands.

    Example:
        >>> import torch
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
) -> Running:
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
    run = Running(
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
