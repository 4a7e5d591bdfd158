"""A U-Net: planes to planes, seeing far by halving the frame and near by skipping over it."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen.spectral.codec.pad import padded


class UNet(nn.Module):
    """Encoder, bottleneck and decoder of double 3 x 3 convolutions; channels to bands or classes.

    Args:
        channels: Planes in.
        outputs: Planes out: bands, or classes.
        width: Features of the first level; each level below has twice as many.
        levels: Halvings, at least 1.

    Reference:
        Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
        Segmentation", MICCAI, 2015. With batch normalisation and zero padding, so that frames keep
        their size; the published default of four levels starts at 64 features, ours at 32.

    Example:
        >>> UNet(9, 7, width=4, levels=2)(torch.zeros(2, 9, 10, 13)).shape
        torch.Size([2, 7, 10, 13])
    """

    def __init__(self, channels: int, outputs: int, *, width: int = 32, levels: int = 4) -> None:
        super().__init__()
        self.config = {
            "channels": channels,
            "outputs": outputs,
            "width": width,
            "levels": levels,
        }
        widths = [width * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            _double(a, b) for a, b in zip([channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1])
        )
        self.join = nn.ModuleList(_double(2 * w, w) for w in reversed(widths[:-1]))
        self.out = nn.Conv2d(width, outputs, 1)

    def forward(self, image: Float[Tensor, "batch channels y x"]) -> Float[Tensor, "batch out y x"]:
        """The planes out, of the frame's own size."""
        height, width = image.shape[-2:]
        x = padded(image, 2 ** len(self.up))
        kept = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        kept.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), kept.pop()], dim=1))
        return self.out(x)[..., :height, :width]

    def to_dict(self) -> dict[str, Any]:
        """Sizes and weights."""
        return {"config": self.config, "state": dict(self.state_dict())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "UNet":
        """The inverse of `to_dict`."""
        found = cls(**data["config"])
        found.load_state_dict(data["state"])
        return found


def _double(into: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (into, out):
        layers += [nn.Conv2d(source, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)
