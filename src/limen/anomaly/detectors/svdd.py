"""Normal windows inside a small ball."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.anomaly.batches import Draws
from limen.anomaly.detectors.learned import Learned, Rows
from limen.anomaly.windows import Windows


class SVDDNet(nn.Module):
    """Convolutions over time without biases, so that no constant map shrinks the ball to a point.

    Args:
        channels: Of the series.
        width: Channels inside.
        code: Numbers that a window becomes.

    Example:
        >>> tuple(SVDDNet(2, width=4, code=3)(torch.zeros(5, 2, 16)).shape)
        (5, 3)
    """

    def __init__(self, channels: int, *, width: int, code: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before, dilation in ((channels, 1), (width, 2), (width, 4)):
            layers += [
                nn.Conv1d(before, width, 5, padding="same", dilation=dilation, bias=False),
                nn.LeakyReLU(0.1),
            ]
        self.path = nn.Sequential(
            *layers, nn.AdaptiveAvgPool1d(8), nn.Flatten(), nn.Linear(8 * width, code, bias=False)
        )

    def forward(self, rows: Rows) -> Float[Tensor, "rows code"]:
        """Points, one for each window."""
        found: Tensor = self.path(rows)
        return found


@dataclass(eq=False, kw_only=True)
class DeepSVDD(Learned):
    """Score: squared distance of a window's image from the centre of a ball around normal ones.

    The centre is the mean image before training, its coordinates at least 0.1 from zero. With
    `nu` the ball has a radius that nu of the windows may lie outside of (the soft boundary:
    `R^2 + mean relu(d - R^2) / nu`); without, the mean distance shrinks.

    Args:
        width: Channels inside.
        code: Numbers that a window becomes.
        nu: Share of training windows outside the ball, or None for one without radius.
        decay: Weight decay.

    Reference:
        Ruff et al., Deep one-class classification, ICML 2018.

    Example:
        >>> wave = np.sin(np.arange(300) / 5)
        >>> DeepSVDD(window=20, steps=5).fit(wave).embed(np.zeros((2, 20, 1))).shape
        (2, 32)
    """

    width: int = 16
    code: int = 32
    nu: float | None = None
    decay: float = 1e-4
    centre: Tensor | None = field(default=None, init=False, repr=False)

    def embed(self, windows: Windows) -> Float[np.ndarray, "windows code"]:
        """Images of windows, for distances.

        Args:
            windows: In the data's unit, of the detector's window.

        Returns:
            One row each.

        Raises:
            UsageError: Not fitted, or windows of another length.
        """
        self._require_fitted()
        if windows.shape[1] != self.size:
            raise UsageError(f"windows must have {self.size} points; they have {windows.shape[1]}")
        assert self.net is not None
        with torch.no_grad(), self._resting():
            found: np.ndarray = self.net(self._rows(windows)).cpu().double().numpy()
        return found

    def _build(self, channels: int) -> nn.Module:
        return SVDDNet(channels, width=self.width, code=self.code)

    def _train(self, windows: Windows) -> None:
        if self.nu is not None and not 0 < self.nu < 1:
            raise UsageError(f"nu must be between 0 and 1, or None; got {self.nu}")
        assert self.net is not None
        rows = self._rows(windows)
        with torch.no_grad():
            centre = self.net(rows[:1024]).mean(0)
        self.centre = torch.where(
            centre.abs() < 0.1, torch.where(centre < 0, -0.1, 0.1).to(centre), centre
        )
        draws = Draws(len(rows), self.batch, "svdd", seed=self.seed)

        def step(model: nn.Module, chosen: Tensor) -> dict[str, Tensor]:
            far = (model(rows[chosen]) - self.centre).square().sum(1)
            weights = sum(p.square().sum() for p in model.parameters())
            losses = {"decay": self.decay / 2 * weights}
            if self.nu is None:
                return {"distance": far.mean(), **losses}
            radius = far.detach().quantile(1 - self.nu)
            return {"outside": (far - radius).relu().mean() / self.nu, **losses}

        self._run(step, draws, steps=self.steps, label="drawing the ball in")

    def _judged(self, rows: Rows) -> Float[Tensor, " rows"]:
        assert self.net is not None
        far: Tensor = (self.net(rows) - self.centre).square().sum(1)
        return far

    def _state(self) -> dict[str, Any]:
        assert self.centre is not None
        return {**super()._state(), "centre": self.centre.cpu()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.centre = state["centre"].to(self.device)
