"""How a change fades in and out at its seams."""

import numpy as np


def rising(position: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights that rise from 0 to 1 by a cosine: `(1 - cos(pi min(i / (n + 1), 1))) / 2`.

    Args:
        position: i, of each point from the seam, counted from 1.
        points: n, over which its seam rises; 0 is no seam.

    Returns:
        One weight a point, above 0 and at most 1.

    Example:
        >>> rising(np.arange(1, 4), np.array(1)).round(2)
        array([0.5, 1. , 1. ])
    """
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(position / (points + 1), 1.0))
