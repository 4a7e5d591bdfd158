"""The floor of everything that reads memory: the fastest sum that we found."""

import numba
import numpy as np


@numba.njit(nogil=True, fastmath=True)
def read(words: np.ndarray) -> int:
    """The sum of the words: four independent sums, so that memory is what is waited for."""
    a = b = c = d = 0
    quarter = len(words) // 4
    for i in range(quarter):
        a += words[i]
        b += words[i + quarter]
        c += words[i + 2 * quarter]
        d += words[i + 3 * quarter]
    return a + b + c + d
