"""A transformer whose tokens are planes: attention from band to band, not place to place."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen.spectral.codec.pad import padded


class SpectralTransformer(nn.Module):
    """Cascaded U-shaped stages of spectral-wise attention, whose cost is linear in the pixels.

    Each head attends among `width` features with a (width x width) matrix from normalised queries
    and keys over all pixels, so memory does not grow with the square of the frame.

    Args:
        channels: Planes in.
        outputs: Planes out: bands, any number.
        width: Features of a head and of the first level; 31 as published.
        stages: Cascaded stages; 3 as published.

    Reference:
        Cai et al., "MST++: Multi-stage Spectral-wise Transformer for Efficient Spectral
        Reconstruction", CVPR Workshops, 2022. Planes in and out are free here; the published
        network has 3 and 31.

    Example:
        >>> net = SpectralTransformer(9, 34, width=4, stages=1)
        >>> net(torch.zeros(1, 9, 6, 11)).shape
        torch.Size([1, 34, 6, 11])
    """

    def __init__(self, channels: int, outputs: int, *, width: int = 31, stages: int = 3) -> None:
        super().__init__()
        self.config = {
            "channels": channels,
            "outputs": outputs,
            "width": width,
            "stages": stages,
        }
        self.into = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.stages = nn.Sequential(*(_Stage(width) for _ in range(stages)))
        self.out = nn.Conv2d(width, outputs, 3, padding=1, bias=False)

    def forward(self, image: Float[Tensor, "batch channels y x"]) -> Float[Tensor, "batch out y x"]:
        """The planes out, of the frame's own size."""
        height, width = image.shape[-2:]
        start = self.into(padded(image, 8))
        return self.out(self.stages(start) + start)[..., :height, :width]

    def to_dict(self) -> dict[str, Any]:
        """Sizes and weights."""
        return {"config": self.config, "state": dict(self.state_dict())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SpectralTransformer":
        """The inverse of `to_dict`."""
        found = cls(**data["config"])
        found.load_state_dict(data["state"])
        return found


class _Stage(nn.Module):
    """One U: two halvings, a block at each level, and the stage's input added at its end."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.into = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.before = nn.ModuleList(_Block(width, heads) for heads in (1, 2))
        self.shrink = nn.ModuleList(
            nn.Conv2d(n * width, 2 * n * width, 4, stride=2, padding=1, bias=False) for n in (1, 2)
        )
        self.middle = _Block(width, 4)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(2 * n * width, n * width, 2, stride=2) for n in (2, 1)
        )
        self.fuse = nn.ModuleList(
            nn.Conv2d(2 * n * width, n * width, 1, bias=False) for n in (2, 1)
        )
        self.after = nn.ModuleList(_Block(width, heads) for heads in (2, 1))
        self.out = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        x, kept = self.into(image), []
        for block, shrink in zip(self.before, self.shrink, strict=True):
            x = block(x)
            kept.append(x)
            x = shrink(x)
        x = self.middle(x)
        for grow, fuse, block in zip(self.grow, self.fuse, self.after, strict=True):
            x = block(fuse(torch.cat([grow(x), kept.pop()], dim=1)))
        return self.out(x) + image


class _Block(nn.Module):
    """Attention among planes, then a feed-forward with a depth-wise convolution inside."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        whole = width * heads
        self.heads = heads
        self.ask = nn.Conv2d(whole, 3 * whole, 1, bias=False)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.answer = nn.Conv2d(whole, whole, 1)
        self.place = nn.Sequential(_depthwise(whole), nn.GELU(), _depthwise(whole))
        self.norm = nn.LayerNorm(whole)
        self.feed = nn.Sequential(
            nn.Conv2d(whole, 4 * whole, 1, bias=False),
            nn.GELU(),
            _depthwise(4 * whole),
            nn.GELU(),
            nn.Conv2d(4 * whole, whole, 1, bias=False),
        )

    def forward(self, image: Tensor) -> Tensor:
        batch, whole, height, width = image.shape
        q, k, v = self.ask(image).chunk(3, dim=1)
        flat = (batch, self.heads, whole // self.heads, height * width)
        q, k = (nn.functional.normalize(part.reshape(flat), dim=-1) for part in (q, k))
        match = (k @ q.transpose(-1, -2) * self.temperature).softmax(dim=-1)
        mixed = (match @ v.reshape(flat)).reshape(image.shape)
        x = image + self.answer(mixed) + self.place(v)
        return x + self.feed(self.norm(x.movedim(1, -1)).movedim(-1, 1))


def _depthwise(planes: int) -> nn.Conv2d:
    return nn.Conv2d(planes, planes, 3, padding=1, groups=planes, bias=False)
