"""Cosines of many photos with many class embeddings, a block of photos at a time."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

_BLOCK = 1 << 21  # cosines held at a time


def cosines(
    images: Float[np.ndarray, "rows width"], texts: Float[np.ndarray, "classes width"]
) -> Iterator[Float[np.ndarray, "block classes"]]:
    """Blocks of rows of cosines, in order; higher = more alike.

    Classes of one embedding (ImageNet has two cranes and two maillots, and a prompt cannot tell
    them apart) get one cosine to the last bit: a matrix product does not promise that, and a tie
    would be broken by rounding.

    Args:
        images: Rows of length 1.
        texts: Rows of length 1.

    Yields:
        Some rows of `images @ texts.T`.

    Example:
        >>> [block.tolist() for block in cosines(np.eye(2), np.eye(2)[[1, 1]])]
        [[[0.0, 0.0], [1.0, 1.0]]]
    """
    _, first, back = np.unique(texts, axis=0, return_index=True, return_inverse=True)
    doubled = len(first) < len(texts)
    kept = texts[first] if doubled else texts
    size = max(1, _BLOCK // len(texts))
    for start in range(0, len(images), size):
        block = images[start : start + size] @ kept.T
        yield block[:, back.reshape(-1)] if doubled else block
