"""One way to train a small network, so that remedies differ in nothing but their idea."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, seed_for
from limen.algebra.modes import in_mode
from limen.shift.remedies.rows import Predict, Rows
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.losses import Loss
from limen.train.protocols import Step
from limen.train.randomness import seeded, undisturbed

_ASKED = 2048  # rows forwarded at once


class Batch(NamedTuple):
    """Some rows as tensors."""

    inputs: Float[Tensor, "batch ..."]
    labels: Int64[Tensor, " batch"]
    groups: Int64[Tensor, " batch"]
    """Whatever the remedy tells apart."""
    weights: Float[Tensor, " batch"]
    """Mean 1 over all rows."""
    number: int
    """Of the batch."""


@dataclass(frozen=True)
class Training:
    """The network and the optimiser that every remedy shares: Adam on random batches.

    Inputs are brought to mean 0 and variance 1 (one number each for pictures, one for each column
    of features) as the training rows say. Batch i is a function of the seed and i.

    Args:
        net: Makes a network from the shape of an input and the number of classes; None makes a
            perceptron with one hidden layer. Its last linear layer is its head.
        hidden: Units of that perceptron; 0 makes a logistic head alone.
        steps: Optimiser steps.
        batch: Rows in a batch.
        lr: Of Adam.
        decay: Of Adam, decoupled.

    Raises:
        UsageError: A value out of range.

    Example:
        >>> training = Training(hidden=0, steps=100, lr=0.1)
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> predict = training.run(rows, cross_entropy, seed=0)
        >>> predict(np.array([[-3.0], [3.0]])).argmax(1).tolist()
        [0, 1]
    """

    net: Callable[[tuple[int, ...], int], nn.Module] | None = None
    hidden: int = 32
    steps: int = 200
    batch: int = 128
    lr: float = 0.01
    decay: float = 1e-4

    def __post_init__(self) -> None:
        if self.hidden < 0 or self.steps < 1 or self.batch < 2:
            raise UsageError(
                f"hidden={self.hidden} must be 0 or more, steps={self.steps} at least 1, "
                f"batch={self.batch} at least 2"
            )
        if not 0 < self.lr < float("inf") or not 0 <= self.decay < 1:
            raise UsageError(f"lr={self.lr} must be positive and decay={self.decay} in 0 to 1")

    def run(
        self,
        rows: Rows,
        step: Step,
        *,
        seed: int,
        by: str = "environment",
        weights: Any = None,
    ) -> Predict:
        """Train a new network. Global generators stay as they are.

        Args:
            rows: To learn from.
            step: `step(net, batch)` gives named mean losses; their sum is minimised.
            seed: Decides initial weights and batches.
            by: What the groups of a batch are: "class", "environment" or "group".
            weights: Of each row; None weighs all alike.

        Returns:
            The predictor.

        Raises:
            UsageError: Weights that do not fit.
        """
        with undisturbed():
            torch.manual_seed(seed_for(seed, "remedy", "weights"))
            net = self._made(rows)
        source = _Drawn(rows, rows.groups(by), batch=self.batch, weights=weights, seed=seed)
        with seeded(net, seed_for(seed, "remedy", "training")):
            fit(
                net, step, source, steps=self.steps, loop=Loop(label=""),
                optimizer=lambda p: torch.optim.AdamW(p, self.lr, weight_decay=self.decay),
            )  # fmt: skip
        return lambda inputs: predicted(net, inputs)

    def _made(self, rows: Rows) -> nn.Module:
        shape = rows.inputs.shape[1:]
        wide = int(np.prod(shape))
        if self.net is not None:
            body: nn.Module = self.net(tuple(shape), rows.classes)
        elif self.hidden:
            layers = [nn.Linear(wide, self.hidden), nn.ReLU()]
            body = nn.Sequential(nn.Flatten(), *layers, nn.Linear(self.hidden, rows.classes))
        else:
            body = nn.Sequential(nn.Flatten(), nn.Linear(wide, rows.classes))
        return nn.Sequential(_Standard(rows.inputs), body)


class _Standard(nn.Module):
    """Inputs less their mean, over their deviation."""

    middle: Tensor
    width: Tensor

    def __init__(self, inputs: np.ndarray) -> None:
        super().__init__()
        axes = 0 if inputs.ndim == 2 else tuple(range(inputs.ndim))
        width = np.asarray(inputs.std(axes))
        self.register_buffer("middle", torch.tensor(inputs.mean(axes), dtype=torch.float32))
        self.register_buffer(
            "width", torch.tensor(np.where(width > 0, width, 1.0), dtype=torch.float32)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.middle) / self.width


class _Drawn:
    """Random batches by their number."""

    def __init__(
        self,
        rows: Rows,
        groups: Int64[np.ndarray, " rows"],
        *,
        batch: int,
        weights: Any,
        seed: int,
    ) -> None:
        share = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        if share.shape != (len(rows),) or (share < 0).any() or not share.sum() > 0:
            raise UsageError(f"weights must be {len(rows)}, 0 or more and not all 0")
        self._parts = (
            torch.from_numpy(rows.inputs).float(),
            torch.from_numpy(rows.labels),
            torch.from_numpy(groups),
            torch.from_numpy(share / share.mean()).float(),
        )
        self._size, self._seed = min(batch, len(rows)), seed

    def __getitem__(self, i: int) -> Batch:
        stream = numpy_stream(self._seed, "remedy", "batch", i)
        count = len(self._parts[1])
        some = torch.from_numpy(stream.choice(count, self._size, replace=False))
        inputs, labels, groups, weights = (part[some] for part in self._parts)
        return Batch(inputs, labels, groups, weights, i)


def cross_entropy(model: nn.Module, batch: Batch) -> dict[str, Loss]:
    """The weighted mean cross-entropy of a batch, in nats; the step of ERM.

    Args:
        model: Inputs in, logits out.
        batch: Rows.

    Returns:
        One loss, "task".
    """
    losses = nn.functional.cross_entropy(model(batch.inputs), batch.labels, reduction="none")
    return {"task": (batch.weights * losses).mean()}


@torch.no_grad()
def predicted(net: nn.Module, inputs: Any) -> Float[np.ndarray, "rows classes"]:
    """Logits of rows, in eval mode.

    Args:
        net: Inputs in, logits out.
        inputs: (rows, ...).

    Returns:
        One row each, float64.
    """
    seen = torch.from_numpy(np.asarray(inputs)).float()
    with in_mode(net, training=False):
        parts = [net(part) for part in seen.split(_ASKED)]
    return torch.cat(parts).double().numpy()
