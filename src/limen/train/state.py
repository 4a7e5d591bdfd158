"""What callbacks see, and what `fit` returns."""

from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer

from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector


@dataclass
class State:
    """A training run as it stands.

    Attributes:
        model: The model.
        params: Its trainable parameters by name, captured once.
        optimizer: The optimiser.
        step: Optimiser steps taken.
        steps: Optimiser steps asked for.
        values: Losses and diagnostics of the last step.
        history: One dict of values for each step, from step 0, also across resumes.
        before: The parameters before the last update, when somebody asked for them.

    Example:
        >>> import torch, limen
        >>> net = nn.Linear(1, 1)
        >>> state = limen.fit(net, lambda model, x: {"loss": model(x).square().mean()},
        ...                   [torch.ones(1, 1)], steps=2, optimizer=torch.optim.SGD(
        ...                   net.parameters(), lr=0.1))
        >>> state.step, len(state.history), sorted(state.values)
        (2, 2, ['loss'])
    """

    model: nn.Module
    params: dict[str, nn.Parameter]
    optimizer: Optimizer
    step: int
    steps: int
    values: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    before: ParamVector | None = None

    @property
    def grads(self) -> ParamVector:
        """The gradients, by reference."""
        return ParamVector.grads(self.params)

    @property
    def now(self) -> ParamVector:
        """The parameters, by reference."""
        return ParamVector({name: p.detach() for name, p in self.params.items()})

    @property
    def update(self) -> ParamVector:
        """The step that was taken, as a descent direction: before - now.

        Raises:
            UsageError: Nobody asked for the parameters before the update.
        """
        if self.before is None:
            raise UsageError("update is known only where a callback has needs_before = True")
        return self.before - self.now
