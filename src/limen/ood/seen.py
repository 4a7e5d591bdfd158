"""What one training step has seen, and how to look once more under the same batch-norm rules."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.bank.network import Seen, observed
from limen.train import ranks

Inputs = Tensor | Mapping[str, Tensor]
RULES = ("joint", "id_stats", "frozen")


@dataclass
class View:
    """What an objective is given: a batch, and what the network made of it.

    Attributes:
        model: The network that trains.
        head: Its classifier layer; `head(features)` makes logits.
        inputs: Inlier rows: a tensor, or a dict of tensors.
        labels: Their classes.
        outliers: Outlier rows, the batch's or the objective's own; or None.
        inlier: Logits and features of the inliers.
        outlier: The same of the outliers; None where none passed beside the inliers.
        bn: The batch-norm rule, see `Step`.
        state: What the objective's `begin(model)` made, changed in place; travels in checkpoints.
        step: Number of this batch, counted from the start of training.
        seed: Of all random numbers.

    Example:
        >>> net, rows = nn.Sequential(nn.Linear(4, 3)), torch.ones(2, 4)
        >>> inlier = Seen(net(rows), rows)
        >>> view = View(net, net[0], rows, torch.tensor([0, 2]), inlier=inlier)
        >>> tuple(view.forward(torch.zeros(5, 4)).logits.shape)
        (5, 3)
    """

    model: nn.Module
    head: nn.Linear
    inputs: Inputs
    labels: Int[Tensor, " rows"]
    outliers: Inputs | None = None
    inlier: Seen = field(kw_only=True)
    outlier: Seen | None = None
    bn: str = "joint"
    state: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    seed: int = 0

    def forward(self, inputs: Inputs) -> Seen:
        """One more pass of rows that are no inliers, under the batch-norm rule.

        Args:
            inputs: Outliers, mixed or generated rows.

        Returns:
            Logits and features, with gradient.
        """
        return passed(self.model, inputs, layer=self.head, bn=self.bn, inliers=False)

    def stream(self, name: str) -> torch.Generator:
        """A CPU generator that depends on the seed, the name, this batch's number, and the rank."""
        return torch_stream(self.seed, name, self.step, ranks.rank())

    def require_outliers(self) -> Seen:
        """What was seen of the outliers.

        Raises:
            UsageError: The batch has none.
        """
        if self.outlier is None:
            raise UsageError("this objective learns from outliers and the batch has none; give "
                             "pairs(inliers, outliers)")  # fmt: skip
        return self.outlier


def passed(
    model: nn.Module, inputs: Inputs, *, layer: nn.Module, bn: str = "joint", inliers: bool = True
) -> Seen:
    """Logits and features from one pass, under a batch-norm rule.

    Args:
        model: The network, in the mode in which it trains.
        inputs: A tensor, or a dict of keyword arguments.
        layer: The head.
        bn: "joint" leaves the model as it is. "id_stats" normalises by the batch and, unless the
            rows are inliers, puts the running statistics back. "frozen" normalises by the running
            statistics.
        inliers: Whether the rows are inliers.

    Returns:
        What was seen.
    """
    kept = bn == "id_stats" and not inliers
    rule = frozen_bn(model) if bn == "frozen" else kept_bn(model) if kept else nullcontext()
    with rule:
        return observed(model, inputs, layer=layer)[0]


def has_bn(model: nn.Module) -> bool:
    """Whether some layer keeps running statistics."""
    return any(True for _ in _norms(model))


@contextmanager
def kept_bn(model: nn.Module) -> Iterator[None]:
    """Running statistics that move inside the block are put back after it, bit for bit."""
    kept = [
        (norm, name, buffer)
        for norm in _norms(model)
        for name, buffer in norm.named_buffers(recurse=False)
    ]
    for norm, name, buffer in kept:  # writing back would make the pass's graph useless
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in kept:
            setattr(norm, name, buffer)


@contextmanager
def frozen_bn(model: nn.Module) -> Iterator[None]:
    """Inside the block batch norm uses its running statistics; scale and shift still train."""
    modes = [(norm, norm.training) for norm in _norms(model)]
    for norm, _ in modes:
        norm.training = False
    try:
        yield
    finally:
        for norm, was_training in modes:
            norm.training = was_training


def _norms(model: nn.Module) -> Iterator[_NormBase]:
    for module in model.modules():
        if isinstance(module, _NormBase) and module.track_running_stats:
            yield module
