"""Environments made from those that are there: rotated, blurred."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.shift.remedies.erm import ERM
from limen.shift.remedies.rows import Predict, Remedy, Rows

Way = Callable[[Any], Any]


@dataclass(frozen=True)
class Rotated:
    """Pictures turned by an angle about their middle, what comes in from outside repeated.

    Args:
        degrees: From the first towards the second of `axes`, as `scipy.ndimage.rotate` counts.
        axes: Of height and width: (1, 2) for (rows, height, width[, channels]), (2, 3) for
            (rows, channels, height, width).

    Example:
        >>> picture = np.array([[[0.0, 1.0], [2.0, 3.0]]])
        >>> Rotated(90)(picture)[0].round(6).tolist()
        [[1.0, 3.0], [0.0, 2.0]]
    """

    degrees: float
    axes: tuple[int, int] = (1, 2)

    def __call__(self, inputs: Float[np.ndarray, "rows ..."]) -> Float[np.ndarray, "rows ..."]:
        """Turn.

        Args:
            inputs: Pictures.

        Returns:
            Of the same shape.

        Raises:
            UsageError: Not pictures.
        """
        from scipy.ndimage import rotate

        _refuse(inputs, self.axes)
        return rotate(inputs, self.degrees, self.axes, reshape=False, order=1, mode="nearest")


@dataclass(frozen=True)
class Blurred:
    """Pictures under a Gaussian blur.

    Args:
        sigma: Of the Gaussian in pixels, above 0.
        axes: Of height and width, as for `Rotated`.

    Raises:
        UsageError: `sigma` not positive.

    Example:
        >>> Blurred(1.0)(np.ones((1, 2, 2))).round(6).tolist()    # nothing to blur
        [[[1.0, 1.0], [1.0, 1.0]]]
    """

    sigma: float
    axes: tuple[int, int] = (1, 2)

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise UsageError(f"sigma={self.sigma} must be above 0")

    def __call__(self, inputs: Float[np.ndarray, "rows ..."]) -> Float[np.ndarray, "rows ..."]:
        """Blur.

        Args:
            inputs: Pictures.

        Returns:
            Of the same shape.

        Raises:
            UsageError: Not pictures.
        """
        from scipy.ndimage import gaussian_filter

        _refuse(inputs, self.axes)
        sigma = [self.sigma if axis in self.axes else 0.0 for axis in range(inputs.ndim)]
        return gaussian_filter(inputs, sigma, mode="nearest")


@dataclass(frozen=True)
class Augmented:
    """A remedy on the rows and on changed copies of them, each change a new environment.

    Unlike mixup, a change such as a turn or a blur can carry the data outside the hull of the
    sources, so that a target which lay outside comes to lie inside.

    Args:
        ways: Functions from inputs to inputs of the same shape, such as `Rotated(30)`.
        then: The remedy that learns from all of them; `GroupDRO` then sees every change.

    Example:
        >>> from limen.shift.remedies.training import Training
        >>> rows = Rows.of(np.arange(16.0).reshape(4, 2, 2), [0, 1, 0, 1], [0, 0, 0, 0])
        >>> learn = Augmented([Rotated(90)], then=ERM(Training(steps=5)))
        >>> learn(rows, seed=0)(np.zeros((3, 2, 2))).shape
        (3, 2)
    """

    ways: Sequence[Way]
    then: Remedy = field(default_factory=ERM)

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor, for inputs as they are.

        Raises:
            UsageError: A way changes the shape.
        """
        return self.then(with_environments(rows, self.ways), seed=seed)


@dataclass(frozen=True)
class Pretrained:
    """A remedy on features of a network that learned elsewhere, in place of the inputs.

    Args:
        features: Inputs to features, such as a frozen network's.
        then: The remedy that learns from them.

    Example:
        >>> from limen.shift.remedies.training import Training
        >>> rows = Rows.of(np.arange(8.0).reshape(4, 2), [0, 0, 1, 1], [0, 1, 0, 1])
        >>> learn = Pretrained(lambda x: x.sum(1, keepdims=True), then=ERM(Training(steps=5)))
        >>> learn(rows, seed=0)(np.zeros((3, 2))).shape
        (3, 2)
    """

    features: Way
    then: Remedy = field(default_factory=ERM)

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor, for inputs as they are.
        """
        found = np.asarray(self.features(rows.inputs), dtype=np.float64)
        predict = self.then(Rows(found, rows.labels, rows.environments, rows.classes), seed=seed)
        return lambda inputs: predict(np.asarray(self.features(inputs), dtype=np.float64))


def with_environments(rows: Rows, ways: Sequence[Way]) -> Rows:
    """The rows, then a changed copy of them for each way, in environments of its own.

    Args:
        rows: Rows.
        ways: Functions from inputs to inputs of the same shape.

    Returns:
        (1 + ways) times as many rows and environments.

    Raises:
        UsageError: A way changes the shape.

    Example:
        >>> rows = Rows.of([[1.0], [2.0]], [0, 1], [0, 1])
        >>> with_environments(rows, [lambda x: -x]).environments.tolist()
        [0, 1, 2, 3]
    """
    parts = [rows.inputs, *(np.asarray(way(rows.inputs), dtype=np.float64) for way in ways)]
    for part in parts:
        if part.shape != rows.inputs.shape:
            raise UsageError(
                f"a way must keep the shape of its inputs, {rows.inputs.shape}, got {part.shape}"
            )
    step = int(rows.environments.max()) + 1
    places = [rows.environments + step * place for place in range(len(parts))]
    labels = np.tile(rows.labels, len(parts))
    return Rows(np.concatenate(parts), labels, np.concatenate(places), rows.classes)


def _refuse(inputs: np.ndarray, axes: tuple[int, int]) -> None:
    if inputs.ndim <= max(axes) or min(axes) < 1:
        raise UsageError(
            f"inputs must be pictures with height and width on axes {axes}, got shape "
            f"{inputs.shape}; give axes="
        )
