"""Real against artificial fruit: two things of one colour whose spectra differ."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from limen._core.optional import require
from limen._core.streams import numpy_stream
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.measured import MeasuredFilters
from limen.spectral.camera.noise import Noise
from limen.spectral.optics.curves import Gaussians
from limen.spectral.video.metamers import metamers
from limen.spectral.video.synthetic_video import synthetic_video
from limen.spectral.video.video import Video
from limen.spectral.wavelengths import Wavelengths

_PATCHES = {
    "apple": "red", "orange": "orange", "lime": "yellow green", "plum": "purple",
    "lemon": "yellow", "pepper": "green",
}  # fmt: skip
_HOWS = ("real", "artificial")
_BANDS = np.arange(400.0, 701.0, 10.0)


@dataclass(frozen=True, eq=False)
class Fruit:
    """A scene to be told apart, and two cameras to do it with.

    Attributes:
        train: A video, whose masks are to be learnt from.
        test: Another one, with other shapes and paths.
        rgb: A camera with the measured curves of an RGB sensor.
        encoded: A camera with nine Gaussian filters in a 3 x 3 mosaic, and the same sensor.
        kinds: What each pair is called; class 2i + 1 is the real kind i, 2i + 2 the artificial.
        real: Measured reflectances, (kinds, bands).
        artificial: Partners that the RGB camera cannot tell from them.

    Example:
        >>> Fruit.__name__
        'Fruit'
    """

    train: Video
    test: Video
    rgb: Camera
    encoded: Camera
    kinds: tuple[str, ...]
    real: Float[np.ndarray, "kinds bands"]
    artificial: Float[np.ndarray, "kinds bands"]


def fruit(
    *, seed: int = 0, frames: int = 24, size: tuple[int, int] = (96, 132), kinds: int = 4
) -> Fruit:
    """Fruit whose real and artificial kinds have the same RGB and different spectra.

    The real spectra are measured: patches of a colour chart stand in for fruit. The artificial
    ones are `metamers` of them for a measured RGB camera (Nikon D5100) under daylight D65, so that
    RGB can only guess. Curves and spectra come with the package colour-science.

    Args:
        seed: Of shapes, paths and partners.
        frames: Of each video.
        size: Height and width, multiples of 3.
        kinds: Pairs in the scene, 1 to 6.

    Returns:
        Two videos of the same things with exact masks, and two cameras.

    Example:
        >>> found = fruit(frames=2, size=(24, 24), kinds=1)
        >>> matrix = found.rgb.matrix(found.train.wavelengths).numpy()
        >>> bool(abs(matrix @ (found.real - found.artificial)[0]).max() < 1e-12)
        True
    """
    with warnings.catch_warnings(), np.printoptions():  # which it would change for everybody
        warnings.simplefilter("ignore")  # of optional packages that it would like to have
        colour = require("colour", extra="spectral")
    chart = colour.SDS_COLOURCHECKERS["BabelColor Average"]
    names = tuple(_PATCHES)[:kinds]
    real = np.stack([_at(chart[_PATCHES[name]]) for name in names])
    sensor = colour.MSDS_CAMERA_SENSITIVITIES["Nikon 5100 (NPL)"]
    curves = np.stack([np.interp(_BANDS, sensor.wavelengths, row) for row in sensor.values.T])
    daylight = _at(colour.SDS_ILLUMINANTS["D65"])
    bands = Wavelengths(_BANDS)
    rgb = Camera(
        MeasuredFilters(_BANDS, curves / curves.max()),
        illuminant=daylight, noise=Noise(),
    )  # fmt: skip
    centres = np.linspace(420, 680, 9)
    encoded = Camera(
        Gaussians(centres, 60.0, 0.95), mosaic=(3, 3), illuminant=daylight, noise=Noise()
    )
    partners = metamers(real, rgb.matrix(bands).detach().numpy(), seed=seed)
    things = np.stack([real, partners.partners], axis=1).reshape(2 * len(real), -1)
    train, test = (
        synthetic_video(
            things, bands,
            background=_at(chart["neutral 5 (.70 D)"]),
            names=("background", *(f"{how} {name}" for name in names for how in _HOWS)),
            frames=frames, size=size, seed=2 * seed + part,
        )
        for part in (0, 1)
    )  # fmt: skip
    return Fruit(train, test, rgb, encoded, names, real, partners.partners)


def lit_pixels(
    scene: Fruit, camera: Camera, *, count: int = 600, seed: int = 0
) -> tuple[Float[np.ndarray, "pixels channels"], Int64[np.ndarray, " pixels"]]:
    """Pixels of every thing, as many of each, each in a light and with a noise of its own.

    Unlike those of a frame they are independent, so an accuracy on them has an honest interval.

    Args:
        scene: The fruit.
        camera: One of its cameras.
        count: Pixels of each thing.
        seed: Of light, 0.6 to 1, and noise.

    Returns:
        Channels, and the class of each, 1 to 2 kinds; odd ones are real.

    Example:
        >>> channels, classes = lit_pixels(fruit(frames=1, kinds=1), fruit(frames=1).rgb, count=5)
        >>> channels.shape, classes.tolist()
        ((10, 3), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    """
    things = np.stack([scene.real, scene.artificial], axis=1).reshape(-1, len(_BANDS))
    classes = np.repeat(np.arange(1, len(things) + 1), count)
    light = numpy_stream(seed, "light").uniform(0.6, 1.0, size=(len(classes), 1))
    values = (things[classes - 1] * light)[None].astype(np.float32)
    if camera.mosaic is not None:
        values = values.repeat(camera.mosaic.rows, 0).repeat(camera.mosaic.columns, 1)
    counts = camera.capture(values, seed=seed, wavelengths=scene.train.wavelengths)
    return counts.channels()[0], classes


def _at(spectrum: object) -> np.ndarray:
    """A measured spectrum at the toy's bands."""
    return np.interp(_BANDS, spectrum.wavelengths, spectrum.values)  # type: ignore[attr-defined]
