"""Digits that a small network knows, and what it has never seen: real data, seconds of work."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from limen._core.errors import UsageError
from limen._core.optional import require
from limen._core.streams import numpy_stream

_SIDE = 8
_TEXTURES = ("brick", "grass", "gravel")
AUXILIARY = ("pictures", "digits")


@dataclass(frozen=True)
class Digits:
    """Handwritten digits of known classes, outliers to learn from, and outliers to be caught.

    All pictures are 8 x 8 grey values in [0, 1], flattened to 64.

    Attributes:
        train: Known digits to learn.
        train_labels: Their classes, 0 up.
        calibration: Known digits kept apart for a threshold; perhaps none.
        test: Known digits to be let through.
        test_labels: Their classes.
        auxiliary: Outliers to learn from.
        outliers: Sets of outliers to be caught, by name; none of their pictures is in `auxiliary`.

    Example:
        >>> found = digits(seed=0)
        >>> found.train.shape[1], sorted(set(found.train_labels.tolist())), len(found.outliers)
        (64, [0, 1, 2, 3, 4, 5], 8)
    """

    train: Float32[np.ndarray, "train pixels"]
    train_labels: Int64[np.ndarray, " train"]
    calibration: Float32[np.ndarray, "calibration pixels"]
    test: Float32[np.ndarray, "test pixels"]
    test_labels: Int64[np.ndarray, " test"]
    auxiliary: Float32[np.ndarray, "auxiliary pixels"]
    outliers: dict[str, Float32[np.ndarray, "outliers pixels"]] = field(default_factory=dict)


def digits(
    *,
    seed: int,
    auxiliary: str = "pictures",
    known: int = 6,
    train: float = 0.6,
    calibration: float = 0.0,
) -> Digits:
    """Split scikit-learn's digits into classes known and never seen, with outliers beside them.

    Caught should be: the classes 8 and 9 (near), and patches of another photograph, textures,
    noise, known digits inverted, permuted, rotated, and averaged in pairs (far).

    Args:
        seed: Decides the split and every random outlier.
        auxiliary: Outliers to learn from: "pictures", 1,000 patches of one photograph; or
            "digits", the classes 6 and 7.
        known: Classes 0 to known - 1 are known; 2 to 6.
        train: Share of the known digits to learn.
        calibration: Share kept apart; the rest is the test.

    Returns:
        The sets.

    Raises:
        UsageError: Another word for `auxiliary`, or a number out of range.

    Reference:
        Digits: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998,
        as scikit-learn ships them. Textures: scikit-image's brick, grass and gravel.

    Example:
        >>> found = digits(seed=0, train=0.5, calibration=0.2)
        >>> round(len(found.calibration) / len(found.test), 1)
        0.7
    """
    if auxiliary not in AUXILIARY:
        raise UsageError(f"auxiliary={auxiliary!r} must be one of {', '.join(AUXILIARY)}")
    if not 2 <= known <= 6:
        raise UsageError(f"known={known} must be 2 to 6, so that 6 to 9 are never seen")
    if not (train > 0 and calibration >= 0 and train + calibration < 1):
        raise UsageError(
            f"train={train} and calibration={calibration} must leave some digits for the test"
        )
    datasets = require("sklearn.datasets", extra="vision")
    rows, labels = datasets.load_digits(return_X_y=True)
    rows = (rows / 16).astype(np.float32)
    here = np.flatnonzero(labels < known)
    order = numpy_stream(seed, "digits", "split").permutation(here)
    first, second = round(train * len(order)), round((train + calibration) * len(order))
    taught, kept, asked = np.split(order, [first, second])
    photographs = datasets.load_sample_images().images
    learnt = {
        "pictures": lambda: patches(photographs[0], 1000, seed=seed),
        "digits": lambda: rows[np.isin(labels, (6, 7))],
    }
    return Digits(
        rows[taught], labels[taught], rows[kept], rows[asked], labels[asked],
        auxiliary=learnt[auxiliary](),
        outliers={
            "digits 8 and 9": rows[np.isin(labels, (8, 9))],
            "another picture": patches(photographs[1], 500, seed=seed),
            "textures": _textures(seed),
            **_disturbed(rows[asked], seed),
        },
    )  # fmt: skip


def patches(picture: np.ndarray, count: int, *, seed: int) -> Float32[np.ndarray, "{count} pixels"]:
    """Random 8 x 8 patches of a picture at half its size, grey, in [0, 1].

    Args:
        picture: uint8 (height, width) or (height, width, 3), at least 16 x 16.
        count: How many.
        seed: Decides where.

    Returns:
        One flattened patch a row.

    Example:
        >>> patches(np.full((20, 20), 255, dtype=np.uint8), 2, seed=0).tolist() == [[1.0] * 64] * 2
        True
    """
    grey = picture / 255 if picture.ndim == 2 else picture.mean(-1) / 255
    stream = numpy_stream(seed, "digits", "patches")
    reach = 2 * _SIDE
    tops = stream.integers(grey.shape[0] - reach + 1, size=count)
    lefts = stream.integers(grey.shape[1] - reach + 1, size=count)
    windows = np.lib.stride_tricks.sliding_window_view(grey, (reach, reach))[tops, lefts]
    halved = windows.reshape(count, _SIDE, 2, _SIDE, 2).mean((2, 4))
    return halved.reshape(count, -1).astype(np.float32)


def _textures(seed: int) -> np.ndarray:
    pictures = require("skimage.data", extra="vision")
    parts: Sequence[np.ndarray] = [
        patches(getattr(pictures, name)(), 167, seed=seed) for name in _TEXTURES
    ]
    return np.concatenate(parts)


def _disturbed(test: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Known digits that are none any more, and noise."""
    stream = numpy_stream(seed, "digits", "disturbed")
    squares = test.reshape(-1, _SIDE, _SIDE)
    pairs = stream.permutation(len(test))
    return {
        "uniform noise": stream.random((500, test.shape[1]), dtype=np.float32),
        "inverted": 1 - test,
        "pixels permuted": test[:, stream.permutation(test.shape[1])],
        "rotated by 90 degrees": np.rot90(squares, axes=(1, 2)).reshape(len(test), -1).copy(),
        "two averaged": (test + test[pairs]) / 2,
    }
