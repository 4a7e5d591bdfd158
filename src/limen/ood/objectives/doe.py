"""Outlier exposure at perturbed weights: outliers transformed by the network itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.modules.batchnorm import _NormBase

from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector
from limen.ood.objectives.losses import oe, scale_gradient
from limen.ood.seen import View, has_bn, kept_bn
from limen.ood.step import count, joined
from limen.train import ranks
from limen.train.losses import At, Loss

Mode = Literal["ascent", "descent", "random", "official"]
Inner = Literal["regret", "oe"]
_GRID = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class DOE:
    """Outlier exposure at weights perturbed for the worst; lower is less sure of what they make.

    A layer at `W + a P` sees its old input transformed, so the perturbed network shows itself
    outliers that nobody collected. With the searched weights W_l, the search loss F on the batch's
    outliers and g_l its gradient,

    `P_l = g_l ||W_l|| / ||g_l||`, `A <- keep A + (1 - keep) P`, `L = mean_i oe(z_i(W + a A))`,

    A a constant. F is the regret against the best rescaled network, bounded by the mean of
    `scale_gradient` (its square, the published one, has the same normalised gradient), or oe
    itself. The search drops nothing out; the running statistics of batch norm are
    those of the pass at W, whatever the search and the perturbed pass see. Weights move and return
    bit for bit (`limen.train.At`); no second network is kept. At strength 0 this is outlier
    exposure.

    Under joint batch norm (`Step(bn="joint")`) an outlier is normalised beside the batch's inliers
    in every pass, as in outlier exposure, so inliers go along and a step costs about 3 of its
    steps; under the other rules, and without batch norm, about 1.7 (`benchmarks/ood_step.py`).

    `mode` says where P points:

    - "ascent": uphill, the worst case;
    - "descent" and "random": downhill, and nowhere in particular, for comparison;
    - "official": as the released code does. There the search goes downhill, because the sign
      in front of its loss is lost when it is squared; inliers go along in both passes, and the
      perturbed pass moves the running statistics. The code takes two optimiser steps a batch, at
      `W + a A` on outliers and then back at W on inliers; here their gradients are one step's, both
      taken before it. It clips to length 1: `limen.Loop(clip=1.0)`.

    Published weight 1, the first half of training without perturbation (`warmup`); score with
    MaxLogit. Logged: "unperturbed", the loss at W where it was last searched.

    Args:
        strength: a, at least 0, relative to each layer's own length; or several, of which each
            batch draws one. None means 0.1, in "official" mode 0.1, 0.01, 0.001 and 0.0001.
        mode: "ascent", "descent", "random" or "official".
        inner: F: "regret" or "oe".
        keep: Share of the averaged direction that a new search leaves, from 0 to below 1.
        refresh: Search at every so-manieth batch; between, the average serves.
        warmup: Batches of plain outlier exposure before the first search. Where the loop
            accumulates, each micro-batch counts as one, here and for `refresh`.
        clean: Also return "clean", the loss at W, to be weighed beside "outlier" by the combine.
        layers: Regular expression; only weights whose name it finds are perturbed. None means all
            with two dimensions or more but embedding tables.

    Raises:
        UsageError: A value out of range, or no weight to perturb.

    Reference:
        Wang et al., Out-of-distribution Detection with Implicit Outlier Transformation, ICLR 2023;
        "official" after its released code (QizhouWang/DOE). Whether the published moving average
        weighs the old direction by 0.6 or the new is not known; the code weighs the old.

    Example:
        >>> DOE(strength=0.3, refresh=4).strengths
        (0.3,)
    """

    strength: float | tuple[float, ...] | None = None
    mode: Mode = "ascent"
    inner: Inner = "regret"
    keep: float = 0.6
    refresh: int = 1
    warmup: int = 0
    clean: bool = False
    layers: str | None = None
    weight: ClassVar[float] = 1.0
    forwards: ClassVar[str] = "joint"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode) or self.inner not in get_args(Inner):
            raise UsageError(
                f"mode={self.mode!r} must be one of {', '.join(get_args(Mode))}, and "
                f"inner={self.inner!r} one of {', '.join(get_args(Inner))}"
            )
        if not self.strengths or not all(0 <= a < float("inf") for a in self.strengths):
            raise UsageError(f"strength={self.strength} must be at least 0, or several such")
        if not 0 <= self.keep < 1:
            raise UsageError(f"keep={self.keep} must lie from 0 to below 1")
        if self.refresh < 1 or self.warmup < 0:
            raise UsageError(
                f"refresh={self.refresh} must be at least 1, warmup={self.warmup} at least 0"
            )

    @property
    def strengths(self) -> tuple[float, ...]:
        """What each batch draws from."""
        if self.strength is None:
            return _GRID if self.mode == "official" else (0.1,)
        return self.strength if isinstance(self.strength, tuple) else (float(self.strength),)

    def begin(self, model: nn.Module) -> dict[str, Any]:
        """The state: no direction yet."""
        self.searched(model)
        return {"average": {}, "unperturbed": 0.0}

    def searched(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The weights that are perturbed, by name.

        Args:
            model: The network.

        Returns:
            Name and parameter.

        Raises:
            UsageError: There is none.
        """
        tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        found = {
            name: p
            for name, p in model.named_parameters()
            if p.requires_grad and p.ndim > 1 and id(p) not in tables
            and re.search(self.layers or "", name)
        }  # fmt: skip
        if not found:
            raise UsageError(f"layers={self.layers!r} must find trainable weights and finds none")
        return found

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's outliers at perturbed weights.

        Args:
            view: What the step has seen.

        Returns:
            "outlier", at least log C; "unperturbed"; "clean" where asked for.

        Raises:
            UsageError: The batch has no outliers.
        """
        if view.outliers is None:
            raise UsageError("DOE perturbs what outliers do; give pairs(inliers, outliers)")
        if view.step < self.warmup:
            plain = self._plain(view)
            clean = {"clean": plain} if self.clean else {}
            return {"outlier": plain, "unperturbed": plain.detach(), **clean}
        if (view.step - self.warmup) % self.refresh == 0:
            self._search(view)
        by = ParamVector(view.state["average"]) * self._drawn(view)
        buffers = "update" if self.mode == "official" else "keep"
        losses: dict[str, Loss] = {"outlier": At(by, lambda: self._loss(view), buffers)}
        if self.clean:
            losses["clean"] = self._plain(view)
        return {**losses, "unperturbed": torch.tensor(view.state["unperturbed"])}

    def _drawn(self, view: View) -> float:
        """This batch's strength."""
        at = torch.randint(len(self.strengths), (1,), generator=view.stream("DOE strength"))
        return self.strengths[int(at)]

    def _plain(self, view: View) -> Tensor:
        """`oe` of the outliers at W, from the step's own pass where they were in it."""
        return self._loss(view) if view.outlier is None else oe(view.outlier.logits)

    def _loss(self, view: View) -> Tensor:
        """`oe` of the outliers at the weights as they stand."""
        return oe(self._logits(view))

    def _logits(self, view: View) -> Tensor:
        """Logits of the outliers, inliers beside them where batch norm is joint."""
        together = self.mode == "official" or (view.bn == "joint" and has_bn(view.model))
        rows = joined(view.inputs, view.outliers) if together else view.outliers  # type: ignore[arg-type]
        with nullcontext() if self.mode == "official" else kept_bn(view.model):
            logits = view.forward(rows).logits  # type: ignore[arg-type]
        return logits[count(view.inputs) :] if together else logits

    def _search(self, view: View) -> None:
        """A new direction, and its share in the average."""
        params, average = self.searched(view.model), view.state["average"]
        grads = self._direction(view, params)
        for name, grad in grads.items():
            p, old = params[name], average.get(name)
            size = _length(p.detach()) / _length(grad).clamp(min=1e-20)
            new = grad * size.to(grad)
            average[name] = new if old is None else (
                self.keep * ranks.like(old, p) + (1 - self.keep) * new)  # fmt: skip

    def _direction(self, view: View, params: dict[str, nn.Parameter]) -> dict[str, Tensor]:
        """Where the search loss rises, or what the mode takes in its place."""
        device = view.labels.device
        quiet, still = _without_dropout(view.model), kept_bn(view.model)
        with quiet, still, _grads_put_aside(view.model), \
                torch.autocast(device.type, enabled=False), torch.enable_grad():  # fmt: skip
            logits = self._logits(view)
            view.state["unperturbed"] = oe(logits.detach()).item()
            loss = (scale_gradient if self.inner == "regret" else oe)(logits)
            sharded = any(isinstance(p, DTensor) for p in view.model.parameters())
            loss.backward(inputs=None if sharded else list(params.values()))
            ranks.average_grads_(params.values())
            grads = {
                n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in params.items()
            }
        if self.mode == "random":
            stream = view.stream("DOE direction")
            return {n: torch.randn(p.shape, generator=stream).to(p) for n, p in params.items()}
        return {n: g if self.mode == "ascent" else -g for n, g in grads.items()}


def _length(tensor: Tensor) -> Tensor:
    """The Euclidean norm, in float32 at least."""
    return tensor.norm(dtype=torch.promote_types(tensor.dtype, torch.float32))


@contextmanager
def _grads_put_aside(model: nn.Module) -> Iterator[None]:
    """Inside the block no parameter has a gradient; after it each has its own again."""
    kept = [(p, p.grad) for p in model.parameters()]
    for p, _ in kept:
        p.grad = None
    try:
        yield
    finally:
        for p, grad in kept:
            p.grad = grad


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    """Inside the block all but batch norm is in eval mode, functional dropout included."""
    kept = [m for m in model.modules() if m.training and not isinstance(m, _NormBase)]
    for module in kept:
        module.training = False
    try:
        yield
    finally:
        for module in kept:
            module.training = True
