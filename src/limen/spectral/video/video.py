"""A hyperspectral video: frames on the same bands, read one at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from limen._core.errors import UsageError


class Frames:
    """Frames that are made when they are asked for; looks like an array (time, y, x, band).

    Args:
        make: Gives frame number t, always the same one.
        shape: Time, height, width, bands.

    Example:
        >>> frames = Frames(lambda t: np.full((1, 1, 2), float(t)), (3, 1, 1, 2))
        >>> frames[2].tolist(), frames.shape, len(list(frames[1:]))
        ([[[2.0, 2.0]]], (3, 1, 1, 2), 2)
    """

    ndim = 4

    def __init__(self, make: Callable[[int], np.ndarray], shape: tuple[int, ...]):
        self._make, self.shape = make, shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            times = range(*at.indices(len(self)))
            return Frames(lambda t: self[times[t]], (len(times), *self.shape[1:]))
        if not -len(self) <= at < len(self):
            raise IndexError(f"frame {at} of {len(self)}")
        return self._checked(at % len(self))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._checked(t) for t in range(len(self)))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(np.stack(list(self)) if len(self) else np.empty(self.shape), dtype=dtype)

    def _checked(self, time: int) -> np.ndarray:
        found = np.asarray(self._make(time))
        require_size(found.shape, self.shape[1:], time=time)
        return found


class Video:
    """Hyperspectral frames (time, y, x, band) with their wavelengths and, if known, exact masks.

    Iterating gives one frame at a time, so that a video that is made or read frame by frame is
    never in memory as a whole.

    Args:
        frames: An array (time, y, x, band), `Frames`, or a list of frames of one size.
        wavelengths: Their bands.
        masks: (time, y, x), the class of each pixel, as an array or anything that gives one for
            each time; None where it is not known.
        names: Of the classes, 0 first.

    Raises:
        UsageError: No wavelengths or another number of bands, no frame, frames that change size,
            or masks of another size.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> video = Video(np.zeros((3, 4, 5, 2)), Wavelengths([500.0, 600.0]))
        >>> video.shape, sum(1 for _ in video)
        ((3, 4, 5, 2), 3)
    """

    def __init__(
        self, frames: Any, wavelengths: Any, *, masks: Any = None, names: Sequence[str] = ()
    ):
        if wavelengths is None or not hasattr(wavelengths, "nm"):
            raise UsageError("a video must come with its Wavelengths; bands are never guessed")
        self.frames = _stacked(frames)
        self.wavelengths = wavelengths
        if self.shape[-1] != len(wavelengths.nm):
            raise UsageError(
                f"frames have {self.shape[-1]} bands and wavelengths {len(wavelengths.nm)}; give "
                "those of the frames"
            )
        if masks is not None and (not hasattr(masks, "__len__") or len(masks) != len(self)):
            got = len(masks) if hasattr(masks, "__len__") else type(masks).__name__
            raise UsageError(f"masks must have one plane for each of {len(self)} frames, got {got}")
        self.masks = masks
        self.names = tuple(names)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Time, height, width, bands."""
        time, height, width, bands = self.frames.shape
        return time, height, width, bands

    def mask(self, time: int) -> Integer[np.ndarray, "y x"] | None:
        """The classes of one frame's pixels.

        Args:
            time: Number of the frame.

        Returns:
            (y, x), or None.

        Raises:
            UsageError: The mask has another size than the frames.
        """
        if self.masks is None:
            return None
        found = np.asarray(self.masks[time])
        if found.shape != self.shape[1:3]:
            raise UsageError(
                f"the mask of frame {time} must be {self.shape[1:3]}, as the frames are; got "
                f"{found.shape}"
            )
        return found

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, time: int) -> Float[np.ndarray, "y x band"]:
        return np.asarray(self.frames[time])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (np.asarray(frame) for frame in self.frames)

    def __repr__(self) -> str:
        time, height, width, bands = self.shape
        known = f", {len(self.names)} classes" if self.names else ""
        return f"Video({time} frames of {height} x {width}, {bands} bands{known})"


def require_size(got: Sequence[int], wanted: Sequence[int], *, time: int) -> None:
    """Refuse a frame of another size than those before it.

    Args:
        got: Its shape.
        wanted: Theirs.
        time: Its number.

    Raises:
        UsageError: They differ.

    Example:
        >>> require_size((2, 2, 3), (2, 2, 3), time=1)
    """
    if tuple(got) != tuple(wanted):
        raise UsageError(
            f"frames must keep their size; frame {time} is {tuple(got)} after {tuple(wanted)}: "
            "crop or resample them to one"
        )


def _stacked(frames: Any) -> Any:
    """Frames as something with the shape (time, y, x, band).

    Raises:
        UsageError: No frame, other axes, or frames that change size.
    """
    if isinstance(frames, Sequence):
        if not frames:
            raise UsageError("a video must have a frame or more, got none")
        arrays = [np.asarray(frame) for frame in frames]
        for time, frame in enumerate(arrays):
            require_size(frame.shape, arrays[0].shape, time=time)
        frames = np.stack(arrays)
    shape: tuple[int, ...] = getattr(frames, "shape", ())
    if len(shape) != 4 or not shape[0]:
        raise UsageError(f"frames must be (time, y, x, band), one or more; got {tuple(shape)}")
    return frames
