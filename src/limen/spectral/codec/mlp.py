"""A small network for each pixel on its own."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class PixelMLP(nn.Module):
    """Channels -> width -> width -> outputs at each pixel, the same weights everywhere.

    Args:
        channels: Planes in.
        outputs: Planes out: bands, or classes.
        width: Hidden units.

    Example:
        >>> import torch
        >>> PixelMLP(9, 34)(torch.zeros(1, 9, 4, 5)).shape
        torch.Size([1, 34, 4, 5])
    """

    def __init__(self, channels: int, outputs: int, *, width: int = 64) -> None:
        super().__init__()
        self.config = {"channels": channels, "outputs": outputs, "width": width}
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
            nn.GELU(),
            nn.Conv2d(width, outputs, 1),
        )

    def forward(self, image: Float[Tensor, "batch channels y x"]) -> Float[Tensor, "batch out y x"]:
        """Each pixel through the layers."""
        return self.layers(image)

    def to_dict(self) -> dict[str, Any]:
        """Sizes and weights."""
        return {"config": self.config, "state": dict(self.state_dict())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "PixelMLP":
        """The inverse of `to_dict`."""
        found = cls(**data["config"])
        found.load_state_dict(data["state"])
        return found
