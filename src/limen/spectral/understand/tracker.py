"""Following one thing by its spectrum and its shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.spectral.understand.channels import channels_of
from limen.spectral.understand.displacement import displacement
from limen.spectral.understand.targets import MatchedFilter

_SIDE = 2.5  # of the search window, in boxes


@dataclass(frozen=True)
class Box:
    """Where a thing is: its centre and size in pixels, and how sure that is (0 to 1).

    Example:
        >>> Box(10.0, 12.0, 4.0, 6.0).overlap(Box(10.0, 12.0, 4.0, 3.0))
        0.5
    """

    y: float
    x: float
    height: float
    width: float
    score: float = 1.0

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0 to 1; 0 where neither box holds anything.

        Args:
            other: Another box.

        Returns:
            The share.
        """
        sides = [
            max(0.0, min(a + p / 2, b + q / 2) - max(a - p / 2, b - q / 2))
            for a, p, b, q in ((self.y, self.height, other.y, other.height),
                               (self.x, self.width, other.x, other.width))
        ]  # fmt: skip
        both = sides[0] * sides[1]
        either = self.height * self.width + other.height * other.width - both
        return both / either if either > 0 else 0.0


class Tracker:
    """Follows a box: a matched filter says what is like the target, correlation says where.

    At `start` the mean channels inside the box are the target and the pixels outside the
    background of a `MatchedFilter`. In each next frame its map, within a window around the last
    place, is correlated with the box's own map (normalised, by FFT); the peak, refined by a
    parabola to parts of a pixel, is the new place, and the template follows slowly.

    Args:
        follow: Share by which the template takes up each new frame, 0 to 1.

    Raises:
        UsageError: `follow` out of range.

    Reference:
        Bolme, Beveridge, Draper, Lui, Visual Object Tracking using Adaptive Correlation Filters,
        CVPR 2010, for tracking by correlation; the spectral map under it is ours.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> frames = draw.normal(scale=0.01, size=(2, 24, 24, 3))
        >>> frames[0, 8:14, 8:14] += [1.0, 0.2, 0.0]
        >>> frames[1, 9:15, 10:16] += [1.0, 0.2, 0.0]
        >>> tracker = Tracker().start(frames[0], Box(11.0, 11.0, 6.0, 6.0))
        >>> found = tracker(frames[1])
        >>> round(found.y), round(found.x)
        (12, 13)
    """

    def __init__(self, *, follow: float = 0.05):
        if not 0 <= follow <= 1:
            raise UsageError(f"follow={follow} must be from 0 to 1")
        self.follow = follow
        self.filter: MatchedFilter | None = None
        self.box: Box | None = None
        self._template = np.zeros((0, 0))

    def start(self, frame: Any, box: Box) -> "Tracker":
        """Begin with a frame and the box around the thing.

        Args:
            frame: `Counts` or (y, x, channel).
            box: Around the thing, inside the frame.

        Returns:
            self.

        Raises:
            UsageError: No frame, a background of one colour, or a box that is not inside, or
                smaller than two pixels.
        """
        values = _frame(frame)
        height, width = values.shape[:2]
        inside, sides = _inside(box, (height, width)), (box.height, box.width)
        if not 2 <= min(sides) <= max(sides) < np.inf or not inside.any() or inside.all():
            raise UsageError(
                f"box must lie inside the frame of {height} x {width} and have sides of 2 or more, "
                f"got {box}"
            )
        self.filter = MatchedFilter(values[inside].mean(axis=0)).fit(values[~inside])
        self.box = box
        self._template = self._window(self.filter(values), box)
        return self

    def __call__(self, frame: Any) -> Box:
        """Find the thing in the next frame.

        Args:
            frame: `Counts` or (y, x, channel).

        Returns:
            Its box; `score` is the correlation with the template, 0 to 1.

        Raises:
            UsageError: `start` was not called, or no frame.
        """
        if self.filter is None or self.box is None:
            raise UsageError("Tracker must start with a frame and a box: start(frame, box)")
        scores = self.filter(_frame(frame))
        window = self._window(scores, self.box)
        dy, dx, score = displacement(self._template, window)
        old = self.box
        self.box = Box(old.y + dy, old.x + dx, old.height, old.width, score)
        moved = self._window(scores, self.box)
        self._template = (1 - self.follow) * self._template + self.follow * moved
        return self.box

    def to_dict(self) -> dict[str, Any]:
        """The settings; a template belongs to its video."""
        return {"follow": self.follow}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Tracker":
        """The inverse of `to_dict`."""
        return cls(follow=data["follow"])

    def _window(self, scores: Float[np.ndarray, "y x"], box: Box) -> np.ndarray:
        """The map around a box, bilinear, 0 beyond the frame."""
        sides = [max(8, round(_SIDE * side)) for side in (box.height, box.width)]
        y = box.y + np.arange(sides[0]) - (sides[0] - 1) / 2 - 0.5
        x = box.x + np.arange(sides[1]) - (sides[1] - 1) / 2 - 0.5
        padded = np.pad(np.asarray(scores, dtype=np.float64), 1)
        rows, columns = (np.clip(p + 1, 0, n + 0.999) for p, n in zip((y, x), scores.shape,
                                                                      strict=True))  # fmt: skip
        top, left = rows.astype(int), columns.astype(int)
        a, b = (rows - top)[:, None], (columns - left)[None]
        grid = padded[top][:, left] * (1 - b) + padded[top][:, left + 1] * b
        below = padded[top + 1][:, left] * (1 - b) + padded[top + 1][:, left + 1] * b
        return np.clip((1 - a) * grid + a * below, -0.5, 1.5)


def _frame(frame: Any) -> Float[np.ndarray, "y x channels"]:
    values = channels_of(frame)
    if values.ndim != 3:
        raise UsageError(f"a frame must be (y, x, channel), got {values.shape}")
    return values


def _inside(box: Box, shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (abs(y - box.y) <= box.height / 2) & (abs(x - box.x) <= box.width / 2)
