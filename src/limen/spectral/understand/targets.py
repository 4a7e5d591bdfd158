"""Finding a known spectrum among channels, without decoding: matched filter, ACE, SAM."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.spectral.camera.camera import Camera
from limen.spectral.understand.channels import channels_of

_ROWS = 1 << 14  # pixels at once, so that they stay in the cache
_RIDGE = 1e-12  # of the mean variance: keeps constant channels from dividing by 0


def encoded_target(
    spectrum: Any, camera: Camera, wavelengths: Any
) -> Float[np.ndarray, " channels"]:
    """What a camera's channels show of a spectrum, u = A r, in the unit of `Counts.channels`.

    Args:
        spectrum: r, (bands,).
        camera: Whose filters encode it.
        wavelengths: The bands.

    Returns:
        (channels,), float64.

    Raises:
        UsageError: Another number of bands.

    Example:
        >>> from limen.spectral import Gaussians, Wavelengths
        >>> bands = Wavelengths(np.linspace(400, 700, 31))
        >>> camera = Camera(Gaussians([500.0, 600.0], 50.0))
        >>> encoded_target(np.ones(31), camera, bands).shape
        (2,)
    """
    found = np.asarray(spectrum, dtype=np.float64)
    if found.shape != (len(wavelengths.nm),):
        raise UsageError(f"spectrum must have the {len(wavelengths.nm)} bands, got {found.shape}")
    with torch.no_grad():
        return np.asarray(camera.matrix(wavelengths).to(torch.float64).numpy() @ found)


class _Detector:
    """A target, and the background's mean and inverse covariance over channels."""

    def __init__(self, target: Any):
        self.target = np.array(target, dtype=np.float64)
        if self.target.ndim != 1 or not np.isfinite(self.target).all() or not self.target.any():
            raise UsageError(
                f"target must be finite, one number for each channel and not all 0; got "
                f"{self.target.shape}: encoded_target makes one of a spectrum"
            )
        self.mean: np.ndarray | None = None
        self.inverse: np.ndarray | None = None

    def _background(self, frame: Any) -> None:
        rows = channels_of(frame, count=len(self.target)).reshape(-1, len(self.target))
        if len(rows) <= len(self.target):
            raise UsageError(
                f"background must have more pixels than {len(self.target)} channels, got "
                f"{len(rows)}"
            )
        self.mean = rows.mean(axis=0, dtype=np.float64)
        covariance = np.zeros((len(self.target), len(self.target)))
        for start in range(0, len(rows), _ROWS):
            away = rows[start : start + _ROWS] - self.mean
            covariance += away.T @ away
        covariance /= len(rows) - 1
        ridge = _RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-300)
        self.inverse = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))

    def _ready(self) -> tuple[np.ndarray, np.ndarray]:
        if self.mean is None or self.inverse is None:
            raise UsageError(f"{type(self).__name__} must be fitted on background pixels first")
        return self.mean, self.inverse

    def to_dict(self) -> dict[str, Any]:
        """Target and background."""
        return {"target": self.target, "mean": self.mean, "inverse": self.inverse}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Any:
        """The inverse of `to_dict`."""
        found = cls(data["target"])
        for name in ("mean", "inverse"):
            if data.get(name) is not None:
                setattr(found, name, np.asarray(data[name]))
        return found


class MatchedFilter(_Detector):
    """How much of the target a pixel holds; higher = more: 0 at the background's mean, 1 on target.

    `y = (u - m)^T C^-1 (s - m) / ((u - m)^T C^-1 (u - m))` on channels s, with the target u = A r
    and the background's mean m and covariance C over channels. Cost: one product of k numbers a
    pixel; nothing is decoded.

    Args:
        target: u, (channels,); see `encoded_target`.

    Raises:
        UsageError: A target that is no row of finite numbers.

    Reference:
        D. Manolakis and G. Shaw, "Detection algorithms for hyperspectral imaging applications",
        IEEE Signal Processing Magazine, 2002, for the filter; here on encoded channels.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(500, 3))
        >>> filter_ = MatchedFilter([5.0, 0.0, 0.0]).fit(rows)
        >>> filter_(np.array([[5.0, 0.0, 0.0], rows.mean(0)])).round(6).tolist()
        [1.0, 0.0]
    """

    def fit(self, background: Any) -> "MatchedFilter":
        """Mean and covariance of background pixels.

        Args:
            background: `Counts` or (..., channel), mostly without the target.

        Returns:
            self.

        Raises:
            UsageError: No more pixels than channels, or values that are not finite.
        """
        self._background(background)
        return self

    @property
    def rule(self) -> tuple[Float[np.ndarray, " channels"], float]:
        """Weights and bias of the same filter, `w . s + b`, for `EncodedDetector`."""
        mean, inverse = self._ready()
        u = self.target - mean
        weights = inverse @ u / (u @ inverse @ u)
        return weights, float(-weights @ mean)

    def __call__(self, frame: Any) -> Float[np.ndarray, "..."]:
        """The share of the target in each pixel.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...), of the channels' precision.
        """
        x = channels_of(frame, count=len(self.target))
        weights, bias = self.rule
        return np.asarray(x @ weights.astype(x.dtype) + x.dtype.type(bias))


