"""The camera: from a cube of light to digital numbers, every step with its name."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.run.files import packed, unpacked
from limen.spectral.camera.blur import blur, kernel
from limen.spectral.camera.counts import Counts
from limen.spectral.camera.exposure import Exposure
from limen.spectral.camera.matrix import Curve, encoding_matrix
from limen.spectral.camera.mosaic import Mosaic
from limen.spectral.camera.noise import Noise


class Camera:
    """Encoders on a sensor: s = g A l + dark, through blur, mosaic, noise and digitiser.

    A[c, b] = T_c eta w, normalised so that white through T = 1 gives 1; g by the exposure rule.
    Between the light and the numbers stand, in order: point spread, filters, mosaic, crosstalk,
    noise, full well, digitiser.

    Args:
        filters: A bank: `count`, and `forward(wavelengths)` giving (channels, bands) in [0, 1].
        mosaic: Sides of the block, or a `Mosaic`; None where each pixel measures every channel.
        illuminant: Relative power of the light at the bands, or a function of wavelengths; then
            cubes hold reflectance. None for radiance.
        efficiency: Quantum efficiency at the bands, or a function of wavelengths; None for 1.
        noise: The sensor's noise.
        bits: Depth of the digitiser, 1 to 16.
        exposure: The rule of exposure.
        psf: Width of the lens's blur in pixels, or its kernel, or one a band; None for none.
        crosstalk: Weights of what a pixel collects from its neighbours; None for none.

    Raises:
        UsageError: A mosaic that names another number of channels than the filters, bits outside
            1 to 16, or a kernel that is none.

    Example:
        >>> from types import SimpleNamespace
        >>> class Open(nn.Module):
        ...     count = 1
        ...     def forward(self, wavelengths):
        ...         return torch.ones(1, len(wavelengths.nm))
        >>> bands = SimpleNamespace(nm=np.array([500.0, 510.0]), weights=np.array([5.0, 5.0]))
        >>> camera = Camera(Open(), noise=Noise.off())
        >>> counts = camera.capture(np.full((1, 1, 2), 0.5), seed=0, wavelengths=bands)
        >>> counts.values.tolist()  # half of 80 % of 4095
        [[[1638]]]
    """

    def __init__(
        self,
        filters: nn.Module,
        *,
        mosaic: Mosaic | Sequence[int] | None = None,
        illuminant: Curve = None,
        efficiency: Curve = None,
        noise: Noise | None = None,
        bits: int = 12,
        exposure: Exposure | None = None,
        psf: Any = None,
        crosstalk: Any = None,
    ) -> None:
        self.filters = filters
        if isinstance(mosaic, Sequence):
            if len(mosaic) != 2:
                raise UsageError(f"mosaic must be its two sides or a Mosaic, got {mosaic}")
            rows, columns = mosaic
            mosaic = Mosaic(rows, columns)
        self.mosaic = mosaic
        self.illuminant = illuminant
        self.efficiency = efficiency
        self.noise = noise or Noise()
        self.bits = bits
        self.exposure = exposure or Exposure()
        self.psf = None if psf is None else kernel(psf, "psf")
        self.crosstalk = None if crosstalk is None else kernel(crosstalk, "crosstalk")
        self.noise.step(bits)
        if self.mosaic and self.mosaic.count != filters.count:
            raise UsageError(
                f"the mosaic names {self.mosaic.count} channels and filters has {filters.count}; "
                "give as many filters as sub-cells, or a Mosaic with a pattern"
            )

    @property
    def count(self) -> int:
        """Channels."""
        return int(self.filters.count)  # type: ignore[arg-type]

    def matrix(self, wavelengths: Any) -> Float[Tensor, "channels bands"]:
        """The encoding matrix A at the bands, differentiable in the filters' parameters.

        Args:
            wavelengths: The bands of the cube.

        Returns:
            A; its rows sum to what white gives, at most 1.
        """
        return encoding_matrix(
            self.filters(wavelengths),
            wavelengths,
            illuminant=self.illuminant,
            efficiency=self.efficiency,
        )

    def gain(self, wavelengths: Any) -> float:
        """Electrons for each unit of A l, by the exposure rule.

        Args:
            wavelengths: The bands of the cube.

        Returns:
            g.

        Raises:
            UsageError: Filters that pass nothing under the rule that fills the well.
        """
        with torch.no_grad():
            matrix = self.matrix(wavelengths)
            found = float(self.exposure.gain(matrix, full_well=self.noise.full_well))
        if not isfinite(found):
            raise UsageError("filters must pass some light to fill a well, and they pass none")
        return found

    def encode(
        self, values: Float[Tensor, "*lead y x bands"], wavelengths: Any
    ) -> Float[Tensor, "*out"]:
        """Light as the pixels get it, without noise: linear and differentiable in everything.

        Args:
            values: Reflectance or radiance.
            wavelengths: Its bands.

        Returns:
            (..., y, x, channel), or with a mosaic (..., y, x), in the unit of the cube's white.

        Raises:
            UsageError: Another number of bands, or a mosaic that does not divide the frame.
        """
        if self.mosaic:
            self.mosaic.check(values.shape[-3], values.shape[-2])
        matrix = self.matrix(wavelengths).to(values)
        if values.shape[-1] != matrix.shape[1]:
            raise UsageError(
                f"values must have the {matrix.shape[1]} bands of wavelengths, got "
                f"{values.shape[-1]}; give their own"
            )
        if self.psf is not None:
            values = blur(values, self.psf)
        planes = values @ matrix.T
        if self.mosaic is None:
            return planes if self.crosstalk is None else blur(planes, self.crosstalk)
        plane = self.mosaic.sample(planes)
        if self.crosstalk is None:
            return plane
        return blur(plane[..., None], self.crosstalk)[..., 0]

    def adjoint(
        self, signal: Float[Tensor, "*out"], wavelengths: Any
    ) -> Float[Tensor, "*lead y x bands"]:
        """The adjoint of the camera: inner products of signals are carried over exactly.

        The inner product of encode(x) with s equals that of x with this, for all x and s, in
        every mode, blurred or not.

        Args:
            signal: What `encode` returns.
            wavelengths: The bands of the cube.

        Returns:
            An array of the shape of the cube.
        """
        lead = signal.shape if self.mosaic else signal.shape[:-1]
        start = torch.zeros(*lead, len(wavelengths.nm), dtype=signal.dtype, device=signal.device)
        pull = torch.func.vjp(lambda x: self.encode(x, wavelengths), start)[1]
        back: Tensor = pull(signal)[0]
        return back

    def capture(
        self,
        scene: Any,
        *,
        seed: int = 0,
        wavelengths: Any = None,
        origin: tuple[int, int, int] = (0, 0, 0),
    ) -> Counts:
        """One noisy, digitised capture of a cube or a video.

        The numbers of a pixel depend on the seed and its own place and time, so a frame may be
        captured in tiles, each with its origin.

        Args:
            scene: A Cube, a Video, or an array (y, x, band) or (time, y, x, band).
            seed: The seed of the exposure.
            wavelengths: The bands, where `scene` is a bare array.
            origin: Time, row and column of the first value.

        Returns:
            The counts, of the lead axes of the scene.

        Raises:
            UsageError: An array without wavelengths, no frame, negative or NaN light, or a mosaic
                that does not divide the frame, or whose blocks do not begin at `origin`.
        """
        values, wavelengths = light(scene, wavelengths)
        if not len(values):
            raise UsageError("scene must hold a frame with rows, and it is empty")
        if self.mosaic and (origin[1] % self.mosaic.rows or origin[2] % self.mosaic.columns):
            raise UsageError(
                f"origin={origin} must lie where a block of {self.mosaic.rows} x "
                f"{self.mosaic.columns} begins; another place has other channels"
            )
        frames = values if values.ndim == 4 else values[None]
        gain, step = self.gain(wavelengths), self.noise.step(self.bits)
        numbers, masks = [], []
        for time, frame in enumerate(frames):
            checked(frame)
            with torch.no_grad():
                tensor = torch.from_numpy(np.array(frame, dtype=np.float32, order="C"))
                code = self.encode(tensor, wavelengths).clamp_min(0).numpy()[None]
            with np.errstate(over="ignore"):  # what is more than all is cut at the full well
                mean = gain * code
            starts = (origin[0] + time, *origin[1:], 0)
            sizes = (1, *mean.shape[1:])
            places = tuple(np.arange(a, a + n) for a, n in zip(starts, sizes, strict=False))
            electrons = self.noise.electrons(mean, places, seed=seed)
            level, mask = self.noise.digitise(electrons[0], bits=self.bits)
            numbers.append(level)
            masks.append(mask)
        one = values.ndim == 3
        return Counts(
            numbers[0] if one else np.stack(numbers),
            masks[0] if one else np.stack(masks),
            self.exposure,
            gain=gain,
            step=step,
            black=self.noise.black,
            dark=self.noise.dark,
            mosaic=self.mosaic,
        )

    def to_dict(self) -> dict[str, Any]:
        """The camera as arrays and JSON, for `limen.save`; functions of wavelengths cannot be kept.

        Raises:
            UsageError: The illuminant or the efficiency is a function.
        """
        for name in ("illuminant", "efficiency"):
            if callable(getattr(self, name)) and not isinstance(getattr(self, name), Tensor):
                raise UsageError(f"{name} must be an array to be saved; evaluate it at the bands")
        return {
            "filters": packed(self.filters),  # type: ignore[arg-type]
            "mosaic": self.mosaic.to_dict() if self.mosaic else None,
            "illuminant": self.illuminant,
            "efficiency": self.efficiency,
            "noise": self.noise.to_dict(),
            "bits": self.bits,
            "exposure": self.exposure.to_dict(),
            "psf": self.psf,
            "crosstalk": self.crosstalk,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Camera":
        """The inverse of `to_dict`."""
        return cls(
            unpacked(data["filters"]),
            mosaic=Mosaic.from_dict(data["mosaic"]) if data["mosaic"] else None,
            illuminant=data["illuminant"],
            efficiency=data["efficiency"],
            noise=Noise.from_dict(data["noise"]),
            bits=int(data["bits"]),
            exposure=Exposure.from_dict(data["exposure"]),
            psf=data["psf"],
            crosstalk=data["crosstalk"],
        )


def light(scene: Any, wavelengths: Any) -> tuple[Any, Any]:
    """The values of a cube, a video or an array, and its bands, which are never guessed.

    Args:
        scene: A Cube, a Video, or an array (y, x, band) or (time, y, x, band).
        wavelengths: The bands of a bare array.

    Returns:
        The values and the bands.

    Raises:
        UsageError: No wavelengths, no real numbers, other axes, or another number of bands.
    """
    bare = isinstance(scene, Tensor | np.ndarray)  # a tensor's `values` is a method
    values = scene if bare else getattr(scene, "frames", getattr(scene, "values", scene))
    found = wavelengths if bare else getattr(scene, "wavelengths", wavelengths)
    if found is None:
        raise UsageError("an array must come with wavelengths=; bands are never guessed")
    if not hasattr(found, "nm"):
        raise UsageError(
            f"wavelengths must be limen.spectral.Wavelengths, got {type(found).__name__}; wrap "
            "them: Wavelengths(nm)"
        )
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    if not hasattr(values, "shape") or len(values.shape) not in (3, 4):
        raise UsageError("scene must be (y, x, band) or (time, y, x, band); give one of them")
    if len(values.shape) == 3:
        values = np.asarray(values)  # a cube that was on the disk until now
    kind = getattr(values, "dtype", np.dtype(np.float32))  # frames that are made have none
    if np.dtype(kind).kind not in "fiub":
        raise UsageError(f"scene must hold real numbers, got {kind}")
    if values.shape[-1] != len(found.nm):
        raise UsageError(
            f"scene has {values.shape[-1]} bands and wavelengths {len(found.nm)}; give its own"
        )
    return values, found


def checked(frame: Any) -> None:
    """Refuse light that is negative or not finite, and say where it first is.

    Args:
        frame: One frame (y, x, band).

    Raises:
        UsageError: Such light.
    """
    bad = ~np.isfinite(frame) | (np.asarray(frame) < 0)
    if np.asarray(frame).dtype == np.float64:  # encoded in single precision
        bad |= np.asarray(frame) > np.finfo(np.float32).max
    if bad.any():
        y, x, band = (int(place) for place in np.argwhere(bad)[0])
        raise UsageError(
            f"light must be finite and not negative, got {frame[y, x, band]} at row {y}, column "
            f"{x}, band {band}; mask or clip it first"
        )
