"""Filters that were measured rather than designed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError


class MeasuredFilters(nn.Module):
    """Curves on their own wavelengths, interpolated linearly; nothing to train, nothing guessed.

    What a spectrometer or `recover_response` gives about a camera that exists.

    Args:
        nm: Wavelengths of the curves in nm, strictly increasing, at least 2.
        curves: Transmission at them, in [0, 1].

    Raises:
        UsageError: Wavelengths that do not increase, or a transmission outside [0, 1].

    Example:
        >>> from types import SimpleNamespace
        >>> bank = MeasuredFilters(np.array([400.0, 500.0]), np.array([[0.0, 1.0]]))
        >>> bank(SimpleNamespace(nm=np.array([425.0, 450.0]))).tolist()
        [[0.25, 0.5]]
    """

    def __init__(
        self, nm: Float[np.ndarray, " points"], curves: Float[np.ndarray, "channels points"]
    ) -> None:
        super().__init__()
        self.nm = np.array(nm, dtype=np.float64)
        self.curves = np.array(curves, dtype=np.float64)
        if len(self.nm) < 2 or not (np.diff(self.nm) > 0).all():
            raise UsageError("nm must hold two wavelengths or more and increase; sort the curves")
        low, high = float(self.curves.min()), float(self.curves.max())
        if self.curves.shape[1] != len(self.nm) or not (low >= 0 and high <= 1):
            raise UsageError(
                f"curves must lie in [0, 1] with a column for each of {len(self.nm)} wavelengths, "
                f"got {self.curves.shape} from {low} to {high}; scale them by the clear sensor"
            )

    @property
    def count(self) -> int:
        """Channels."""
        return len(self.curves)

    def forward(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """The curves at the bands.

        Raises:
            UsageError: A band outside what was measured.
        """
        nm = np.asarray(wavelengths.nm, dtype=np.float64)
        if nm.min() < self.nm[0] or nm.max() > self.nm[-1]:
            raise UsageError(
                f"filters were measured from {self.nm[0]:g} to {self.nm[-1]:g} nm and the bands "
                f"reach from {nm.min():g} to {nm.max():g} nm; crop the cube"
            )
        return torch.as_tensor(np.stack([np.interp(nm, self.nm, row) for row in self.curves]))

    def to_dict(self) -> dict[str, Any]:
        """Wavelengths and curves."""
        return {"nm": self.nm, "curves": self.curves}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "MeasuredFilters":
        """The inverse of `to_dict`."""
        return cls(data["nm"], data["curves"])
