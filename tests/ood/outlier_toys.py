"""A network, its inliers and its outliers, small enough for five steps in a test."""

import torch
from torch import Tensor, nn

from limen import Loop, Weighted, fit
from limen._core.streams import torch_stream
from limen.ood.nets.mlp import MLP
from limen.ood.step import PairedRows, Step
from limen.train.state import State

CLASSES, WIDTH = 3, 6


def rows(count: int = 24, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inliers around a corner for each class."""
    labels = torch.arange(count) % CLASSES
    noise = torch.randn(count, WIDTH, generator=torch_stream(seed, "inliers"))
    return 2 * torch.eye(WIDTH)[labels] + 0.3 * noise, labels


def strange(count: int = 48, *, seed: int = 0) -> Tensor:
    """Outliers around the far side."""
    return torch.randn(count, WIDTH, generator=torch_stream(seed, "outliers")) - 1


def batch(count: int = 24, *, seed: int = 0) -> PairedRows:
    """Both."""
    return PairedRows(*rows(count, seed=seed), strange(2 * count, seed=seed))


def net(*, norm: str = "batch", dropout: float = 0.0, extra: int = 0) -> MLP:
    """An MLP of about a thousand parameters."""
    return MLP(WIDTH, CLASSES + extra, widths=(16, 16), norm=norm, dropout=dropout)


def trained(
    model: nn.Module, step: Step, batches: object, *, steps: int = 5, **loop: object
) -> State:
    """A short training by SGD."""
    weights = {} if step.outlier is None else {"outlier": 0.5}
    return fit(
        model, step, batches,
        steps=steps,
        optimizer=lambda params: torch.optim.SGD(params, 0.1),
        combine=Weighted(**weights),
        loop=Loop(label="", **loop),  # type: ignore[arg-type]
    )  # fmt: skip
