"""A variational autoencoder of windows by convolutions over time, with a second, wider sample."""

from math import ceil, log2
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, softplus
from torch.nn.utils.parametrizations import weight_norm

from limen._core.errors import UsageError

PsiMode = Literal["per_dim", "global", "per_sample"]
Noise = Float[Tensor, "rows latent"]

_KERNEL, _CONVS, _POOLED = 3, 2, 16
_RAW = 0.5413248546129181  # ln(e - 1): psi starts at 2


class Posterior(NamedTuple):
    """What the encoder says of windows.

    Attributes:
        mu: Means of the latent numbers.
        log_var: ln sigma^2, within [-10, 4].
        psi: By how much a perturbed sample is wider, at least 1; one row where it is shared.

    Example:
        >>> zero = torch.zeros(1, 1)
        >>> Posterior(zero, zero, zero + 2).sample(zero + 3, widened=True).item()
        6.0
    """

    mu: Float[Tensor, "rows latent"]
    log_var: Float[Tensor, "rows latent"]
    psi: Float[Tensor, "rows_or_one latent_or_one"]

    def sample(self, noise: Noise, *, widened: bool = False, boost: float = 1.0) -> Noise:
        """`mu + sigma noise`, or `mu + boost psi sigma noise`: the mean stays.

        Args:
            noise: From N(0, 1).
            widened: Whether by psi.
            boost: Multiplies psi.

        Returns:
            Latents.
        """
        sigma = (0.5 * self.log_var).exp()
        return self.mu + (boost * self.psi * sigma if widened else sigma) * noise


class Psi(nn.Module):
    """The factor by which perturbed latents are spread: `1 + softplus(raw)`, at first 2.

    Args:
        latent: Latent numbers.
        features: That a window is encoded by.
        mode: "per_dim", one for each latent number; "global", one for all; "per_sample", read off
            each window's features.

    Example:
        >>> Psi(3, 8)(torch.zeros(5, 8)).detach().numpy().round(4)
        array([[2., 2., 2.]], dtype=float32)
    """

    def __init__(self, latent: int, features: int, *, mode: PsiMode = "per_dim"):
        super().__init__()
        self.head: nn.Linear | None = None
        if mode == "per_sample":
            self.head = nn.Linear(features, latent)
            nn.init.zeros_(self.head.weight)
            nn.init.constant_(self.head.bias, _RAW)
        else:
            self.raw = nn.Parameter(torch.full((1, latent if mode == "per_dim" else 1), _RAW))

    def forward(self, features: Float[Tensor, "rows width"]) -> Float[Tensor, "_ _"]:
        """At least 1; a single row where windows share it."""
        return 1 + softplus(self.raw if self.head is None else self.head(features))


class TCN(nn.Module):
    """Causal convolutions over time: residual blocks whose dilation doubles.

    Two weight-normalised convolutions of kernel 3 a block, each with ReLU and dropout. What is at
    time t never depends on later times.

    Args:
        channels: Of the input.
        width: Channels within.
        blocks: How many; `blocks_for(window)` sees a whole window.
        dropout: Share of numbers dropped in training.

    Reference:
        Bai, Kolter, Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent
        Networks for Sequence Modeling, arXiv 1803.01271, 2018.

    Example:
        >>> tuple(TCN(2, width=4, blocks=3)(torch.zeros(1, 2, 10)).shape)
        (1, 4, 10)
    """

    def __init__(self, channels: int, *, width: int, blocks: int, dropout: float = 0.1):
        super().__init__()
        before = [channels] + [width] * (blocks - 1)
        self.blocks = nn.ModuleList(
            _Block(c, width, dilation=2**i, dropout=dropout) for i, c in enumerate(before)
        )

    def forward(self, windows: Float[Tensor, "rows channels time"]) -> Float[Tensor, "rows _ time"]:
        """Features of each point."""
        for block in self.blocks:
            windows = block(windows)
        return windows


class Decoder(nn.Sequential):
    """Latents to windows: a linear map, two transposed convolutions, a linear convolution.

    The output is linear, for data may be negative; nothing leads here from the encoder but the
    latents, for with a shortcut the decoder would copy and noise would have no effect.

    Args:
        latent: Latent numbers.
        channels: Of a window.
        window: Points.
        width: Channels within.

    Example:
        >>> tuple(Decoder(5, 2, window=10, width=4)(torch.zeros(3, 5)).shape)
        (3, 2, 10)
    """

    def __init__(self, latent: int, channels: int, *, window: int, width: int):
        quarter = ceil(window / 4)
        super().__init__(
            nn.Linear(latent, width * quarter),
            nn.Unflatten(1, (width, quarter)),
            nn.ConvTranspose1d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose1d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, channels, 3, padding=1),
        )
        self.window = window

    def forward(self, latents: Noise) -> Float[Tensor, "rows channels time"]:
        """Windows, cropped to length."""
        return super().forward(latents)[..., : self.window]


