"""A camera and its decoder, fitted together: counts in, spectra out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.run.files import packed, unpacked
from limen.spectral.camera.camera import Camera, light
from limen.spectral.camera.counts import Counts
from limen.spectral.codec.lmmse import LMMSE
from limen.spectral.codec.statistics import SpectralPrior, channel_noise


class Codec:
    """Captures with a camera, decodes with what was fitted to it.

    The decoder is given the camera's matrix, its noise at the fitted spectra's mean, and their
    covariance; a network starts from LMMSE and learns what is left, on noisy captures.

    Args:
        camera: The camera.
        decoder: `LMMSE()` when left out, or a network decoder around it.

    Example:
        >>> from types import SimpleNamespace
        >>> from limen.spectral.camera.noise import Noise
        >>> class Two(torch.nn.Module):
        ...     count = 2
        ...     def forward(self, wavelengths):
        ...         return torch.eye(2)
        >>> bands = SimpleNamespace(nm=np.array([500.0, 510.0]), weights=np.array([5.0, 5.0]))
        >>> cube = np.random.default_rng(0).random((8, 8, 2))
        >>> codec = Codec(Camera(Two(), noise=Noise.off(), bits=16)).fit(cube, wavelengths=bands)
        >>> counts = codec.camera.capture(cube, seed=0, wavelengths=bands)
        >>> bool(abs(codec.decode(counts) - cube).max() < 1e-3)
        True
    """

    def __init__(self, camera: Camera, *, decoder: Any = None) -> None:
        self.camera = camera
        self.decoder: Any = LMMSE() if decoder is None else decoder
        self.prior: SpectralPrior | None = None

    def fit(self, cubes: Any, *, wavelengths: Any = None, seed: int = 0) -> "Codec":
        """Fit the decoder to training cubes, of the training split alone.

        Args:
            cubes: A cube or video, or several on the same bands.
            wavelengths: The bands, where the cubes are bare arrays.
            seed: Of the noise and the order in which a network sees them.

        Returns:
            self.

        Raises:
            UsageError: No cube, cubes on different bands, or a decoder that is none.
        """
        if not hasattr(self.decoder, "learn") and not hasattr(self.decoder, "fit"):
            raise UsageError(
                f"decoder must be LMMSE(), NonNegative() or Network(net), got {self.decoder!r}"
            )
        given = list(cubes) if isinstance(cubes, Sequence) else [cubes]
        if not given:
            raise UsageError("cubes must hold at least one to fit on, got none; give training data")
        found = [light(cube, wavelengths) for cube in given]
        bands = found[0][1]
        if any(not np.array_equal(bands.nm, other.nm) for _, other in found):
            raise UsageError("cubes must share their wavelengths to be fitted; resample them first")
        flat = np.concatenate([np.asarray(v).reshape(-1, v.shape[-1]) for v, _ in found])
        self.prior = SpectralPrior.of(flat)
        with torch.no_grad():
            matrix = self.camera.matrix(bands).to(torch.float64)
        variance = self._variance(matrix, self.camera.gain(bands))
        learns = hasattr(self.decoder, "learn")
        lmmse = self.decoder.start if learns else self.decoder
        lmmse.fit(self.prior, matrix, variance=variance)
        if learns:
            pairs = [self._pair(v, bands, seed=seed + n) for n, (v, _) in enumerate(found)]
            self.decoder.learn(pairs, seed=seed)
        return self

    def decode(self, counts: Counts | Any) -> Float[np.ndarray, "*lead y x bands"]:
        """Spectra of a capture; with a mosaic, one for each super-pixel.

        Args:
            counts: What the camera captured, or encoded light with channels last.

        Returns:
            Spectra in float32, not clipped.
        """
        signal = counts.channels() if isinstance(counts, Counts) else np.asarray(counts)
        with torch.no_grad():
            spectra = self.decoder(torch.as_tensor(signal, dtype=torch.float32))
        return np.asarray(spectra.numpy())

    def to_dict(self) -> dict[str, Any]:
        """Camera and decoder, for `limen.save`."""
        return {
            "camera": self.camera.to_dict(),
            "decoder": packed(self.decoder),
            "prior": None if self.prior is None else self.prior.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Codec":
        """The inverse of `to_dict`."""
        found = cls(Camera.from_dict(data["camera"]), decoder=unpacked(data["decoder"]))
        if data["prior"] is not None:
            found.prior = SpectralPrior.from_dict(data["prior"])
        return found

    def _variance(self, matrix: torch.Tensor, gain: float) -> torch.Tensor:
        assert self.prior is not None
        camera = self.camera
        variance = channel_noise(
            matrix, self.prior, gain=gain, noise=camera.noise, bits=camera.bits
        )
        if camera.mosaic is None:
            return variance
        repeats = np.bincount(camera.mosaic.pattern)
        return variance / torch.as_tensor(repeats, dtype=variance.dtype)

    def _pair(self, values: Any, bands: Any, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Noisy channels and the spectra they came from, on the grid of super-pixels."""
        channels = self.camera.capture(values, seed=seed, wavelengths=bands).channels()
        truth = np.asarray(values, dtype=np.float32)
        mosaic = self.camera.mosaic
        return channels, truth if mosaic is None else mosaic.averaged(truth)
