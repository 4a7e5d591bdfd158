"""What the learned detectors share: scaled windows, one training call, states as tensors."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, seed_for
from limen.algebra.modes import in_mode
from limen.anomaly.batches import Kept, falling
from limen.anomaly.detectors.protocol import Align, Windowed
from limen.anomaly.windows import Scale, Scaler, Windows, sliding, to_points
from limen.train.fit import fit
from limen.train.loop import Loop
from limen.train.randomness import undisturbed
from limen.train.state import State

Rows = Float[Tensor, "rows channels time"]


@dataclass(eq=False, kw_only=True)
class Learned(Windowed):
    """A detector with a network, trained on windows.

    Args:
        window: Points in a window; None takes a maker's, else one period of the series, at least
            10.
        steps: Optimiser steps.
        batch: Windows in a batch.
        rate: First learning rate; it falls to a hundredth by a cosine.
        most: Training windows at most, evenly chosen.
        stride: Points between training windows.
        scale: How channels are brought to one scale: "zscore", "minmax" or "none".
        align: "mean" or "end", see `Windowed`.
        threshold: Where to flag, see `Detector`.
        device: Where the network computes.
        seed: Decides weights and draws.
    """

    window: int | None = None
    steps: int = 300
    batch: int = 64
    rate: float = 1e-3
    most: int = 4096
    stride: int = 1
    scale: Scale = "zscore"
    align: Align = "mean"
    threshold: Any = None
    device: str = "cpu"
    seed: int = 0
    net: nn.Module | None = field(default=None, init=False, repr=False)
    scaler: Scaler | None = field(default=None, init=False, repr=False)
    history: list[dict[str, float]] = field(default_factory=list, init=False, repr=False)

    @abstractmethod
    def _build(self, channels: int) -> nn.Module:
        """A fresh network for windows of `size` points."""

    @abstractmethod
    def _train(self, windows: Windows) -> None:
        """Train `net` on windows in the data's unit."""

    @abstractmethod
    def _judged(self, rows: Rows) -> Float[Tensor, " rows"]:
        """Scores of scaled windows."""

    def attribution(self, X: Any) -> Float[np.ndarray, "time channels"]:  # noqa: N803
        """Each channel's part of a score: input times slope, its size, a mean over windows.

        Args:
            X: A series with the channels of training.

        Returns:
            (time, channels), at least 0.
        """
        series = self._checked(X)
        windows = sliding(series, self.size)
        found = [self._parts(self._rows(windows[i : i + 512])) for i in range(0, len(windows), 512)]
        parts = np.concatenate(found)
        columns = [to_points(column, len(series), window=self.size) for column in parts.T]
        return np.stack(columns, axis=1)

    def _parts(self, rows: Rows) -> Float[np.ndarray, "rows channels"]:
        rows = rows.requires_grad_()
        with self._resting():
            slope = torch.autograd.grad(self._judged(rows).sum(), rows)[0]
        parts: np.ndarray = (slope * rows).abs().sum(2).detach().cpu().double().numpy()
        return parts

    def _fit_windows(self, series: list[np.ndarray]) -> None:
        if self.steps < 1 or self.batch < 2 or not self.rate > 0:
            raise UsageError(
                f"steps must be 1 or more, batch 2 or more and rate above 0; got {self.steps}, "
                f"{self.batch}, {self.rate}"
            )
        self.scaler = Scaler.fit(series, how=self.scale)
        self.net = self._fresh(lambda: self._build(series[0].shape[1]))
        self.history = []
        windows = self._training_windows(series)
        if len(windows) < 2:
            raise UsageError(
                f"X must hold two windows of {self.size} points, at least {self.size + self.stride}"
                f" points; bring a longer series or take a shorter window"
            )
        self._train(windows)

    def _training_windows(self, series: list[np.ndarray]) -> Windows:
        """Training windows, at most `most` of them, evenly chosen."""
        return self._kept(series).windows()

    def _kept(self, series: list[np.ndarray]) -> Kept:
        """Which windows are trained on."""
        views = [sliding(one, self.size, stride=self.stride) for one in series]
        return Kept.evenly(views, self.most)

    def _fresh(self, build: Callable[[], nn.Module]) -> nn.Module:
        """A network whose weights depend on the seed alone."""
        with undisturbed():
            torch.manual_seed(seed_for(self.seed, type(self).__name__, "weights"))
            return build().to(self.device)

    def _rows(self, windows: Windows) -> Rows:
        """Windows as the network takes them: scaled, channels first, float32."""
        assert self.scaler is not None
        found = self.scaler(windows).astype(np.float32).transpose(0, 2, 1)
        return torch.from_numpy(np.ascontiguousarray(found)).to(self.device)

    def _run(
        self,
        step: Any,
        batches: Any,
        *,
        steps: int,
        label: str,
        rate: float | None = None,
    ) -> State:
        """Train with AdamW and a cosine; adds to the history."""
        assert self.net is not None
        first = self.rate if rate is None else rate
        adam = AdamW(self.net.parameters(), first, weight_decay=0.0)

        def schedule(optimizer: torch.optim.Optimizer) -> LambdaLR:
            return LambdaLR(optimizer, partial(falling, steps=steps, last=0.01))

        with undisturbed():
            torch.manual_seed(seed_for(self.seed, type(self).__name__, "training"))
            state = fit(
                self.net, step, batches, steps=steps, optimizer=adam,
                loop=Loop(clip=1.0, schedule=schedule, label=label),
            )  # fmt: skip
        self.history += state.history
        return state

    def _window_scores(self, windows: Windows) -> Float[np.ndarray, " windows"]:
        with torch.no_grad(), self._resting():
            parts = [
                self._judged(self._rows(windows[i : i + 1024])).cpu()
                for i in range(0, len(windows), 1024)
            ]
        found: np.ndarray = torch.cat(parts).double().numpy()
        return found

    def _resting(self) -> Any:
        assert self.net is not None
        return in_mode(self.net, training=False)

    def _state(self) -> dict[str, Any]:
        assert self.net is not None
        assert self.scaler is not None
        weights = {name: value.cpu() for name, value in self.net.state_dict().items()}
        return {"size": self.size, "scaler": self.scaler.to_dict(), "weights": weights}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.size, self.scaler = state["size"], Scaler.from_dict(state["scaler"])
        self.device = present(self.device)
        self.net = self._fresh(lambda: self._build(self.channels or 0))
        self.net.load_state_dict(state["weights"])


def present(device: str) -> str:
    """A device if this machine has it, else the CPU: what was trained on one loads on any.

    Example:
        >>> present("cpu")
        'cpu'
    """
    kind = torch.device(device).type
    absent = {
        "cuda": not torch.cuda.is_available(),
        "mps": not torch.backends.mps.is_available(),
    }
    return "cpu" if absent.get(kind, False) else device


def drawn(seed: int, *names: object) -> np.random.Generator:
    """Random numbers of a detector for one purpose."""
    return numpy_stream(seed, "detector", *names)
