"""What was seen before counts as well: logits averaged along the motion of the camera."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from scipy.ndimage import shift

from limen._core.errors import UsageError
from limen.run.files import packed, unpacked
from limen.spectral.understand.channels import channels_of
from limen.spectral.understand.displacement import displacement

_LEAST = -1e30  # for minus infinity, which cannot be interpolated


class SmoothedSegmenter:
    """Classes of pixels from this frame's logits and from those of the frames before.

    The past is moved by the shift of the whole frame since (phase correlation of the channels,
    parts of a pixel included, bilinear), and `m_t = (1 - w) logits_t + w moved(m_{t-1})` with
    `w = keep` where the channels stayed as they were but for noise and falling to 0 where they
    changed: things that move on their own leave no trail, and what enters the frame starts anew.
    In a frame that stands still the variance of noise falls by `(1 - keep) / (1 + keep)`. How much
    noise there is, is read off the frames: the median of their differences.

    Args:
        reader: A fitted `LinearPixels` or `Segmenter`, or another that has `logits(frame)`.
        keep: Weight of the past, from 0 to below 1.

    Raises:
        UsageError: `keep` out of range, or a reader without logits.

    Reference:
        Kuglin, Hines, The Phase Correlation Image Alignment Method, IEEE Conference on Cybernetics
        and Society, 1975, for the shift; the average along it is ours.

    Example:
        >>> from limen.spectral.understand.linear_pixels import LinearPixels
        >>> draw = np.random.default_rng(0)
        >>> mask = np.zeros((16, 16), dtype=int)
        >>> mask[4:12, 4:12] = 1
        >>> frames = [mask[..., None] + 0.5 * draw.normal(size=(16, 16, 1)) for _ in range(9)]
        >>> alone = LinearPixels().fit(frames, [mask] * 9)
        >>> reader = SmoothedSegmenter(alone)
        >>> found = [reader(frame) for frame in frames]
        >>> bool((found[-1] != mask).sum() < 0.5 * (alone(frames[-1]) != mask).sum())
        True
    """

    def __init__(self, reader: Any, *, keep: float = 0.7):
        if not 0 <= keep < 1:
            raise UsageError(f"keep={keep} must be from 0 to below 1")
        if not callable(getattr(reader, "logits", None)):
            raise UsageError(
                f"reader must have logits(frame), as LinearPixels and Segmenter have; got "
                f"{type(reader).__name__}"
            )
        self.reader, self.keep = reader, keep
        self._past: tuple[np.ndarray, np.ndarray] | None = None

    def start(self) -> "SmoothedSegmenter":
        """Forget what was seen, before another video.

        Returns:
            self.
        """
        self._past = None
        return self

    def logits(self, frame: Any) -> Float[np.ndarray, "y x classes"]:
        """Read the next frame, and remember it; higher = likelier.

        Args:
            frame: `Counts` or (y, x, channel), of the size of the one before.

        Returns:
            (y, x, class).

        Raises:
            UsageError: No frame, or one of another size; `start` begins anew.
        """
        values = channels_of(frame)
        if values.ndim != 3:
            raise UsageError(f"a frame must be (y, x, channel), got {values.shape}")
        if self._past is not None and self._past[0].shape != values.shape:
            raise UsageError(
                f"a frame must be {self._past[0].shape} as the one before, got {values.shape}; "
                "start() begins another video"
            )
        now = np.maximum(self.reader.logits(frame), _LEAST)
        if self._past is not None:
            down, right, _ = displacement(self._past[0], values, phase=True)
            seen, kept = (_moved(part, (down, right)) for part in self._past)
            weight = (self.keep * _same(seen, values, (down, right)))[..., None]
            now = now + weight.astype(now.dtype) * (kept - now)
            # channels are averaged likewise: against less noise the next shift is surer
            values = values + weight.astype(values.dtype) * (seen - values)
        self._past = values, now
        return np.asarray(now)

    def __call__(self, frame: Any) -> Int64[np.ndarray, "y x"]:
        """The likeliest class of each pixel of the next frame.

        Args:
            frame: `Counts` or (y, x, channel).

        Returns:
            (y, x).
        """
        return np.asarray(self.logits(frame).argmax(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """Reader and settings; what was seen belongs to its video."""
        return {"reader": packed(self.reader), "keep": self.keep}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SmoothedSegmenter":
        """The inverse of `to_dict`."""
        return cls(unpacked(data["reader"]), keep=data["keep"])


def _moved(planes: np.ndarray, by: tuple[float, float]) -> np.ndarray:
    return np.asarray(shift(planes, (*by, 0.0), order=1, mode="nearest"))


def _same(before: np.ndarray, after: np.ndarray, by: tuple[float, float]) -> np.ndarray:
    """1 where the channels stayed but for noise, 0 where they changed or were not in the frame."""
    away = np.abs(after - before)
    spread = np.median(away, axis=(0, 1)) / 0.6745  # of a normal
    whole = np.maximum(spread, 1e-6 * np.maximum(np.abs(after).max(axis=(0, 1)), 1e-30))
    excess = np.maximum((away / whole) ** 2 - 1, 0).mean(axis=-1)
    found = np.exp(-0.5 * np.maximum(excess - 2, 0))  # noise alone seldom has an excess of 2
    for axis, part in enumerate(by):
        came = np.arange(found.shape[axis]) - part
        inside = (came >= 0) & (came <= found.shape[axis] - 1)
        found = found * np.expand_dims(inside, 1 - axis)
    return found
