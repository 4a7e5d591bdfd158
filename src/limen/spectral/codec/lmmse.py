"""The best affine decoder: linear minimum mean squared error, in closed form."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.spectral.codec.statistics import SpectralPrior


class LMMSE:
    """x = mu + C_x A^T (A C_x A^T + C_n)^-1 (s - A mu): the least squared error of affine maps.

    Needs the mean and covariance of spectra and the noise of the channels, nothing to train; for
    Gaussian statistics no decoder at all is better. 2 k B operations a pixel.

    Args:
        ridge: Added to the diagonal of A C_x A^T + C_n, as a share of its mean, at least 0; keeps
            a noise-free problem with repeated channels solvable.

    Raises:
        UsageError: A negative ridge.

    Example:
        >>> prior = SpectralPrior(torch.zeros(2), torch.eye(2))
        >>> decoder = LMMSE().fit(prior, torch.tensor([[1.0, 0.0]]), variance=torch.tensor([1.0]))
        >>> decoder(torch.tensor([1.0])).tolist()  # half: signal and noise weigh the same
        [0.5, 0.0]
    """

    def __init__(self, *, ridge: float = 0.0) -> None:
        if not ridge >= 0:
            raise UsageError(f"ridge must be at least 0, got {ridge}; leave it out for none")
        self.ridge = ridge
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None

    def fit(
        self,
        prior: SpectralPrior,
        matrix: Float[Tensor, "channels bands"],
        *,
        variance: Float[Tensor, " channels"],
    ) -> "LMMSE":
        """Solve for the map, in float64.

        Args:
            prior: Statistics of training spectra.
            matrix: The encoding matrix A.
            variance: Noise variance of each channel in units of light, at least 0.

        Returns:
            self.

        Raises:
            UsageError: Another number of bands or channels, a matrix that is not finite, or a
                negative variance.
        """
        bands = len(prior.mean)
        if matrix.shape[1] != bands or len(variance) != len(matrix):
            raise UsageError(
                f"matrix must be ({len(variance)}, {bands}) as variance and prior say, got "
                f"{tuple(matrix.shape)}; evaluate it at the prior's bands"
            )
        if not bool(torch.isfinite(matrix).all()) or not bool((variance >= 0).all()):
            raise UsageError("matrix must be finite and variance at least 0; mend the filters")
        a, c = matrix.detach().to(torch.float64), prior.covariance.to(torch.float64)
        mean = prior.mean.to(torch.float64)
        cross = c @ a.T
        inner = a @ cross + torch.diag(variance.detach().to(torch.float64))
        inner = inner + self.ridge * inner.diagonal().mean() * torch.eye(len(a)).to(inner)
        # least squares, not inverse: without noise and with repeated channels `inner` is singular
        self.weight = cross @ torch.linalg.pinv(inner, hermitian=True, rtol=1e-14)
        self.bias = mean - self.weight @ (a @ mean)
        return self

    def __call__(self, signal: Float[Tensor, "*lead channels"]) -> Float[Tensor, "*lead bands"]:
        """Spectra from channels.

        Args:
            signal: Encoded light, channels last.

        Returns:
            Spectra in the signal's precision; noise may leave them below zero.

        Raises:
            UsageError: Not fitted yet, or another number of channels.
        """
        if self.weight is None or self.bias is None:
            raise UsageError("LMMSE must be fitted before it decodes; call fit first")
        if signal.shape[-1] != self.weight.shape[1]:
            raise UsageError(
                f"signal must have {self.weight.shape[1]} channels, got {signal.shape[-1]}"
            )
        return signal @ self.weight.to(signal).T + self.bias.to(signal)

    def to_dict(self) -> dict[str, Any]:
        """The map."""
        return {"ridge": self.ridge, "weight": self.weight, "bias": self.bias}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LMMSE":
        """The inverse of `to_dict`."""
        found = cls(ridge=float(data["ridge"]))
        found.weight, found.bias = data["weight"], data["bias"]
        return found
