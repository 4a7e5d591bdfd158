"""Finding a known spectrum among channels, without decoding: matched filter, ACE, SAM."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import numbers
from limen.measure.moments import whitening
from limen.spectral.camera.camera import Camera
from limen.spectral.understand.channels import channels_of, in_blocks, moments_of, rows_of

_RIDGE = 1e-12  # of the mean variance: keeps constant channels from dividing by 0
_APART = 1e-9  # standard deviations, below which a target is the background's mean but for rounding


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
        UsageError: Another number of bands, or numbers that are not finite.

    Example:
        >>> from limen.spectral import Gaussians, Wavelengths
        >>> bands = Wavelengths(np.linspace(400, 700, 31))
        >>> camera = Camera(Gaussians([500.0, 600.0], 50.0))
        >>> encoded_target(np.ones(31), camera, bands).shape
        (2,)
    """
    found = np.asarray(spectrum, dtype=np.float64)
    if found.shape != (len(wavelengths.nm),) or not np.isfinite(found).all():
        raise UsageError(
            f"spectrum must be finite, one number for each of {len(wavelengths.nm)} bands; got "
            f"{found.shape}"
        )
    with torch.no_grad():
        return np.asarray(camera.matrix(wavelengths).to(torch.float64).numpy() @ found)


class _Detector:
    """A target, and what makes the background white: its mean, and W with W W^T = C^-1."""

    def __init__(self, target: Any):
        self.target = numbers("target", target)
        if self.target.ndim != 1 or not np.isfinite(self.target).all() or not self.target.any():
            raise UsageError(
                f"target must be finite, one number for each channel and not all 0; got "
                f"{self.target.shape}: encoded_target makes one of a spectrum"
            )
        self.mean: np.ndarray | None = None
        self.white: np.ndarray | None = None

    def _background(self, frames: Any) -> None:
        count = len(self.target)
        rows = rows_of(frames, count=count)
        if len(rows) <= count:
            raise UsageError(
                f"background must have more pixels than {count} channels, got {len(rows)}"
            )
        moments = moments_of(rows)
        covariance = moments.scatter / (len(rows) - 1)
        if not bool(covariance.diagonal().any()):
            raise UsageError("background must vary from pixel to pixel, and it is one colour")
        white = whitening(covariance, ridge=_RIDGE).numpy()
        mean = moments.mean[0].numpy()
        if np.linalg.norm((self.target - mean) @ white) < _APART:
            raise UsageError("target must differ from the background's mean, and it is that mean")
        self.mean, self.white = mean, white

    def _ready(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # the background's mean, what whitens it, and the white target
        if self.mean is None or self.white is None:
            raise UsageError(f"{type(self).__name__} must be fitted on background pixels first")
        return self.mean, self.white, (self.target - self.mean) @ self.white

    def to_dict(self) -> dict[str, Any]:
        """Target and background."""
        return {"target": self.target, "mean": self.mean, "white": self.white}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Any:
        """The inverse of `to_dict`."""
        found = cls(data["target"])
        for name in ("mean", "white"):
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
            background: `Counts` or (..., channel), or a list of either, mostly without the
                target.

        Returns:
            self.

        Raises:
            UsageError: No more pixels than channels, values that are not finite, pixels of one
                colour, or a target that is their mean.
        """
        self._background(background)
        return self

    @property
    def rule(self) -> tuple[Float[np.ndarray, " channels"], float]:
        """Weights and bias of the same filter, `w . s + b`, for `EncodedDetector`."""
        mean, white, u = self._ready()
        weights = white @ u / (u @ u)
        return weights, float(-weights @ mean)

    def __call__(self, frame: Any) -> Float[np.ndarray, "..."]:
        """The share of the target in each pixel.

        Args:
            frame: `Counts` or (..., channel).

        Returns:
            (...), of the channels' precision.
        """
        weights, bias = self.rule
        x = channels_of(frame, count=len(self.target))
        if x.dtype == np.float64:
            return np.asarray(x @ weights + bias)
        return in_blocks(x, lambda rows: rows @ weights + bias, dtype=x.dtype)


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
            background: `Counts` or (..., channel), or a list of either, mostly without the
                target.

        Returns:
            self.

        Raises:
            UsageError: No more pixels than channels, values that are not finite, pixels of one
                colour, or a target that is their mean.
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
        mean, white, u = self._ready()
        x = channels_of(frame, count=len(self.target))
        along = u / np.linalg.norm(u)

        def coherence(rows: np.ndarray) -> np.ndarray:
            s = (rows - mean) @ white
            length = np.einsum("ij,ij->i", s, s)
            found: np.ndarray = (s @ along) ** 2 / np.maximum(length, 1e-300)
            return found

        return in_blocks(x, coherence, dtype=x.dtype)


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
        unit = self.target / np.linalg.norm(self.target)

        def angle(rows: np.ndarray) -> np.ndarray:
            s = np.asarray(rows, dtype=np.float64)
            lengths = np.sqrt(np.einsum("ij,ij->i", s, s))
            cosine = s @ unit
            cosine /= np.maximum(lengths, 1e-300, out=lengths)
            return np.arccos(np.clip(cosine, -1, 1, out=cosine), out=cosine)

        return in_blocks(x, angle, dtype=x.dtype)
