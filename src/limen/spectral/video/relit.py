"""The same video under light that changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.spectral.video.video import Frames, Video


def relit(video: Video, light: Callable[[float], Float[np.ndarray, " bands"]]) -> Video:
    """The video under light that changes in power or colour, frame by frame; masks stay.

    Args:
        video: Frames under the light that the camera was calibrated for.
        light: Power relative to that light at each band, asked at times from 0 to 1.

    Returns:
        A video whose frames are made when asked for.

    Raises:
        UsageError: Light of another number of bands, or negative, when the frame is asked for.

    Example:
        >>> from limen.spectral.wavelengths import Wavelengths
        >>> video = Video(np.ones((2, 1, 1, 2)), Wavelengths([500.0, 600.0]))
        >>> relit(video, lambda t: np.array([1 - t, 1.0]))[1].tolist()
        [[[0.0, 1.0]]]
    """
    bands = video.shape[-1]

    def frame(time: int) -> Any:
        power = np.asarray(light(time / max(1, len(video) - 1)))
        if power.shape != (bands,) or not (power >= 0).all():
            raise UsageError(
                f"light must give a power of 0 or more for each of {bands} bands, got "
                f"{power.shape} at frame {time}"
            )
        found = video[time]
        return found * power.astype(found.dtype)

    frames = Frames(frame, video.shape)
    return Video(frames, video.wavelengths, masks=video.masks, names=video.names)
