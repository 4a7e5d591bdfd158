"""Adam on the parameters of a filter bank, from one start or several, the best met being kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError
from limen._core.streams import seed_for


class Best:
    """The parameters with the lowest score so far: as a whole, or channel by channel."""

    def __init__(self, filters: nn.Module, score: Tensor) -> None:
        self.score, self.kept = score.clone(), copied(filters)

    def offer(self, filters: nn.Module, score: Tensor) -> None:
        """Keep what scores lower than before."""
        better = score < self.score
        if not bool(better.any()):
            return
        self.score = torch.where(better, score, self.score)
        fresh = copied(filters)
        for name, old in self.kept.items():
            rows = better if score.ndim == 0 else better.reshape(-1, *[1] * (old.ndim - 1))
            self.kept[name] = torch.where(rows.to(old.device), fresh[name], old)

    def restore(self, filters: nn.Module) -> None:
        """Write the best parameters back."""
        with torch.no_grad():
            for name, parameter in filters.named_parameters():
                parameter.copy_(self.kept[name])


def descend(
    filters: Any,
    loss: Callable[[], Tensor],
    *,
    look: Callable[[], None],
    advance: Callable[..., None],
    steps: int,
    lr: float,
) -> tuple[float, ...]:
    """Steps of Adam with a falling rate and clipped gradients; `look` is called after each.

    Raises:
        WorkError: The loss is no longer finite.
    """
    parameters = trainable(filters)
    optimiser = torch.optim.Adam(parameters, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=lr / 20)
    limits = getattr(filters, "clamp_", _nothing)
    losses: list[float] = []
    for step in range(steps):
        optimiser.zero_grad()
        value = loss()
        if not bool(torch.isfinite(value.detach())):
            raise WorkError(f"the loss must stay finite, and did not at step {step}; lower lr")
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        limits()
        losses.append(float(value.detach()))
        look()
        advance()
    return tuple(losses)


def ready(filters: Any, *, steps: int, restarts: int) -> None:
    """Refuse what cannot be trained, before any work.

    Raises:
        UsageError: No parameter, no step, no start, or several for a bank that cannot be redrawn.
    """
    count = len(trainable(filters))
    if not count or steps < 1 or restarts < 1:
        raise UsageError(
            f"filters must have parameters to train and steps and restarts be at least 1, got "
            f"{count}, {steps} and {restarts}; choose another bank"
        )
    if restarts > 1 and not hasattr(filters, "redraw_"):
        raise UsageError(
            f"restarts={restarts} needs filters with redraw_(seed), which "
            f"{type(filters).__name__} lacks; leave restarts at 1"
        )


def restart(filters: Any, *, seed: int, number: int) -> None:
    """Draw new parameters, but leave the first start as it is."""
    if number:
        filters.redraw_(seed_for(seed, "restart", number))


def trainable(filters: nn.Module) -> list[nn.Parameter]:
    """Parameters that ask for gradients."""
    return [p for p in filters.parameters() if p.requires_grad]


def copied(filters: nn.Module) -> dict[str, Tensor]:
    """The parameters as they are now."""
    return {name: value.detach().clone() for name, value in filters.named_parameters()}


def _nothing() -> None:
    """What a bank without limits does after a step."""
