"""A hyperspectral video that is made: real spectra, moving things, exact masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral.video.video import Frames, Video

_EDGE = 1.5  # pixels over which a thing's edge mixes with what is behind it


@dataclass(frozen=True, eq=False)
class _Thing:
    """An ellipse with a spectrum, a texture and a path."""

    spectrum: np.ndarray
    label: int
    radii: tuple[float, float]
    angle: float
    spin: float
    start: np.ndarray
    velocity: np.ndarray
    waves: np.ndarray  # (waves, 3): frequency down and across, phase


def synthetic_video(
    spectra: Float[np.ndarray, "things bands"],
    wavelengths: Any,
    *,
    background: Float[np.ndarray, "..."],
    labels: Sequence[int] | None = None,
    names: Sequence[str] = (),
    frames: int = 24,
    size: tuple[int, int] = (72, 96),
    speed: float = 1.0,
    shading: float = 0.2,
    seed: int = 0,
) -> Video:
    """Ellipses with real spectra on sub-pixel paths over a background; frames made one at a time.

    Edges mix linearly: a pixel half covered has half of either spectrum. Light falls off smoothly
    over the frame and along each thing's texture, by `shading` at most, which scales spectra and
    never bends them. A thing turns, moves straight and bounces off the frame's borders; a
    background larger than the frame passes by underneath, sampled bilinearly. The class of a pixel
    is that of the thing which covers most of it, 0 where the background does.

    Args:
        spectra: Reflectance of each thing, 0 to 1; later ones lie on top. None at all (0, bands)
            leaves the background, such as a flight over a real cube.
        wavelengths: The bands.
        background: A reflectance (bands,), or a cube (y, x, bands) at least as large as the frame.
        labels: Class of each thing, from 1; None for 1, 2, ...
        names: Of the classes, the background first.
        frames: How many.
        size: Height and width.
        speed: Pixels a frame, at most; 0 stands still.
        shading: Largest share of light that is lost, 0 to below 1.
        seed: Of shapes, textures and paths.

    Returns:
        The video, with exact masks.

    Raises:
        UsageError: Bands that do not agree, values outside 0 to 1, labels outside 1 to 255, a
            frame without pixels, or a background smaller than it.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> bands = Wavelengths([500.0, 600.0])
        >>> video = synthetic_video(np.array([[0.9, 0.1]]), bands, background=np.array([0.2, 0.2]),
        ...                         frames=2, size=(24, 24))
        >>> video.shape, sorted(set(video.mask(0).ravel().tolist()))
        ((2, 24, 24, 2), [0, 1])
    """
    found = np.asarray(spectra, dtype=np.float64)
    behind = np.asarray(background, dtype=np.float64)
    bands = len(wavelengths.nm)
    _refuse(found, behind, bands=bands, size=size, shading=shading)
    if frames < 1 or speed < 0 or (labels is not None and len(labels) != len(found)):
        raise UsageError(
            f"frames={frames} must be at least 1, speed={speed} at least 0, and labels one for "
            f"each of {len(found)} things"
        )
    if min(size) < 1:
        raise UsageError(f"size={size} must be a pixel or more on each side")
    classes = list(range(1, len(found) + 1)) if labels is None else [int(x) for x in labels]
    if any(not 1 <= label <= 255 for label in classes):
        raise UsageError(f"labels must be from 1 to 255, 0 is the background; got {classes}")
    things = [
        _thing(spectrum, label, size, speed=speed, seed=seed, number=number)
        for number, (spectrum, label) in enumerate(zip(found, classes, strict=True))
    ]
    light = _light(size, shading=shading, seed=seed)
    drift = numpy_stream(seed, "background").uniform(-1, 1, size=2) * speed / np.sqrt(2)

    def frame(time: int) -> Float[np.ndarray, "y x band"]:
        values = _behind(behind, drift * time, size)
        for thing in things:
            cover, lit = _cover(thing, time, size, shading=shading)
            values += cover[..., None] * (lit[..., None] * thing.spectrum - values)
        return np.asarray(values * light[..., None], dtype=np.float32)

    def mask(time: int) -> Integer[np.ndarray, "y x"]:
        top, owner = np.ones(size), np.zeros(size, dtype=np.uint8)
        for thing in things:
            cover, _ = _cover(thing, time, size, shading=shading)
            top *= 1 - cover  # what is left of the one that covered most
            wins = cover > top
            top, owner = np.where(wins, cover, top), np.where(wins, thing.label, owner)
        return np.asarray(owner, dtype=np.uint8)

    shape = (frames, *size, bands)
    return Video(Frames(frame, shape), wavelengths, masks=_Masks(mask, frames), names=names)


class _Masks:
    """Planes that are made when asked for."""

    def __init__(self, make: Any, count: int):
        self._make, self._count = make, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, time: int) -> np.ndarray:
        return np.asarray(self._make(range(self._count)[time]))


def _refuse(
    spectra: np.ndarray, behind: np.ndarray, *, bands: int, size: tuple[int, int], shading: float
) -> None:
    if spectra.ndim != 2 or spectra.shape[1] != bands or behind.shape[-1] != bands:
        raise UsageError(
            f"spectra and background must have the {bands} bands of wavelengths; got "
            f"{spectra.shape} and {behind.shape}"
        )
    for name, values in (("spectra", spectra), ("background", behind)):
        if values.size and not (values.min() >= 0 and values.max() <= 1):  # NaN fails too
            raise UsageError(
                f"{name} must be reflectances from 0 to 1, got {values.min():g} to "
                f"{values.max():g}; scale them"
            )
    cube = behind.ndim == 3 and behind.shape[0] >= size[0] and behind.shape[1] >= size[1]
    if behind.ndim != 1 and not cube:
        raise UsageError(
            f"background must be (bands,) or a cube of {size} or more, got {behind.shape}"
        )
    if not 0 <= shading < 1:
        raise UsageError(f"shading={shading} must be from 0 to below 1")


def _thing(
    spectrum: np.ndarray,
    label: int,
    size: tuple[int, int],
    *,
    speed: float,
    seed: int,
    number: int,
) -> _Thing:
    draw = numpy_stream(seed, "thing", number)
    short = min(size)
    way = draw.uniform(0, 2 * np.pi)
    return _Thing(
        spectrum,
        label,
        radii=(float(draw.uniform(0.12, 0.2) * short), float(draw.uniform(0.12, 0.2) * short)),
        angle=float(draw.uniform(0, np.pi)),
        spin=float(draw.uniform(-0.05, 0.05)) if speed else 0.0,
        start=draw.uniform(0.2, 0.8, size=2) * np.array(size),
        velocity=speed * draw.uniform(0.5, 1.0) * np.array([np.sin(way), np.cos(way)]),
        waves=np.column_stack([draw.normal(scale=0.5, size=(4, 2)), draw.uniform(0, 6.3, 4)]),
    )


def _cover(
    thing: _Thing, time: int, size: tuple[int, int], *, shading: float
) -> tuple[np.ndarray, np.ndarray]:
    """How much of each pixel a thing covers, and how much light its texture leaves."""
    margin = 0.1 * np.array(size)
    span = np.array(size) - 2 * margin
    way = (thing.start - margin + thing.velocity * time) % (2 * span)
    centre = margin + np.minimum(way, 2 * span - way)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    y, x = y - centre[0], x - centre[1]
    turn = thing.angle + thing.spin * time
    down, across = y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)
    away = np.hypot(down / thing.radii[0], across / thing.radii[1])
    cover = np.clip(0.5 - (away - 1) * min(thing.radii) / _EDGE, 0, 1)
    waves = [np.sin(a * down + b * across + phase) for a, b, phase in thing.waves]
    return cover, 1 - shading / 2 * (0.5 + np.mean(waves, axis=0) / 2)


def _light(size: tuple[int, int], *, shading: float, seed: int) -> np.ndarray:
    """A slow fall of light over the frame, from 1 down to 1 - shading / 2."""
    way = numpy_stream(seed, "shading").uniform(0, 2 * np.pi)
    y, x = np.mgrid[: size[0], : size[1]]
    slope = np.sin(way) * y / size[0] + np.cos(way) * x / size[1]
    slope = (slope - slope.min()) / max(float(np.ptp(slope)), 1e-12)
    return np.asarray(1 - shading / 2 * slope)


def _behind(behind: np.ndarray, shift: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The background at a time: a plain spectrum, or a window of a cube, bilinear, to and fro."""
    if behind.ndim == 1:
        return np.broadcast_to(behind, (*size, len(behind))).copy()
    rooms = np.array(behind.shape[:2]) - np.array(size)
    at = [abs((s + room) % (2 * room) - room) if room else 0.0
          for s, room in zip(shift, rooms, strict=True)]  # fmt: skip
    values = behind
    for axis, place in enumerate(at):
        low = int(np.floor(place))
        part = place - low
        first = np.take(values, range(low, low + size[axis]), axis=axis)
        if part:
            second = np.take(values, range(low + 1, low + 1 + size[axis]), axis=axis)
            first = (1 - part) * first + part * second
        values = first
    return np.array(values)
