"""A small DCGAN, trained here on inliers alone."""

from dataclasses import dataclass, field
from math import log2

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from limen._core.errors import UsageError
from limen._core.streams import seed_for, torch_stream
from limen.train.randomness import undisturbed


class Generator(nn.Sequential):
    """Latents to square pictures in [-1, 1], by transposed convolutions that double the side.

    Args:
        latent: Numbers in a latent.
        side: Of the pictures, 4 times a power of two.
        channels: Of the pictures.
        width: Channels before the last layer; twice as many for each layer earlier, at most 8
            times.

    Raises:
        UsageError: `side` is not 8, 16, 32, ...

    Reference:
        Radford, Metz, Chintala, Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks, ICLR 2016.

    Example:
        >>> tuple(Generator(8, side=16, channels=1, width=4)(torch.zeros(2, 8)).shape)
        (2, 1, 16, 16)
    """

    def __init__(self, latent: int = 100, *, side: int = 32, channels: int = 3, width: int = 32):
        wide = _widths(side, width)[::-1]
        layers: list[nn.Module] = [
            nn.Unflatten(1, (latent, 1, 1)),
            nn.ConvTranspose2d(latent, wide[0], 4, bias=False),
        ]
        for before, after in zip(wide, [*wide[1:], channels], strict=True):
            layers += [nn.BatchNorm2d(before), nn.ReLU()]
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)]
        super().__init__(*layers, nn.Tanh())
        self.latent = latent


class Discriminator(nn.Sequential):
    """Square pictures to one logit each, high for real ones.

    Args:
        side: Of the pictures, 4 times a power of two.
        channels: Of the pictures.
        width: Channels after the first layer.

    Raises:
        UsageError: `side` is not 8, 16, 32, ...

    Reference:
        Radford, Metz, Chintala, Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks, ICLR 2016.

    Example:
        >>> tuple(Discriminator(side=16, channels=1, width=4)(torch.zeros(2, 1, 16, 16)).shape)
        (2,)
    """

    def __init__(self, *, side: int = 32, channels: int = 3, width: int = 32):
        wide = _widths(side, width)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip([channels, *wide], wide, strict=False)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=i == 0)]
            layers += [nn.BatchNorm2d(after)] * (i > 0) + [nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(wide[-1], 1, 4), nn.Flatten(0))


@dataclass
class Trained:
    """A trained generator and how it went.

    Attributes:
        generator: In eval mode.
        history: "generator" and "discriminator" loss, and "distances" (correlation of latent with
            picture distances), for each step.

    Example:
        >>> Trained(Generator(width=4)).history
        []
    """

    generator: Generator
    history: list[dict[str, float]] = field(default_factory=list)


def train_gan(
    images: Float[Tensor, "rows channels side side"],
    *,
    steps: int,
    latent: int = 100,
    width: int = 32,
    batch: int = 64,
    rate: float = 2e-4,
    keep_distances: float = 0.0,
    seed: int = 0,
) -> Trained:
    """Train a generator of pictures like `images` against a discriminator.

    Two networks take turns, so `limen.fit`, which takes one gradient step a batch, is not used
    here: a loop by hand, with Adam (betas 0.5 and 0.999) and the non-saturating loss.

    `keep_distances` subtracts the correlation between distances of latents and distances of
    pictures, over the pairs of a batch, from the generator's loss: what is far apart in one should
    be far apart in the other. The idea is ATOL's; the form of its regulariser could not be
    verified, this one is our reading.

    Args:
        images: Inliers in [-1, 1], square.
        steps: Of both networks.
        latent: Numbers in a latent, drawn from N(0, 1).
        width: Of both networks.
        batch: Pictures in a step.
        rate: Learning rate.
        keep_distances: Weight of the correlation, at least 0.
        seed: Of starting weights, order and latents.

    Returns:
        The generator, in eval mode, and its losses.

    Raises:
        UsageError: The pictures are not square or not in [-1, 1], or a number is out of range.

    Reference:
        Radford, Metz, Chintala, Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks, ICLR 2016.

    Example:
        >>> made = train_gan(torch.zeros(8, 1, 8, 8), steps=1, latent=2, width=2, batch=4)
        >>> tuple(made.generator(torch.zeros(3, 2)).shape)
        (3, 1, 8, 8)
    """
    _check(images, steps=steps, batch=batch, keep_distances=keep_distances)
    side, channels = images.shape[-1], images.shape[1]
    with undisturbed():
        torch.manual_seed(seed_for(seed, "gan", "weights"))
        maker = Generator(latent, side=side, channels=channels, width=width).to(images)
        critic = Discriminator(side=side, channels=channels, width=width).to(images)
    stream = torch_stream(seed, "gan", "draws")
    adams = [
        torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.999)) for net in (maker, critic)
    ]
    history = []
    for _ in range(steps):
        real = images[torch.randint(len(images), (batch,), generator=stream).to(images.device)]
        latents = torch.randn(batch, latent, generator=stream).to(images)
        made = maker(latents)
        told = softplus(-critic(real)).mean() + softplus(critic(made.detach())).mean()
        _step(adams[1], told)
        kept = distance_correlation(latents, made)
        fooled = softplus(-critic(made)).mean()
        _step(adams[0], fooled - keep_distances * kept)
        losses = {"generator": fooled, "discriminator": told, "distances": kept}
        history.append({name: loss.item() for name, loss in losses.items()})
    return Trained(maker.eval(), history)


def distance_correlation(
    latents: Float[Tensor, "rows latent"], made: Float[Tensor, "rows ..."]
) -> Float[Tensor, ""]:
    """Correlation of pairwise distances before and after a generator; 1 is a scaled isometry.

    Args:
        latents: z.
        made: G(z).

    Returns:
        From -1 to 1.

    Example:
        >>> z = torch.tensor([[0.0], [1.0], [3.0]])
        >>> round(distance_correlation(z, 5 * z).item(), 5)
        1.0
    """
    ahead = torch.ones(len(latents), len(latents), dtype=torch.bool).triu(1)
    above = ahead.to(latents.device)
    first, second = (_standard(torch.cdist(x, x)[above]) for x in (latents, made.flatten(1)))
    return (first * second).mean()


def _standard(values: Tensor) -> Tensor:
    """With mean 0 and variance 1."""
    return (values - values.mean()) / values.std(correction=0).clamp(min=1e-8)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _widths(side: int, width: int) -> list[int]:
    """Channels after each halving of the side, down to 4.

    Raises:
        UsageError: `side` is not 4 times a power of two.
    """
    layers = round(log2(max(side, 1) / 4))
    if layers < 1 or 4 * 2**layers != side:
        raise UsageError(f"side={side} must be 8, 16, 32, ...")
    return [width * min(2**i, 8) for i in range(layers)]


def _check(images: Tensor, *, steps: int, batch: int, keep_distances: float) -> None:
    """Refuse what cannot be learnt.

    Raises:
        UsageError: So it is.
    """
    if images.ndim != 4 or images.shape[2] != images.shape[3] or images.abs().max() > 1 + 1e-6:
        raise UsageError(
            f"images must be square, in [-1, 1]; got {tuple(images.shape)} with a largest size of "
            f"{images.abs().max().item():g}"
        )
    if steps < 0 or batch < 2 or not keep_distances >= 0:
        raise UsageError(
            f"steps={steps} and keep_distances={keep_distances} must be at least 0, batch={batch} 2"
        )
