"""Filters whose curves are principal components, squeezed to what a filter can pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError


class PrincipalComponents(nn.Module):
    """T = (v - min v) / (max v - min v) for each principal component v, and one channel of T = 1.

    Filters cannot be negative, so every component is shifted and scaled to [0, 1]; the constant
    channel measures what was shifted in, and a decoder takes it off again. Without noise these
    channels hold all that the components do: 55.6 dB for nine on Jasper Ridge.

    Warning: with noise they are ill-conditioned. What tells spectra apart is a small difference of
    bright channels, whose photon noise stays. Undone by a plain inverse, nine of them fell to 18.5
    dB, with a condition number of 1,400, in the computation that this library's figures are held
    to; `LMMSE`, which knows the noise, reads about 33 dB, and trained free curves keep 37.6 dB.
    They are a target and a baseline, no design, and never to be used with a plain inverse.

    Args:
        components: v, (components, bands), none of them flat.

    Raises:
        UsageError: Not two-dimensional, not finite, or a flat component, which the constant
            channel is already.

    Reference:
        A. Makarenko et al., "Real-time Hyperspectral Imaging in Hardware via Trained Metasurface
        Encoders", CVPR 2022, whose unsupervised projectors are like principal components; the
        affine map and the constant channel are ours.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bank = PrincipalComponents([[-0.6, 0.0, 0.6]])
        >>> bank(Wavelengths([400.0, 500.0, 600.0])).tolist()
        [[0.0, 0.5, 1.0], [1.0, 1.0, 1.0]]
    """

    components: Tensor

    def __init__(self, components: Any):
        super().__init__()
        found = torch.as_tensor(np.array(components, dtype=np.float64))
        if found.ndim != 2 or not bool(torch.isfinite(found).all()):
            raise UsageError(
                f"components must be finite (components, bands); got {tuple(found.shape)}"
            )
        span = found.amax(dim=1) - found.amin(dim=1)
        if len(span) == 0 or not bool((span > 0).all()):
            raise UsageError("components must be one or more and none flat; leave flat ones out")
        self.register_buffer("components", found)

    @classmethod
    def of(cls, prior: Any, count: int) -> "PrincipalComponents":
        """The strongest components of spectra.

        Args:
            prior: A `SpectralPrior` of training spectra.
            count: Components, from 1 to bands; there is one channel more.

        Returns:
            The bank.

        Raises:
            UsageError: Another count.
        """
        bands = len(prior.mean)
        if not 1 <= count <= bands:
            raise UsageError(f"count={count} must lie from 1 to {bands}, the number of bands")
        axes = torch.linalg.eigh(prior.covariance.to(torch.float64)).eigenvectors
        strongest = axes[:, -count:].flip(1).T
        # an axis has no direction of its own: let its largest entry point up
        most = strongest.gather(1, strongest.abs().argmax(dim=1, keepdim=True))
        return cls((strongest * most.sign()).cpu().numpy())

    @property
    def count(self) -> int:
        """Channels: one more than components."""
        return int(self.components.shape[0]) + 1

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Transmission at the bands.

        Raises:
            UsageError: Another number of bands than components have.
        """
        v = self.components
        if len(wavelengths.nm) != v.shape[1]:
            raise UsageError(
                f"components have {v.shape[1]} bands and are asked for {len(wavelengths.nm)}; "
                "take those of spectra at these wavelengths"
            )
        low, high = v.amin(dim=1, keepdim=True), v.amax(dim=1, keepdim=True)
        return torch.cat([(v - low) / (high - low), torch.ones_like(v[:1])])

    def to_dict(self) -> dict[str, Any]:
        """The components."""
        return {"components": self.components.cpu().numpy()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "PrincipalComponents":
        """The inverse of `to_dict`."""
        return cls(state["components"])
