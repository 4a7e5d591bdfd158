"""Filters by their curves: free, or a bank of peaks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen._core.streams import torch_stream


class FreeForm(nn.Module):
    """A transmission for every channel and band, sigmoid(z); the bound on what filters can do.

    No film need have these curves. `roughness` is what to add to a loss for smooth ones.

    Args:
        logits: z, (channels, bands), for as many bands as the wavelengths have.

    Raises:
        UsageError: Not two-dimensional, or not finite.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> FreeForm(np.zeros((1, 2)))(Wavelengths([400.0, 500.0])).tolist()
        [[0.5, 0.5]]
    """

    def __init__(self, logits: Any):
        super().__init__()
        found = torch.as_tensor(np.array(logits, dtype=np.float64))
        if found.ndim != 2 or not torch.isfinite(found).all():
            raise UsageError(f"logits must be finite (channels, bands); got {tuple(found.shape)}")
        self.logits = nn.Parameter(found)

    @classmethod
    def random(cls, channels: int, bands: int, *, seed: int, scale: float = 1.0) -> "FreeForm":
        """Curves drawn at random.

        Args:
            channels: How many.
            bands: Of the wavelengths they will be asked at.
            seed: Of the draw.
            scale: Standard deviation of z.

        Returns:
            The bank.
        """
        found = cls(np.zeros((channels, bands)))
        found.redraw_(seed, scale=scale)
        return found

    @property
    def count(self) -> int:
        """Channels."""
        return int(self.logits.shape[0])

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Transmission at the bands.

        Raises:
            UsageError: Another number of bands than curves have.
        """
        if len(wavelengths.nm) != self.logits.shape[1]:
            raise UsageError(
                f"free-form filters have {self.logits.shape[1]} bands and are asked for "
                f"{len(wavelengths.nm)}; make them for these wavelengths"
            )
        return self.logits.sigmoid()

    @torch.no_grad()
    def redraw_(self, seed: int, *, scale: float = 1.0) -> None:
        """Draw the curves at random, as `random` does.

        Args:
            seed: Of the draw.
            scale: Standard deviation of z.
        """
        stream = torch_stream(seed, "free-form filters")
        drawn = torch.randn(self.logits.shape, generator=stream, dtype=torch.float64)
        self.logits.copy_(scale * drawn)

    def roughness(self) -> Tensor:
        """Mean squared second difference of the curves over the bands; 0 for straight ones."""
        return self.logits.sigmoid().diff(n=2).square().mean()

    def to_dict(self) -> dict[str, Any]:
        """The logits."""
        return {"logits": self.logits.detach().cpu().numpy()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "FreeForm":
        """The inverse of `to_dict`."""
        return cls(state["logits"])


class _Peaks(nn.Module):
    """Peaks with a centre, a width at half height and a height for each channel."""

    def __init__(self, centres: Any, widths: Any, heights: Any = 1.0):
        super().__init__()
        parts = [np.array(part, dtype=np.float64) for part in (centres, widths, heights)]
        try:
            centre, width, height = np.broadcast_arrays(*parts)
        except ValueError:
            shapes = ", ".join(str(part.shape) for part in parts)
            raise UsageError(
                f"centres, widths and heights must fit one another: {shapes}"
            ) from None
        good = np.isfinite(centre).all() and (width > 0).all() and np.isfinite(width).all()
        if centre.ndim != 1 or not centre.size or not good or height.min() < 0 or height.max() > 1:
            raise UsageError("peaks need a centre each, widths above 0 nm and heights in [0, 1]")
        self.centres = nn.Parameter(torch.from_numpy(centre.copy()))
        self.widths = nn.Parameter(torch.from_numpy(width.copy()))
        self.heights = nn.Parameter(torch.from_numpy(height.copy()))

    @property
    def count(self) -> int:
        """Channels."""
        return len(self.centres)

    def _away(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Distance of each band from each centre, in half widths."""
        nm = torch.as_tensor(np.array(wavelengths.nm)).to(self.centres)
        return 2 * (nm - self.centres[:, None]) / self.widths[:, None]

    @torch.no_grad()
    def clamp_(self) -> None:
        """Widths stay above 1 nm and heights in [0, 1]."""
        self.widths.clamp_(min=1.0)
        self.heights.clamp_(0.0, 1.0)

    @torch.no_grad()
    def redraw_(self, seed: int) -> None:
        """Draw centres evenly over the span they have now, widths from half to twice their mean.

        Args:
            seed: Of the draw.
        """
        stream = torch_stream(seed, "peaks")
        drawn = torch.rand(2, self.count, generator=stream, dtype=torch.float64)
        low, high = self.centres.min(), self.centres.max()
        self.centres.copy_(low + (high - low) * drawn[0].to(low))
        self.widths.copy_(self.widths.mean() * torch.exp2(2 * drawn[1].to(low) - 1))

    def to_dict(self) -> dict[str, Any]:
        """Centres, widths and heights."""
        return {name: part.detach().cpu().numpy() for name, part in self.named_parameters()}


class Gaussians(_Peaks):
    """A bank of Gaussian peaks, `h exp(-4 ln 2 (l - c)^2 / w^2)`; w is the full width at h / 2.

    Args:
        centres: c in nm, one for each channel.
        widths: w in nm, above 0; one for all or for each.
        heights: h in [0, 1]; one for all or for each.

    Raises:
        UsageError: A value out of range, or shapes that do not fit.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> Gaussians([500.0], 40.0)(Wavelengths([500.0, 520.0])).tolist()
        [[1.0, 0.5]]
    """

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Gaussians":
        """The inverse of `to_dict`."""
        return cls(state["centres"], state["widths"], state["heights"])

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Transmission at the bands."""
        return self.heights[:, None] * (torch.exp2(-(self._away(wavelengths) ** 2)))


class Lorentzians(_Peaks):
    """A bank of Lorentzian peaks, `h / (1 + 4 (l - c)^2 / w^2)`, as of single resonances.

    Args:
        centres: c in nm, one for each channel.
        widths: w in nm, above 0; one for all or for each.
        heights: h in [0, 1]; one for all or for each.

    Raises:
        UsageError: A value out of range, or shapes that do not fit.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> Lorentzians([500.0], 40.0)(Wavelengths([500.0, 520.0, 540.0])).tolist()
        [[1.0, 0.5, 0.2]]
    """

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Lorentzians":
        """The inverse of `to_dict`."""
        return cls(state["centres"], state["widths"], state["heights"])

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """Transmission at the bands."""
        return self.heights[:, None] * (1 / (1 + self._away(wavelengths) ** 2))
