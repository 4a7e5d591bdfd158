"""Training and test pixels of one scene that no patch sees both of."""

import numpy as np
from jaxtyping import Bool

from limen._core.errors import UsageError


def halves(
    shape: tuple[int, int], *, radius: int = 0
) -> tuple[Bool[np.ndarray, "y x"], Bool[np.ndarray, "y x"]]:
    """The upper half to train on and the lower to test on, with a guard of pixels between.

    Random pixels of one scene lie beside each other, and a patch around a test pixel then holds
    training pixels; here no test pixel is within `radius` rows or columns of a training pixel.

    Args:
        shape: Rows and columns of the scene.
        radius: How far a patch reaches from its centre, at least 0.

    Returns:
        Masks of training and of test pixels.

    Raises:
        UsageError: A negative radius, or too few rows for both halves and the guard.

    Example:
        >>> train, test = halves((8, 1), radius=2)
        >>> train[:, 0].nonzero()[0].tolist(), test[:, 0].nonzero()[0].tolist()
        ([0, 1, 2], [5, 6, 7])
    """
    rows = shape[0]
    if radius < 0 or rows - radius < 2:
        raise UsageError(
            f"radius must be at least 0 and leave two rows of {rows}, got {radius}; shrink it"
        )
    first = (rows - radius + 1) // 2
    train, test = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    train[:first] = True
    test[first + radius :] = True
    return train, test
