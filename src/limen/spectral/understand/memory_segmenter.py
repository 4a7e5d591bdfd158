"""One mask given, the others follow: pixels find their like in remembered frames."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral.understand.channels import channels_of

_BLOCK = 1 << 22  # similarities held at once


class MemorySegmenter:
    """Carries a mask through a video by a soft match of each pixel with remembered ones.

    Key of a pixel: its channels, standardised by the noise within classes of the first frame, and
    its place. Value: its class. The answer is `sum_j softmax_j(-d(q, k_j)^2 / temperature) v_j`
    over the remembered pixels j: those of the first frame, of the frame before, and of every
    `every`-th, at most `frames` of them; of each, `pixels` drawn at random. A dense soft match
    over a memory of frames whose values hold masks, as in space-time memory networks, but without
    learnt weights: channels that were encoded for it tell materials apart by themselves. This is
    our own reader; which network the published platform uses is not known.

    Args:
        temperature: Softness, above 0, in squared standard deviations.
        place: Weight of a distance as long as the frame's diagonal, at least 0; 0 ignores places.
        every: Frames between those remembered for good, at least 1.
        frames: Remembered frames besides the first and the last, at least 0.
        pixels: Remembered of each frame, at least 1.
        seed: Of the draw.

    Raises:
        UsageError: A number out of range.

    Reference:
        Oh, Lee, Xu, Kim, Video Object Segmentation using Space-Time Memory Networks, ICCV 2019,
        for the soft match over a memory of frames.

    Example:
        >>> frame = np.zeros((6, 6, 2))
        >>> frame[:3, :3] = 1.0
        >>> reader = MemorySegmenter().start(frame, (frame[..., 0] > 0).astype(int))
        >>> reader(np.roll(frame, 1, axis=1))[0].tolist()
        [0, 1, 1, 1, 0, 0]
    """

    def __init__(
        self,
        *,
        temperature: float = 1.0,
        place: float = 2.0,
        every: int = 5,
        frames: int = 4,
        pixels: int = 1500,
        seed: int = 0,
    ):
        if not temperature > 0 or not place >= 0 or min(every, pixels) < 1 or frames < 0:
            raise UsageError(
                f"temperature={temperature} must be above 0, place={place} and frames={frames} 0 "
                f"or more, every={every} and pixels={pixels} 1 or more"
            )
        self.settings = {
            "temperature": temperature, "place": place, "every": every, "frames": frames,
            "pixels": pixels, "seed": seed,
        }  # fmt: skip
        self._scale: np.ndarray | None = None
        self._classes = self._time = 0
        self._size: tuple[int, ...] = ()
        self._memory: list[tuple[Tensor, Tensor]] = []  # the first, those kept, the last

    def start(self, frame: Any, mask: Any) -> "MemorySegmenter":
        """Begin a video: forget others, and remember its first frame with its mask.

        Args:
            frame: `Counts` or (y, x, channel).
            mask: (y, x), whole numbers from 0.

        Returns:
            self.

        Raises:
            UsageError: Another grid, or fewer than two classes.
        """
        values, named = channels_of(frame), np.asarray(mask)
        if values.ndim != 3 or values.shape[:2] != named.shape or named.dtype.kind not in "iu":
            raise UsageError(
                f"mask must give a whole number for each of {values.shape[:2]} pixels, got "
                f"{named.dtype} {named.shape}"
            )
        present = np.unique(named)
        if len(present) < 2 or present[0] < 0:
            raise UsageError(f"mask must name two classes or more, from 0; got {present.tolist()}")
        away = np.concatenate([
            values[named == one] - values[named == one].mean(axis=0) for one in present
        ])  # fmt: skip
        overall = np.maximum(values.reshape(-1, values.shape[-1]).std(axis=0), 1e-12)
        self._scale = np.maximum(away.std(axis=0), 0.02 * overall)
        self._classes, self._time, self._size = int(present[-1]) + 1, 0, named.shape
        keys, sharp = (
            self._keys(values),
            torch.eye(self._classes)[torch.from_numpy(named.ravel().astype(np.int64))],
        )
        kept = self._drawn(keys, sharp, present=named.ravel())
        self._memory = [kept, kept]
        return self

    def probabilities(self, frame: Any) -> Float[np.ndarray, "y x classes"]:
        """Read the next frame, and remember it.

        Args:
            frame: `Counts` or (y, x, channel), of the first frame's size.

        Returns:
            (y, x, class), summing to 1.

        Raises:
            UsageError: `start` was not called, or a frame of another size.
        """
        if self._scale is None:
            raise UsageError("MemorySegmenter must start with a frame and its mask: start(...)")
        values = channels_of(frame, count=len(self._scale))
        if values.shape[:-1] != self._size:
            raise UsageError(
                f"a frame must have the first one's {self._size[0]} x {self._size[1]} pixels, got "
                f"{values.shape[:-1]}"
            )
        keys = self._keys(values)
        memory = torch.cat([k for k, _ in self._memory])
        held = torch.cat([v for _, v in self._memory])
        step = max(1, _BLOCK // len(memory))
        found = torch.cat([
            torch.softmax(-torch.cdist(part, memory).square() / self.settings["temperature"], 1)
            @ held
            for part in keys.split(step)
        ])  # fmt: skip
        self._remember(keys, found)
        return np.asarray(found.reshape(*values.shape[:2], -1).numpy())

    def __call__(self, frame: Any) -> Int64[np.ndarray, "y x"]:
        """The likeliest class of each pixel of the next frame.

        Args:
            frame: `Counts` or (y, x, channel).

        Returns:
            (y, x).
        """
        return np.asarray(self.probabilities(frame).argmax(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        """The settings; a memory belongs to its video."""
        return dict(self.settings)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "MemorySegmenter":
        """The inverse of `to_dict`."""
        return cls(**data)

    def _keys(self, values: np.ndarray) -> Tensor:
        """(pixels, channels and two places), in units in which the temperature is."""
        assert self._scale is not None
        height, width, channels = values.shape
        y, x = np.mgrid[:height, :width] / np.hypot(height, width)
        weight = float(np.sqrt(self.settings["place"] * channels))
        flat = values.reshape(-1, channels) / (self._scale * np.sqrt(channels))
        places = weight * np.stack([y.ravel(), x.ravel()], axis=1)
        return torch.from_numpy(np.concatenate([flat, places], axis=1).astype(np.float32))

    def _drawn(self, keys: Tensor, values: Tensor, *, present: np.ndarray) -> tuple[Tensor, Tensor]:
        """Some pixels, as many of each class, so that small things are not forgotten."""
        draw = numpy_stream(int(self.settings["seed"]), "memory", self._time)
        classes = np.unique(present)
        share = max(1, int(self.settings["pixels"]) // len(classes))
        rows = np.concatenate([
            draw.permutation(np.flatnonzero(present == one))[:share] for one in classes
        ])  # fmt: skip
        return keys[rows], values[rows]

    def _remember(self, keys: Tensor, values: Tensor) -> None:
        self._time += 1
        drawn = self._drawn(keys, values, present=values.argmax(1).numpy())
        self._memory[-1] = drawn
        if self._time % int(self.settings["every"]) == 0 and self.settings["frames"]:
            self._memory.insert(-1, drawn)
            if len(self._memory) > int(self.settings["frames"]) + 2:
                del self._memory[1]
