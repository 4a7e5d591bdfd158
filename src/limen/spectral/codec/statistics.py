"""What is known of spectra before any is measured: their mean and covariance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError


@dataclass(frozen=True, eq=False)
class SpectralPrior:
    """Mean and covariance of training spectra, in float64.

    Attributes:
        mean: Mean spectrum.
        covariance: Covariance, divided by the number of spectra.

    Example:
        >>> prior = SpectralPrior.of(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
        >>> prior.mean.tolist(), prior.covariance.tolist()
        ([1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    mean: Float[Tensor, " bands"]
    covariance: Float[Tensor, "bands bands"]

    @classmethod
    def of(cls, spectra: Any) -> "SpectralPrior":
        """The statistics of spectra, bands last.

        Args:
            spectra: An array or tensor of at least one spectrum.

        Returns:
            The prior.

        Raises:
            UsageError: No spectrum, or numbers that are not finite.
        """
        flat = torch.as_tensor(spectra).to(torch.float64)
        flat = flat.reshape(-1, flat.shape[-1])
        if len(flat) == 0 or not bool(torch.isfinite(flat).all()):
            raise UsageError(
                f"spectra must be finite and at least one, got {tuple(flat.shape)}; mask the rest"
            )
        mean = flat.mean(dim=0)
        centred = flat - mean
        return cls(mean, centred.T @ centred / len(flat))

    def to_dict(self) -> dict[str, Any]:
        """Both tensors."""
        return {"mean": self.mean, "covariance": self.covariance}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SpectralPrior":
        """The inverse of `to_dict`."""
        return cls(data["mean"], data["covariance"])


def channel_noise(
    matrix: Float[Tensor, "channels bands"],
    prior: SpectralPrior,
    *,
    gain: Any,
    noise: Any,
    bits: int | None,
) -> Float[Tensor, " channels"]:
    """Variance of each channel in units of light: (g A mu + dark + read^2 + K^2/12) / g^2.

    The photon noise is that of the mean spectrum, and the frozen pattern of gains adds
    (PRNU A mu)^2 and that of offsets (DSNU / g)^2.

    Args:
        matrix: The encoding matrix A.
        prior: Statistics of the spectra.
        gain: Electrons for each unit of A l.
        noise: The sensor's noise.
        bits: Depth of the digitiser, None for none.

    Returns:
        One variance a channel, differentiable in `matrix` and `gain`.

    Example:
        >>> from limen.spectral.camera.noise import Noise
        >>> prior = SpectralPrior.of(torch.ones(1, 2))
        >>> quiet = Noise(read=0.0, prnu=0.0, dsnu=0.0)
        >>> channel_noise(torch.full((1, 2), 0.5), prior, gain=100.0, noise=quiet, bits=None)
        tensor([0.0100], dtype=torch.float64)
    """
    level = (matrix.to(torch.float64) @ prior.mean.to(matrix.device)).clamp_min(0)
    electrons = noise.variance(gain * level + noise.dark, bits=bits) + noise.dsnu**2
    return electrons / gain**2 + (noise.prnu * level) ** 2
