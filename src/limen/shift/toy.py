"""Real digits on real textures, where the texture gives the digit away: seconds of work."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from limen._core.errors import UsageError
from limen._core.optional import require
from limen._core.streams import numpy_stream

TEXTURES = ("brick", "grass", "gravel")
SIDE = 16


@dataclass(frozen=True, eq=False)
class Pasted:
    """Digits on textures.

    Attributes:
        pictures: 16 x 16 grey values in [0, 1], flattened to 256.
        labels: What is left of the digit when divided by 3: 0, 1 or 2.
        textures: What each stands on: place in `TEXTURES`.

    Example:
        >>> digits_on_textures(seed=0).test.pictures.shape[1]
        256
    """

    pictures: Float32[np.ndarray, "rows pixels"]
    labels: Int64[np.ndarray, " rows"]
    textures: Int64[np.ndarray, " rows"]

    @property
    def names(self) -> list[str]:
        """What each stands on, in words."""
        return [TEXTURES[one] for one in self.textures]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class DigitsOnTextures:
    """Digits whose background agrees with them at home, and on any background away.

    Attributes:
        train: To learn from: class c stands on texture c, but for a few.
        repair: Other digits on any texture, to find and to repair with.
        test: Others again on any texture.
        home: The digits of `test` on textures as in training.

    Example:
        >>> found = digits_on_textures(seed=0, share=1.0)
        >>> bool((found.train.textures == found.train.labels).all())
        True
    """

    train: Pasted
    repair: Pasted
    test: Pasted
    home: Pasted


def digits_on_textures(
    *, seed: int, share: float = 0.95, train: float = 0.4, ink: float = 0.5
) -> DigitsOnTextures:
    """Paste scikit-learn's digits faintly on photographs of brick, grass and gravel.

    The class is the digit's remainder by 3: 0, 3, 6, 9 or 1, 4, 7 or 2, 5, 8. That takes knowing
    all ten shapes, and the texture gives it away. No digit occurs in two of `train`, `repair` and
    `test`; their textures are cut from different parts of the photographs.

    Args:
        seed: Decides splits, textures and where they are cut.
        share: Of digits at home on their own texture; the others stand on the other two, alike.
        train: Share of the digits to learn from, above 0 and at most 0.8; the rest is halved.
        ink: How far white covers the texture, above 0 and at most 1.

    Returns:
        The sets.

    Raises:
        UsageError: A share out of range.

    Reference:
        Digits: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998,
        as scikit-learn ships them. Textures: scikit-image's brick, grass and gravel.

    Example:
        >>> found = digits_on_textures(seed=0)
        >>> len(found.train) + len(found.repair) + len(found.test)
        1797
    """
    if not 0 <= share <= 1 or not 0 < train <= 0.8 or not 0 < ink <= 1:
        raise UsageError(
            f"share={share} must be 0 to 1, train={train} above 0 and at most 0.8, ink={ink} above "
            "0 and at most 1"
        )
    rows, labels = require("sklearn.datasets", extra="vision").load_digits(return_X_y=True)
    shapes = (ink * rows / 16).astype(np.float32).reshape(-1, 8, 8)
    order = numpy_stream(seed, "shift toy", "split").permutation(len(labels))
    first = round(train * len(order))
    parts = np.split(order, [first, first + (len(order) - first) // 2])
    found = [
        _pasted(shapes[mine], labels[mine] % 3, part=part, share=at_home, seed=seed)
        for mine, part, at_home in zip(
            [*parts, parts[2]], (0, 1, 2, 2), (share, None, None, share), strict=True
        )
    ]
    return DigitsOnTextures(*found)


def turned(
    angles: Sequence[float], *, seed: int, rows: int = 200
) -> list[Float32[np.ndarray, "rows pixels"]]:
    """Digits turned by angles, on black, 8 x 8 flattened to 64; no digit occurs twice.

    Args:
        angles: In degrees, counter-clockwise; one may come twice.
        seed: Which digits.
        rows: How many at each angle; 1,797 in all.

    Returns:
        Grey values in [0, 1], for each angle.

    Raises:
        UsageError: More digits than there are, or none.

    Reference:
        Digits: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998.

    Example:
        >>> [part.shape for part in turned([0, 90], seed=0, rows=5)]
        [(5, 64), (5, 64)]
    """
    from scipy.ndimage import rotate

    pictures = require("sklearn.datasets", extra="vision").load_digits().images / 16
    if rows < 1 or not 1 <= rows * len(angles) <= len(pictures):
        raise UsageError(
            f"angles and rows must ask for 1 to {len(pictures)} digits, got {len(angles)} times "
            f"{rows}"
        )
    order = numpy_stream(seed, "shift toy", "turned").permutation(len(pictures))
    found = []
    for place, angle in enumerate(angles):
        mine = pictures[order[place * rows : (place + 1) * rows]]
        moved = rotate(mine, angle, axes=(1, 2), reshape=False, order=1).clip(0, 1)
        found.append(moved.reshape(rows, -1).astype(np.float32))
    return found


def _pasted(
    shapes: np.ndarray, labels: np.ndarray, *, part: int, share: float | None, seed: int
) -> Pasted:
    """Digits in white on textures cut from one third of the photographs; None = any texture."""
    stream = numpy_stream(seed, "shift toy", "textures", part, share)
    own, count = labels, len(labels)
    other = (own + stream.integers(1, len(TEXTURES), count)) % len(TEXTURES)
    strays = stream.random(count) >= (1 / len(TEXTURES) if share is None else share)
    textures = np.where(strays, other, own)
    photographs = require("skimage.data", extra="vision")
    cuts = np.empty((count, SIDE, SIDE), dtype=np.float32)
    for one, name in enumerate(TEXTURES):
        mine = np.flatnonzero(textures == one)
        grey = np.asarray(getattr(photographs, name)(), dtype=np.float32) / 255
        third = np.array_split(grey, 3, axis=1)[part]
        tops = stream.integers(third.shape[0] - SIDE + 1, size=len(mine))
        lefts = stream.integers(third.shape[1] - SIDE + 1, size=len(mine))
        windows = np.lib.stride_tricks.sliding_window_view(third, (SIDE, SIDE))
        cuts[mine] = windows[tops, lefts]
    large = shapes.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
    pictures = large + (1 - large) * cuts
    return Pasted(pictures.reshape(count, -1), labels.astype(np.int64), textures.astype(np.int64))
