"""Generated pictures on the scale that a network was trained on."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Normalised(nn.Module):
    """A generator's pictures, from [low, high] to [0, 1] and then to `(x - mean) / std`.

    A tanh ends in [-1, 1], while networks usually see pictures normalised by channel; left alone,
    the gap of contrast and offset gives generated rows away.

    Args:
        generator: Latents to pictures in [low, high].
        mean: Of each channel, on the scale of [0, 1].
        std: Of each channel, positive.
        low: What black is to the generator.
        high: What white is.

    Example:
        >>> generator = Normalised(lambda z: z.view(1, 1, 1, 1), [0.5], [0.25])
        >>> generator(torch.tensor([[1.0]])).item()  # white is (1 - 0.5) / 0.25
        2.0
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        generator: Callable[[Tensor], Tensor],
        mean: list[float] | tuple[float, ...],
        std: list[float] | tuple[float, ...],
        *,
        low: float = -1.0,
        high: float = 1.0,
    ):
        super().__init__()
        self.generator, self.low, self.high = generator, low, high
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(
        self, latents: Float[Tensor, "rows width"]
    ) -> Float[Tensor, "rows channels height wide"]:
        """Pictures as the network sees them.

        Args:
            latents: What the generator takes.

        Returns:
            One picture for each.
        """
        unit = (self.generator(latents) - self.low) / (self.high - self.low)
        return (unit - self.mean.to(unit)) / self.std.to(unit)
