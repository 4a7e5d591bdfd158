"""GRU: a goal's gradient, bent so that it does not harm a guard."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError, nearest
from limen.algebra.inner import gram
from limen.algebra.shards import reshard
from limen.algebra.surgery import Conflict, conflict
from limen.algebra.vector import ParamVector
from limen.train import ranks
from limen.train.losses import Back, Loss, in_order, is_logged
from limen.train.protocols import Share
from limen.train.weighted import whole


class Rectify:
    """Gradient Rectified Unlearning, for any two losses: go down `goal` without harming `guard`.

    With `g` the gradient of the goal and `m` the moving average of the guard's gradient,
    `m <- ema * g_guard + (1 - ema) * m`, a step uses::

        g                              if <g, m> >= 0, bit for bit
        g - (<g, m> / |m|^2) m         otherwise

    With `on="update"` the same constraint is put on the step `u` that the optimiser really takes
    (Adam's moments, learning rate and weight decay included): `u <- u - min(0, <u, m>) / |m|^2 m`.
    That holds where `on="gradient"` does not: the sign of a rectified gradient's Adam step is not
    protected. Adam's moments then still see the unrectified gradient.

    Usable alone, in anybody's loop::

        rectify.begin(model)
        rectify.backward({"forget": forget_loss, "retain": retain_loss})
        rectify.finish()
        optimizer.step()

    Memory: gradient and average, two copies of the trainable parameters (plus the parameters
    before the step with `on="update"`): each guard gradient is folded into the average as soon as
    it exists. Not for DistributedDataParallel, whose all-reduce comes after that; shard instead.

    Args:
        goal: Name of the loss to go down.
        guard: Name of the loss that must not go up.
        ema: Weight of the NEW guard gradient in its average, in (0, 1]; 1 keeps no memory.
        on: "gradient" or "update".
        guard_weight: How much of the guard's own gradient the goal contains: the lambda of an
            objective with a retain term, at no third backward pass.
        clip: Largest norm of the rectified gradient; `Loop.clip` does the same within `fit`.

    Raises:
        UsageError: A value out of range.

    Reference:
        Wang et al., GRU: Mitigating the Trade-off between Unlearning and Retention for LLMs,
        ICML 2025, sections 3.1 and 3.2. Departures: inner products are `ParamVector`'s (the
        released code sums in bfloat16), the projection stays on the device, `on="update"` and
        `guard_weight` are ours. The orientation of `ema` follows the released code; the paper's
        wording could not be checked. Its option `cos_clip`, which leaves a part of the conflict,
        is left out.

    Example:
        >>> x = nn.Parameter(torch.zeros(3))
        >>> rectify = Rectify(goal="forget", guard="retain", ema=1.0)
        >>> rectify.begin({"x": x})
        >>> goal, guard = torch.tensor([1.0, -2.0, 2.0]), torch.tensor([0.0, 1.0, 0.0])
        >>> _ = rectify.backward({"forget": x @ goal, "retain": x @ guard})
        >>> round(rectify.finish()["angle"], 1), x.grad.tolist()
        (131.8, [1.0, 0.0, 2.0])
    """

    def __init__(
        self,
        *,
        goal: str,
        guard: str,
        ema: float = 0.8,
        on: str = "gradient",
        guard_weight: float = 0.0,
        clip: float | None = None,
    ):
        if not 0 < ema <= 1:
            raise UsageError(f"ema={ema} must lie in (0, 1]; 1 keeps no memory")
        if on not in ("gradient", "update"):
            raise UsageError(f"on={on!r} must be 'gradient' or 'update'")
        if goal == guard:
            raise UsageError(f"goal and guard must be two losses, got {goal!r} for both")
        if clip is not None and not clip > 0:
            raise UsageError(f"clip={clip} must be positive, or None for no clipping")
        self.goal, self.guard, self.ema, self.on = goal, guard, ema, on
        self.guard_weight, self.clip = guard_weight, clip
        self.average: dict[str, Tensor] = {}
        self._params: Mapping[str, nn.Parameter] = {}
        self._back = Back()
        self._fresh = True
        self._loaded = False

    @property
    def needs_before(self) -> bool:
        """Whether the parameters before the update are needed."""
        return self.on == "update"

    def begin(self, params: Mapping[str, nn.Parameter] | nn.Module) -> None:
        """Start of a window of micro-batches: clears `.grad`.

        The average carries over from the window before, also into another `fit`, as long as the
        names are the same; with other names it starts anew.

        Args:
            params: The trainable parameters by name, or the model.
        """
        if isinstance(params, nn.Module):
            self._back = Back(params)
            reshard(params)
            params = {n: p for n, p in params.named_parameters() if p.requires_grad}
        if self.average.keys() != params.keys():
            self.average = {n: torch.zeros_like(p, dtype=_wide(p)) for n, p in params.items()}
        elif self._loaded:
            self.average = {n: ranks.like(self.average[n], p) for n, p in params.items()}
        self._loaded = False
        self._params = params
        self._fresh = True
        for p in params.values():
            p.grad = None

    def backward(
        self,
        losses: dict[str, Loss],
        share: Share = whole,
        back: Callable[..., Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """One micro-batch: the guard's gradient into its average, the goal's into `.grad`.

        Args:
            losses: The goal, the guard, and detached values to log; emptied.
            share: Share of each name in the window.
            back: What turns a loss into gradient; `fit` gives its own.

        Returns:
            Value of each loss, detached.

        Raises:
            UsageError: Goal or guard is missing or detached, or a third loss wants a gradient.
        """
        self._check(losses)
        back = back or self._back
        order = in_order({name: losses[name] for name in (self.guard, self.goal)})
        shared = sum(isinstance(losses[name], Tensor) for name in order)
        values = {}
        for position, name in enumerate(order, start=1):
            with self._folded() if name == self.guard else nullcontext():
                values[name] = back(losses.pop(name), share(name), retain_graph=position < shared)
        values.update({n: x.detach() for n, x in losses.items() if isinstance(x, Tensor)})
        return values

    @torch.no_grad()
    def finish(self) -> dict[str, float]:
        """Rectify `.grad` in place (`on="gradient"`), clip it, and tell how the two stood.

        Returns:
            `angle` between goal and guard in degrees, `rectified` (1 when GRU stepped in, else 0)
            and `coefficient`, the kappa of the correction; with `on="update"` the last two come
            from `updated`.

        Raises:
            WorkError: A gradient is infinite or not a number.
        """
        ranks.average_(self.average.values())
        grads = ParamVector({n: _grad(p) for n, p in self._params.items()})
        guard = ParamVector(self.average)
        found = conflict(grads, guard)
        if not isfinite(found.dot + found.goal_squared + found.guard_squared):
            raise WorkError(
                f"the gradients must be finite; squared norms are {found.goal_squared} for "
                f"{self.goal!r} and {found.guard_squared} for {self.guard!r}: lower the learning "
                "rate or clip"
            )
        if self.on == "gradient" and found.harms:
            for name, grad in grads.items():
                grad.add_(guard[name], alpha=found.coefficient)
        if self.clip is not None:
            clip_(grads, self.clip)
        if self.on == "update":
            return {"angle": found.angle}
        return _told(found)

    @torch.no_grad()
    def updated(self, before: ParamVector | None) -> dict[str, float]:
        """Correct the applied update (`on="update"`); otherwise nothing.

        Args:
            before: The parameters before the optimiser's step.

        Returns:
            `rectified`, `coefficient`, and `update_angle` between step and guard before the
            correction; nothing with `on="gradient"`.

        Raises:
            UsageError: `before` is missing.
        """
        if self.on == "gradient":
            return {}
        if before is None:
            raise UsageError('on="update" needs the parameters before the step')
        found = self._step_conflict(before)
        if found.harms:
            for name, p in self._params.items():
                p.sub_(self.average[name].to(p.dtype), alpha=found.coefficient)
        told = _told(found)
        return {**told, "update_angle": told.pop("angle")}

    def state_dict(self) -> dict[str, Any]:
        """The moving average."""
        return {"average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a saved moving average."""
        self.average, self._loaded = dict(state["average"]), True

    def __repr__(self) -> str:
        return (
            f"Rectify(goal={self.goal!r}, guard={self.guard!r}, ema={self.ema}, on={self.on!r}, "
            f"guard_weight={self.guard_weight}, clip={self.clip})"
        )

    def _check(self, losses: dict[str, Loss]) -> None:
        for name in (self.goal, self.guard):
            if name not in losses or is_logged(losses[name]):
                raise UsageError(
                    f"Rectify needs a trainable loss {name!r}; the step gives {sorted(losses)}; "
                    f"nearest: {nearest(name, losses)}"
                )
        others = [n for n, x in losses.items() if not is_logged(x)]
        extra = sorted(set(others) - {self.goal, self.guard})
        if extra:
            raise UsageError(f"Rectify uses two losses; detach {extra} or add them to the goal")

    @contextmanager
    def _folded(self) -> Iterator[None]:
        """Inside, each gradient that appears is folded into the average and freed at once.

        What the goal has gathered so far is laid aside meanwhile. The average decays once a
        window, on its first guard.
        """
        if self._fresh:
            for mean in self.average.values():
                mean.mul_(1 - self.ema)
            self._fresh = False
        aside = {name: p.grad for name, p in self._params.items()}
        for p in self._params.values():
            p.grad = None
        handles = [
            p.register_post_accumulate_grad_hook(partial(self._fold, name, aside))
            for name, p in self._params.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for name, p in self._params.items():
                p.grad = aside[name]

    @torch.no_grad()
    def _fold(self, name: str, aside: dict[str, Tensor | None], p: Tensor) -> None:
        grad, p.grad = p.grad, None
        if grad is None:
            return
        self.average[name].add_(grad, alpha=self.ema)
        if self.guard_weight:
            kept, part = aside[name], grad.mul_(self.guard_weight)
            aside[name] = part if kept is None else kept.add_(part)

    def _step_conflict(self, before: ParamVector) -> Conflict:
        """The conflict of the applied step with the guard, one tensor's difference at a time."""
        steps = ((before[n] - p.detach(), self.average[n]) for n, p in self._params.items())
        return Conflict(*gram(steps))


def clip_(grads: ParamVector, largest: float) -> float:
    """Scale gradients in place to at most `largest` in norm; returns the norm before.

    Raises:
        WorkError: The norm is infinite or not a number.
    """
    norm = grads.norm()
    if not isfinite(norm):
        raise WorkError(f"the gradient must be finite; its norm is {norm}: lower the learning rate")
    if norm > largest:
        for grad in grads.values():
            grad.mul_(largest / norm)
    return norm


def _told(found: Conflict) -> dict[str, float]:
    return {
        "angle": found.angle,
        "rectified": float(found.harms),
        "coefficient": found.coefficient,
    }


def _grad(p: nn.Parameter) -> Tensor:
    if p.grad is None:
        p.grad = torch.zeros_like(p)
    return p.grad


def _wide(p: Tensor) -> torch.dtype:
    """Averages of half-precision gradients are kept in float32."""
    return torch.promote_types(p.dtype, torch.float32)