class ACE(_Detector):
    """Squared cosine to the target in whitened channels, 0 to 1; higher = more alike, any strength.

    `y = ((u - m)^T C^-1 (s - m))^2 / (((u - m)^T C^-1 (u - m)) ((s - m)^T C^-1 (s - m)))`: blind to
    how strongly s departs from the background, so that faint targets count as strong ones do.

    Args:
        target: u, (channels,); see `encoded_target`.

    Raises:
        UsageError: A target that is no row of finite numbers.

    Reference:
        S. Kraut, L. L. Scharf and R. W. Butler, "The adaptive coherence estimator", IEEE
        Transactions on Signal Processing, 2005; here on encoded channels.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(500, 3))
        >>> ace = ACE([5.0, 0.0, 0.0]).fit(rows)
        >>> bool(ace(rows.mean(0) + 0.01 * (ace.target - rows.mean(0))) > 0.999)
        True
    """

    def fit(self, background: Any) -> "ACE":
        """Mean and covariance of background pixels.

        Args:
            background: `Counts` or (..., channel), mostly without the target.

        Returns:
            self.

        Raises:
            UsageError: No more pixels than channels, or values that are not finite.
        """
        self._background(background)
        return self

    def __call__(self, frame: Any) -> Float[np.ndarray, "..."]:
        """The coherence of each pixel; 0 where a pixel is the background's mean.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...), of the channels' precision.
        """
        mean, inverse = self._ready()
        x = channels_of(frame, count=len(self.target))
        root = np.linalg.cholesky(inverse)
        target = (self.target - mean) @ root
        flat = x.reshape(-1, x.shape[-1])
        found = np.empty(len(flat), dtype=x.dtype)
        for start in range(0, len(flat), _ROWS):
            s = (flat[start : start + _ROWS] - mean) @ root
            length = np.einsum("ij,ij->i", s, s) * (target @ target)
            found[start : start + _ROWS] = (s @ target) ** 2 / np.maximum(length, 1e-300)
        return found.reshape(x.shape[:-1])


class SAM(_Detector):
    """Angle to the target in radians, 0 to pi; lower = more alike, whatever the brightness.

    `arccos(s . u / (norm(s) norm(u)))`. No background is needed: `fit` is there for symmetry and
    does nothing.

    Args:
        target: u, (channels,); see `encoded_target`.

    Raises:
        UsageError: A target that is no row of finite numbers.

    Reference:
        F. A. Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing of
        Environment, 1993; here on encoded channels.

    Example:
        >>> SAM([1.0, 0.0])(np.array([[2.0, 0.0], [0.0, 3.0]])).round(4).tolist()
        [0.0, 1.5708]
    """

    def fit(self, background: Any) -> "SAM":
        """Look at nothing.

        Args:
            background: Ignored.

        Returns:
            self.
        """
        return self

    def __call__(self, frame: Any) -> Float[np.ndarray, "..."]:
        """The angle of each pixel; pi / 2 where a pixel is all 0.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...), of the channels' precision.
        """
        x = channels_of(frame, count=len(self.target))
        flat = x.reshape(-1, x.shape[-1])
        found = np.empty(len(flat), dtype=x.dtype)
        target = self.target / np.linalg.norm(self.target)
        for start in range(0, len(flat), _ROWS):
            s = flat[start : start + _ROWS].astype(np.float64, copy=False)
            lengths = np.sqrt(np.einsum("ij,ij->i", s, s))
            cosine = (s @ target) / np.maximum(lengths, 1e-300)
            found[start : start + _ROWS] = np.arccos(np.clip(cosine, -1, 1))
        return found.reshape(x.shape[:-1])
