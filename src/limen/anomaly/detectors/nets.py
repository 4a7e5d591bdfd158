"""Networks over time for the learned detectors; inputs are (rows, channels, time)."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ResNetTime(nn.Module):
    """CARLA's encoder: three residual blocks over time, then the mean over time.

    Each block has three convolutions of 8, 5 and 3 points, batch norm and ReLU after each. As
    released, a block has a shortcut only where the number of channels changes, so that the third
    has none, and no ReLU follows the sum.

    Args:
        channels: Of the series.
        width: m; the blocks have m, 2m and 2m channels, and a window becomes 2m features.

    Reference:
        Zamanzadeh Darban et al., CARLA: Self-supervised contrastive representation learning for
        time series anomaly detection, Pattern Recognition 157, 2025, as in its released code.

    Example:
        >>> tuple(ResNetTime(3)(torch.zeros(2, 3, 20)).shape)
        (2, 8)
    """

    def __init__(self, channels: int, *, width: int = 4):
        super().__init__()
        sizes = (channels, width, 2 * width, 2 * width)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in pairwise(sizes)))
        self.features = 2 * width

    def forward(self, rows: Float[Tensor, "rows channels time"]) -> Float[Tensor, "rows features"]:
        """Features of windows."""
        found: Tensor = self.blocks(rows).mean(2)
        return found


class _Block(nn.Module):
    def __init__(self, before: int, after: int):
        super().__init__()
        layers: list[nn.Module] = []
        for first, kernel in ((before, 8), (after, 5), (after, 3)):
            layers += [
                nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0),
                nn.Conv1d(first, after, kernel),
                nn.BatchNorm1d(after),
                nn.ReLU(),
            ]
        self.path = nn.Sequential(*layers)
        self.short = (
            nn.Sequential(nn.Conv1d(before, after, 1), nn.BatchNorm1d(after))
            if before != after
            else None
        )

    def forward(self, rows: Tensor) -> Tensor:
        path: Tensor = self.path(rows)
        return path if self.short is None else path + self.short(rows)


class Dilated(nn.Module):
    """Residual convolutions over time whose dilation doubles until they see the whole window.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        window: Points that the output at the last one depends on, at least.
        width: Channels inside.
        causal: Whether an output depends on its own and earlier points only.

    Reference:
        Bai, Kolter, Koltun, An empirical evaluation of generic convolutional and recurrent
        networks for sequence modeling, 2018.

    Example:
        >>> tuple(Dilated(2, 5, window=20, width=4)(torch.zeros(3, 2, 20)).shape)
        (3, 5, 20)
    """

    def __init__(self, before: int, after: int, *, window: int, width: int, causal: bool = True):
        super().__init__()
        reach, dilation = 1, 1
        self.enter, self.leave = nn.Conv1d(before, width, 1), nn.Conv1d(width, after, 1)
        self.paths = nn.ModuleList()
        self.pads: list[tuple[int, int]] = []
        while reach < window or not self.pads:
            self.paths.append(nn.Conv1d(width, width, 3, dilation=dilation))
            self.pads.append((2 * dilation, 0) if causal else (dilation, dilation))
            reach, dilation = reach + 2 * dilation, 2 * dilation

    def forward(self, rows: Float[Tensor, "rows before time"]) -> Float[Tensor, "rows after time"]:
        """The outputs at every point."""
        found: Tensor = self.enter(rows)
        for path, pad in zip(self.paths, self.pads, strict=True):
            found = found + torch.relu(path(nn.functional.pad(found, pad)))
        out: Tensor = self.leave(found)
        return out


class AutoEncoderNet(nn.Module):
    """A window through a narrow code and back.

    Args:
        channels: Of the series.
        window: Points.
        width: Channels inside.
        code: Numbers in the code.

    Example:
        >>> tuple(AutoEncoderNet(2, window=12, width=4, code=3)(torch.zeros(5, 2, 12)).shape)
        (5, 2, 12)
    """

    def __init__(self, channels: int, *, window: int, width: int, code: int):
        super().__init__()
        coarse = min(window, 16)
        self.inside = Dilated(channels, width, window=window, width=width, causal=False)
        self.narrow = nn.Sequential(
            nn.AdaptiveAvgPool1d(coarse), nn.Flatten(), nn.Linear(width * coarse, code)
        )
        self.wide = nn.Sequential(
            nn.Linear(code, width * coarse), nn.Unflatten(1, (width, coarse)),
            nn.Upsample(window, mode="linear"),
        )  # fmt: skip
        self.outside = Dilated(width, channels, window=window, width=width, causal=False)

    def forward(
        self, rows: Float[Tensor, "rows channels time"]
    ) -> Float[Tensor, "rows channels time"]:
        """The windows as they come back."""
        found: Tensor = self.outside(self.wide(self.narrow(self.inside(rows))))
        return found
