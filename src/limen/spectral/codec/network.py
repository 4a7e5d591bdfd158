"""A network that corrects LMMSE, learnt from noisy captures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError, nearest
from limen._core.streams import torch_stream
from limen.run.files import packed, unpacked
from limen.spectral.codec.lmmse import LMMSE

LOSSES = ("mse", "mrae")


class Network:
    """x = LMMSE(s) + scale net((s - mean) / spread): a network adds what affine decoding misses.

    The last layer starts at 0, so decoding starts where the closed form ends.

    Args:
        net: `PixelMLP`, `UNet` or `SpectralTransformer` of the camera's channels and the bands.
        steps: Steps of Adam, at least 1; the rate falls from `lr` to 0 along a cosine.
        batch: Crops a step, at least 1.
        patch: Side of a crop in super-pixels, at least 1; larger frames are cropped at random.
        lr: Rate at the start, above 0.
        loss: "mse", or "mrae" as published for MST++, the mean of abs(x - y) / max(x, floor).
        floor: Where mrae stops dividing by smaller truths: without it dark pixels rule the loss.

    Raises:
        UsageError: An unknown loss, or a number out of range.

    Example:
        >>> from limen.spectral.codec.mlp import PixelMLP
        >>> Network(PixelMLP(9, 34), steps=5).steps
        5
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        steps: int = 2000,
        batch: int = 8,
        patch: int = 32,
        lr: float = 4e-4,
        loss: str = "mse",
        floor: float = 1e-3,
    ) -> None:
        if loss not in LOSSES:
            raise UsageError(
                f"loss must be one of {', '.join(LOSSES)}, got {loss!r}; "
                f"did you mean {nearest(loss, LOSSES, count=1)}?"
            )
        if min(steps, batch, patch) < 1 or not lr > 0 or not floor > 0:
            raise UsageError(
                f"steps, batch and patch must be at least 1 and lr and floor above 0, got "
                f"{steps}, {batch}, {patch}, {lr}, {floor}; mend them"
            )
        self.net = net
        self.steps, self.batch, self.patch, self.lr = steps, batch, patch, lr
        self.loss, self.floor = loss, floor
        self.start = LMMSE()
        self.scales: dict[str, Tensor] = {}

    def learn(
        self,
        pairs: Sequence[
            tuple[Float[np.ndarray, "*lead y x channels"], Float[np.ndarray, "*lead y x bands"]]
        ],
        *,
        seed: int,
    ) -> "Network":
        """Learn the correction from channels and the spectra they came from.

        Args:
            pairs: Noisy channels and truths, one pair a recording of the training split.
            seed: Of the crops and their order.

        Returns:
            self.

        Raises:
            UsageError: A net of other channels or bands.
            WorkError: The loss is no longer finite.
        """
        frames = [_frames(channels, truth) for channels, truth in pairs]
        codes = torch.cat([c.flatten(2).movedim(1, -1).flatten(0, 1) for c, _ in frames])
        truths = torch.cat([t.flatten(2).movedim(1, -1).flatten(0, 1) for _, t in frames])
        self.scales = {
            "mean": codes.mean(0),
            "spread": codes.std(0).clamp_min(1e-6),
            "scale": (truths - self.start(codes)).std().clamp_min(1e-9),
        }
        _fits(self.net, codes.shape[1], truths.shape[1])
        last = [m for m in self.net.modules() if isinstance(m, nn.Conv2d)][-1]
        last = getattr(self.net, "out", last)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        optimiser = torch.optim.Adam(self.net.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        draw = torch_stream(seed, "crops")
        self.net.train()
        for step in range(self.steps):
            code, truth = self._crops(frames, draw)
            optimiser.zero_grad()
            value = self._loss(self._decoded(code), truth)
            if not bool(torch.isfinite(value.detach())):
                raise WorkError(f"the loss must stay finite, and did not at step {step}; lower lr")
            value.backward()
            optimiser.step()
            schedule.step()
        self.net.eval()
        return self

    def __call__(self, signal: Float[Tensor, "*lead y x channels"]) -> Float[Tensor, "*out"]:
        """Spectra from channels, in evaluation mode.

        Args:
            signal: Encoded light (..., y, x, channel).

        Returns:
            Spectra (..., y, x, band).

        Raises:
            UsageError: Not learnt yet.
        """
        if not self.scales:
            raise UsageError("Network must learn before it decodes; fit its Codec first")
        lead = signal.shape[:-3]
        frames = signal.reshape(-1, *signal.shape[-3:]).movedim(-1, 1)
        self.net.eval()
        spectra = self._decoded(frames).movedim(1, -1)
        return spectra.reshape(*lead, *spectra.shape[1:])

    def to_dict(self) -> dict[str, Any]:
        """Settings, weights and scales."""
        names = ("steps", "batch", "patch", "lr", "loss", "floor")
        return {
            "net": packed(self.net),  # type: ignore[arg-type]
            "settings": {name: getattr(self, name) for name in names},
            "start": self.start.to_dict(),
            "scales": self.scales,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Network":
        """The inverse of `to_dict`."""
        found = cls(unpacked(data["net"]), **data["settings"])
        found.start = LMMSE.from_dict(data["start"])
        found.scales = dict(data["scales"])
        return found

    def _decoded(self, code: Tensor) -> Tensor:
        mean, spread = (self.scales[n].to(code)[:, None, None] for n in ("mean", "spread"))
        base = self.start(code.movedim(1, -1)).movedim(-1, 1)
        return base + self.scales["scale"].to(code) * self.net((code - mean) / spread)

    def _loss(self, guess: Tensor, truth: Tensor) -> Tensor:
        if self.loss == "mse":
            # in units of what LMMSE leaves, so that one lr serves dim and bright scenes
            return ((guess - truth) / self.scales["scale"]).square().mean()
        return ((guess - truth).abs() / truth.clamp_min(self.floor)).mean()

    def _crops(
        self, frames: list[tuple[Tensor, Tensor]], draw: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Crops of one recording, from random places, with random flips."""

        def below(high: int) -> int:
            return int(torch.randint(high, (1,), generator=draw))

        code, truth = frames[below(len(frames))]
        height, width = (min(self.patch, side) for side in code.shape[-2:])
        codes: list[Tensor] = []
        truths: list[Tensor] = []
        for _ in range(self.batch):
            n = below(len(code))
            y, x = below(code.shape[-2] - height + 1), below(code.shape[-1] - width + 1)
            flips = [axis for axis in (1, 2) if below(2)]
            for store, source in ((codes, code), (truths, truth)):
                store.append(source[n, :, y : y + height, x : x + width].flip(flips))
        return torch.stack(codes), torch.stack(truths)


def _frames(channels: np.ndarray, truth: np.ndarray) -> tuple[Tensor, Tensor]:
    found = []
    for values in (channels, truth):
        tensor = torch.as_tensor(values, dtype=torch.float32)
        found.append(tensor.reshape(-1, *tensor.shape[-3:]).movedim(-1, 1).contiguous())
    return found[0], found[1]


@torch.no_grad()
def _fits(net: nn.Module, channels: int, bands: int) -> None:
    net.eval()  # a net for another camera is refused before any work
    try:
        planes = net(torch.zeros(1, channels, 8, 8)).shape[1]
    except RuntimeError:
        planes = -1
    if planes != bands:
        raise UsageError(f"net must take {channels} channels and give {bands} bands; make it anew")