class TCNVAE(nn.Module):
    """Encodes windows into Gaussians and decodes a narrow and a wide sample of each.

    Args:
        channels: Of a window.
        window: Points.
        width: Channels of all layers.
        latent: Latent numbers.
        psi: What the widening factor belongs to, as in `Psi`.
        dropout: Share of numbers dropped in training.

    Raises:
        UsageError: A number below 1.

    Reference:
        Zamanzadeh Darban et al., GenIAS: Generator for Instantiating Anomalies in time Series,
        arXiv 2502.08262, 2025. Departures: blocks follow the window; time is pooled to 16 steps.

    Example:
        >>> net = TCNVAE(1, window=20, width=4, latent=3)
        >>> copy, perturbed, posterior = net(torch.zeros(2, 1, 20), torch.zeros(2, 3))
        >>> bool((copy == perturbed).all()), tuple(posterior.mu.shape)  # no noise: one mean
        (True, (2, 3))
    """

    def __init__(
        self,
        channels: int,
        *,
        window: int,
        width: int,
        latent: int,
        psi: PsiMode = "per_dim",
        dropout: float = 0.1,
    ):
        super().__init__()
        if min(channels, window, width, latent) < 1:
            raise UsageError(
                "channels, window, width and latent must be 1 or more, got "
                f"{channels}, {window}, {width} and {latent}"
            )
        pooled = min(_POOLED, window)
        self.latent = latent
        self.tcn = TCN(channels, width=width, blocks=blocks_for(window), dropout=dropout)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool1d(pooled), nn.Flatten())
        self.mu = nn.Linear(width * pooled, latent)
        self.log_var = nn.Linear(width * pooled, latent)
        self.psi = Psi(latent, width * pooled, mode=psi)
        self.decoder = Decoder(latent, channels, window=window, width=width)

    def encode(self, windows: Float[Tensor, "rows channels time"]) -> Posterior:
        """Means, log variances and the widening factor.

        Args:
            windows: Scaled windows.
        """
        features = self.pool(self.tcn(windows))
        log_var = self.log_var(features).clamp(-10, 4)
        return Posterior(self.mu(features), log_var, self.psi(features))

    def forward(
        self,
        windows: Float[Tensor, "rows channels time"],
        noise: Noise,
        wide_noise: Noise | None = None,
    ) -> tuple[Tensor, Tensor, Posterior]:
        """Copy, perturbed window and posterior.

        Args:
            windows: Scaled windows.
            noise: From N(0, 1).
            wide_noise: Of the perturbed sample; None shares `noise`.
        """
        seen = self.encode(windows)
        wide = seen.sample(noise if wide_noise is None else wide_noise, widened=True)
        return self.decoder(seen.sample(noise)), self.decoder(wide), seen


def blocks_for(window: int) -> int:
    """The fewest residual blocks that see a whole window.

    Args:
        window: Points.

    Returns:
        At least 1.

    Example:
        >>> blocks_for(200), blocks_for(5)
        (6, 1)
    """
    return max(1, ceil(log2(1 + (window - 1) / (_CONVS * (_KERNEL - 1)))))


def receptive_field(blocks: int, *, convs: int = _CONVS, kernel: int = _KERNEL) -> int:
    """Points that a TCN's last output depends on: `1 + convs (kernel - 1) (2^blocks - 1)`.

    Args:
        blocks: Residual blocks, their dilation doubling from 1.
        convs: Convolutions in a block.
        kernel: Of each.

    Returns:
        Points.

    Example:
        >>> receptive_field(3), receptive_field(6)
        (29, 253)
    """
    return 1 + convs * (kernel - 1) * (2**blocks - 1)


class _Block(nn.Module):
    """Two causal convolutions beside a shortcut."""

    def __init__(self, before: int, after: int, *, dilation: int, dropout: float):
        super().__init__()
        self.past = (_KERNEL - 1) * dilation
        self.first = weight_norm(nn.Conv1d(before, after, _KERNEL, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(after, after, _KERNEL, dilation=dilation))
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Identity() if before == after else nn.Conv1d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dropout(self.first(pad(x, (self.past, 0))).relu())
        inner = self.dropout(self.second(pad(inner, (self.past, 0))).relu())
        return (inner + self.shortcut(x)).relu()
