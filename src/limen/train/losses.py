"""What a step may return for each name, and how one of them is turned into gradient."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.shifted import shifted
from limen.algebra.vector import ParamVector
from limen.train import ranks


@dataclass(frozen=True)
class At:
    """A loss at perturbed weights: forward AND backward run at theta + by.

    The weights move in place and come back bit for bit. That invalidates graphs made before it,
    so combines evaluate these losses last; and mixed precision is left out, because bfloat16
    would hide a small perturbation.

    Args:
        by: Displacement of each named parameter.
        loss: Computes the loss; called at the displaced weights.
        buffers: "keep" restores batch-norm statistics afterwards, "update" lets them move.

    Raises:
        UsageError: `buffers` is neither.

    Example:
        >>> At(ParamVector({}), lambda: torch.zeros(())).buffers
        'keep'
    """

    by: ParamVector
    loss: Callable[[], Tensor]
    buffers: str = "keep"

    def __post_init__(self) -> None:
        if self.buffers not in ("keep", "update"):
            raise UsageError(f"buffers={self.buffers!r} must be 'keep' or 'update'")


Loss = Tensor | Callable[[], Tensor] | At
"""A tensor; a function that computes one when asked; or a loss at perturbed weights.

A detached tensor is a value to log, never to train on. Functions share no graph, so each is
evaluated, back-propagated and freed before the next: memory of one loss at a time.
"""


def is_logged(loss: Loss) -> bool:
    """Whether this loss is a value to log only."""
    return isinstance(loss, Tensor) and not loss.requires_grad


def in_order(losses: dict[str, Loss]) -> list[str]:
    """The trainable names in the order they must be paid: graphs, functions, then `At`."""
    rank = {name: 0 if isinstance(x, Tensor) else 2 if isinstance(x, At) else 1
            for name, x in losses.items() if not is_logged(x)}  # fmt: skip
    return sorted(rank, key=rank.__getitem__)


@dataclass(frozen=True)
class Back:
    """Evaluates one loss, back-propagates it, and hands back its value.

    Args:
        model: The model that `At` displaces; None where there is no `At`.
        backward: What to call on the scaled loss; plain `loss.backward` by default.
        precision: Makes the context in which functions are evaluated.
    """

    model: nn.Module | None = None
    backward: Callable[..., None] = torch.Tensor.backward
    precision: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(self, loss: Loss, scale: float, *, retain_graph: bool = False) -> Tensor:
        """Add `scale` times the gradient of `loss` to `.grad`; returns the loss, detached.

        Raises:
            UsageError: The loss is not a scalar that depends on the trainable parameters.
        """
        if isinstance(loss, At):
            return self._displaced(loss, scale)
        if not isinstance(loss, Tensor):
            with self.precision():
                loss = loss()
        return self._pay(loss, scale, retain_graph=retain_graph)

    def _displaced(self, loss: At, scale: float) -> Tensor:
        if self.model is None:
            raise UsageError("a loss At other weights needs the model; give it to begin(model)")
        kept = nullcontext() if loss.buffers == "update" else _kept_buffers(self.model)
        with kept, shifted(self.model, loss.by):
            return self._pay(loss.loss(), scale, retain_graph=False)

    def _pay(self, loss: Tensor, scale: float, *, retain_graph: bool) -> Tensor:
        if loss.numel() != 1 or not loss.requires_grad:
            raise UsageError(
                "a loss must be a scalar that depends on trainable parameters; got "
                f"shape {tuple(loss.shape)}, requires_grad={loss.requires_grad}"
            )
        if scale or ranks.world() > 1:  # every process takes part in a sharded backward
            self.backward(loss * scale, retain_graph=retain_graph)
        return loss.detach()


@contextmanager
def _kept_buffers(model: nn.Module) -> Iterator[None]:
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
