"""The encoding matrix: filter x sensor x light, photons counted, white through T = 1 giving 1."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError

Curve: TypeAlias = Callable[[Any], Any] | np.ndarray | Tensor | None


def encoding_matrix(
    transmission: Float[Tensor, "channels bands"],
    wavelengths: Any,
    *,
    illuminant: Curve = None,
    efficiency: Curve = None,
) -> Float[Tensor, "channels bands"]:
    """A[c, b] = T_c eta w / sum(eta w) with w = E lambda Delta: photons for each unit of light.

    With an illuminant E the unit is reflectance, without it radiance. lambda counts photons and
    Delta are the quadrature weights of the bands as they are, equal or not.

    Args:
        transmission: T in [0, 1].
        wavelengths: The bands, with `nm` and `weights`.
        illuminant: Relative power of the light at the bands: an array, or a function of
            `wavelengths`; None for radiance.
        efficiency: Quantum efficiency of the sensor likewise; None for 1.

    Returns:
        The matrix, differentiable in `transmission`; a row of T = 1 sums to 1.

    Raises:
        UsageError: A curve of another length, negative, not finite, or zero everywhere.

    Example:
        >>> from types import SimpleNamespace
        >>> bands = SimpleNamespace(nm=np.array([400.0, 800.0]), weights=np.array([1.0, 1.0]))
        >>> encoding_matrix(torch.ones(1, 2, dtype=torch.float64), bands).tolist()
        [[0.333..., 0.666...]]
    """
    nm = np.asarray(wavelengths.nm, dtype=np.float64)
    weight = nm * np.asarray(wavelengths.weights, dtype=np.float64)
    weight = weight * curve(illuminant, wavelengths, "illuminant")
    weight = weight * curve(efficiency, wavelengths, "efficiency")
    if not weight.sum() > 0:
        raise UsageError("illuminant times efficiency must be above 0 somewhere, got 0 everywhere")
    if transmission.shape[-1] != len(nm):
        raise UsageError(
            f"filters must give {len(nm)} bands, got {transmission.shape[-1]}; "
            "evaluate them at the cube's wavelengths"
        )
    row = torch.as_tensor(weight / weight.sum()).to(transmission)
    return transmission * row


def curve(of: Curve, wavelengths: Any, name: str) -> Float[np.ndarray, " bands"]:
    """A curve at the bands, checked: ones for None, else an array or what a function returns.

    Args:
        of: The curve.
        wavelengths: The bands.
        name: What an error calls it.

    Returns:
        One finite, non-negative number a band.

    Raises:
        UsageError: Another length, a negative number, or one that is not finite.

    Example:
        >>> from types import SimpleNamespace
        >>> curve(None, SimpleNamespace(nm=np.array([400.0, 500.0])), "efficiency").tolist()
        [1.0, 1.0]
    """
    bands = len(wavelengths.nm)
    if of is None:
        return np.ones(bands)
    found = of(wavelengths) if callable(of) and not isinstance(of, Tensor) else of
    if isinstance(found, Tensor):
        found = found.detach().cpu().numpy()
    values = np.asarray(found, dtype=np.float64)
    if values.shape != (bands,) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise UsageError(
            f"{name} must be {bands} finite numbers, none negative, one a band; "
            f"got shape {values.shape}; resample it to the cube's wavelengths"
        )
    return values
