"""How GenIAS trains: which windows, which losses, when it stops."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.streams import torch_stream
from limen.algebra.modes import in_mode
from limen.anomaly.batches import Draws, Kept
from limen.anomaly.synth.genias_losses import (
    KL,
    Reduction,
    compact_kl,
    reduced,
    squared_error,
    two_sided_margin,
    zero_perturbation,
)
from limen.anomaly.windows import Windows, sliding
from limen.train.losses import Loss
from limen.train.state import State

_TAIL = 10  # one window in ten, the latest ones, tells when to stop
_PATIENCE = 12


class Batch(NamedTuple):
    """Scaled windows and the noise of both samples.

    Attributes:
        windows: (rows, channels, time).
        noise: (rows, latent), from N(0, 1).
        wide_noise: Of the perturbed sample; None shares `noise`.

    Example:
        >>> Batch(torch.zeros(1, 1, 4), torch.zeros(1, 2)).wide_noise is None
        True
    """

    windows: Float[Tensor, "rows channels time"]
    noise: Float[Tensor, "rows latent"]
    wide_noise: Float[Tensor, "rows latent"] | None = None


@dataclass(frozen=True)
class Losses:
    """The four losses of a batch, unweighted, and psi for the log.

    Args:
        least: By how much a perturbed window must be further off than its copy.
        most: How far off it may be.
        prior_std: Deviation of the latents' prior.
        kl: Form of the KL divergence.
        reduction: Of the KL over latent numbers.

    Example:
        >>> from limen.anomaly.synth.vae import TCNVAE
        >>> net = TCNVAE(1, window=8, width=2, latent=2)
        >>> losses = Losses(least=0.1, most=0.2)(net, Batch(torch.zeros(1, 1, 8), torch.ones(1, 2)))
        >>> list(losses), losses["psi"].item()
        (['reconstruction', 'perturbation', 'zero', 'kl', 'psi'], 2.0)
    """

    least: float
    most: float
    prior_std: float = 0.5
    kl: KL = "exact"
    reduction: Reduction = "mean"

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Loss]:
        """Named losses.

        Args:
            model: A `TCNVAE`.
            batch: Windows and noise.
        """
        copy, perturbed, seen = model(*batch)
        near = squared_error(batch.windows, copy)
        far = squared_error(batch.windows, perturbed)
        kl = compact_kl(seen.mu, seen.log_var, prior_std=self.prior_std, form=self.kl)
        return {
            "reconstruction": near.mean(),
            "perturbation": two_sided_margin(near, far, least=self.least, most=self.most).mean(),
            "zero": zero_perturbation(batch.windows, perturbed),
            "kl": reduced(kl, reduction=self.reduction),
            "psi": seen.psi.detach().mean(),
        }


class Batches:
    """Batch i, of rows without replacement and fresh noise, by the seed and i alone.

    Args:
        windows: All training windows.
        batch: Rows in a batch, at most all of them.
        latent: Latent numbers.
        shared_noise: Whether both samples take the same noise.
        seed: Of order and noise.

    Example:
        >>> batches = Batches(torch.zeros(6, 1, 4), 4, latent=2, seed=0)
        >>> tuple(batches[0].noise.shape), bool((batches[0].noise == batches[1].noise).any())
        ((4, 2), False)
    """

    def __init__(
        self,
        windows: Float[Tensor, "rows channels time"],
        batch: int,
        *,
        latent: int,
        shared_noise: bool = True,
        seed: int = 0,
    ):
        self.windows, self.latent = windows, latent
        self.shared_noise, self.seed = shared_noise, seed
        self.draws = Draws(len(windows), batch, "genias", "order", seed=seed)

    def __getitem__(self, i: int) -> Batch:
        """Batch number i."""
        noise = torch_stream(self.seed, "genias", "noise", i)
        return with_noise(
            self.windows[self.draws[i].to(self.windows.device)], self.latent,
            shared=self.shared_noise, stream=noise,
        )  # fmt: skip


class HeldOut:
    """Ends training when windows that it never saw gain no more, and keeps the best weights.

    The total loss is taken in eval mode with the same noise each time: otherwise the noise would
    hide what was learnt.

    Args:
        batch: Held-out windows with their noise.
        losses: As in training.
        weights: Of each loss.
        every: Steps between two looks.
        patience: Looks without gain before the end.

    Example:
        >>> held = HeldOut(Batch(torch.zeros(1, 1, 4), torch.zeros(1, 2)), Losses(0.1, 0.2), {})
        >>> held.stopped
        ''
    """

    def __init__(
        self,
        batch: Batch,
        losses: Losses,
        weights: Mapping[str, float],
        *,
        every: int = 1,
        patience: int = _PATIENCE,
    ):
        self.batch, self.losses, self.weights = batch, losses, weights
        self.every, self.patience = every, patience
        self.best, self.looks_since, self.stopped = inf, 0, ""
        self.kept: dict[str, Tensor] = {}

    def before_update(self, state: State) -> None:
        """Nothing to see yet."""

    def after_update(self, state: State) -> None:
        """Look, after every so many steps and at the end.

        Args:
            state: The run.
        """
        if state.step % self.every and state.step < state.steps:
            return
        found = self.total(state.model)
        self.looks_since += 1
        if found < self.best:
            self.best, self.looks_since = found, 0
            self.kept = {n: x.detach().clone() for n, x in state.model.state_dict().items()}
        if self.looks_since >= self.patience:
            self.stopped = f"held-out windows gained nothing in {self.patience} looks"

    def total(self, model: nn.Module) -> float:
        """The weighted loss of the held-out windows.

        Args:
            model: In any mode.
        """
        with torch.no_grad(), in_mode(model, training=False):
            values: dict[str, Any] = self.losses(model, self.batch)
        return sum(weight * values[name].item() for name, weight in self.weights.items())


def with_noise(
    windows: Float[Tensor, "rows channels time"],
    latent: int,
    *,
    stream: torch.Generator,
    shared: bool = True,
) -> Batch:
    """Windows with noise from a generator on the CPU, brought to the windows' device.

    Args:
        windows: Scaled windows.
        latent: Latent numbers.
        stream: Random numbers.
        shared: Whether both samples take the same noise.

    Returns:
        A batch.

    Example:
        >>> batch = with_noise(torch.zeros(2, 1, 4), 3, stream=torch.Generator())
        >>> tuple(batch.noise.shape)
        (2, 3)
    """
    size = (len(windows), latent)
    noise = torch.randn(size, generator=stream, device="cpu").to(windows)
    if shared:
        return Batch(windows, noise)
    return Batch(windows, noise, torch.randn(size, generator=stream, device="cpu").to(windows))


def training_windows(
    series: list[np.ndarray], window: int, *, stride: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows to learn from, and the latest tenth of each series to tell when to stop.

    Between the two lies a gap of one window, so that they share no point: where they did, the
    held-out loss would fall by memory too. A series that is too short for it, which would keep
    fewer windows to learn from than it holds out, holds none out.

    Args:
        series: Each at least a window long.
        window: Points.
        stride: Points between windows.
        most: Training windows at most, evenly chosen; an eighth of it held-out ones.

    Returns:
        Training windows, at least one; held-out windows, maybe none.

    Example:
        >>> train, held = training_windows([np.arange(30.0)[:, None]], 11, stride=1, most=9)
        >>> train[-1, -1].item(), held[0, 0].item()
        (17.0, 18.0)
    """
    views = [sliding(one, window, stride=stride) for one in series]
    parted = [_parted(len(view), gap=-(-window // stride) - 1) for view in views]
    train = [view[:end] for view, (end, _) in zip(views, parted, strict=True)]
    held = [view[start:] for view, (_, start) in zip(views, parted, strict=True)]
    return Kept.evenly(train, most).windows(), Kept.evenly(held, max(1, most // 8)).windows()


def _parted(count: int, *, gap: int) -> tuple[int, int]:
    """Where training windows end and held-out ones start, `gap` windows apart."""
    tail = count // _TAIL
    end = count - tail - gap
    return (end, count - tail) if end >= max(1, tail) else (count, count)


def as_rows(windows: Windows, scaler: Any, device: torch.device) -> Tensor:
    """Windows as the network takes them: scaled, channels first, float32.

    Args:
        windows: In the data's unit.
        scaler: Of training.
        device: Of the network.

    Returns:
        (windows, channels, time).

    Example:
        >>> as_rows(np.zeros((2, 5, 1)), lambda x: x + 1, torch.device("cpu"))[0]
        tensor([[1., 1., 1., 1., 1.]])
    """
    found = np.ascontiguousarray(scaler(windows).transpose(0, 2, 1), dtype=np.float32)
    return torch.from_numpy(found).to(device)
