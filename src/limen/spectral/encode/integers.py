"""Encoding in whole numbers: the same sums on every machine, to the last bit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int16, Int32, Int64, Integer

from limen._core.errors import UsageError
from limen.spectral.encode.kernel import LANES, group_size, kernel
from limen.spectral.encode.tiles import Tiles


def quantised(
    matrix: Float[np.ndarray, "channels bands"], *, top: int = 2047
) -> tuple[Int16[np.ndarray, "channels bands"], float]:
    """A matrix in whole numbers of one scale: weights = round(matrix / scale).

    Args:
        matrix: The encoding matrix.
        top: Largest weight, 1 to 32767; 2047 leaves room for 204 bands of 12 bit.

    Returns:
        The weights and the scale by which sums are multiplied to mean what the matrix means.

    Raises:
        UsageError: A matrix of zeros or with numbers that are not finite, or a top out of range.

    Example:
        >>> weights, scale = quantised(np.array([[0.5, 1.0]]), top=10)
        >>> weights.tolist(), scale
        ([[5, 10]], 0.1)
    """
    peak = float(np.abs(matrix).max(initial=0))
    if not (np.isfinite(matrix).all() and peak > 0) or not 1 <= top <= 32_767:
        raise UsageError(
            f"matrix must be finite and not 0, and top 1 to 32767; got a peak of {peak} and {top}"
        )
    scale = peak / top
    return np.rint(matrix / scale).astype(np.int16), scale


def encode_integers(
    tiles: Tiles,
    weights: Int16[np.ndarray, "channels bands"],
    *,
    threads: int = 1,
    out: Int32[np.ndarray, "tiles channels 8"] | None = None,
) -> Int32[np.ndarray, "tiles channels 8"]:
    """Exact sums of weights times values for each pixel, one sweep over the tiles.

    Refused unless bands x peak x largest weight < 2^31: then no sum can overflow, and the result
    equals the one in int64 to the last bit.

    Args:
        tiles: The cube.
        weights: Whole numbers, as `quantised` gives.
        threads: Threads that share the tiles.
        out: Where to write, of an earlier call; allocated when left out.

    Returns:
        Sums by tile; `tiles.pixels` gives them the axes of the cube.

    Raises:
        UsageError: Weights of another number of bands, sums that could overflow, no thread, or an
            `out` of another shape.

    Example:
        >>> tiles = Tiles.cut(np.array([[[1, 2, 3]]], dtype=np.uint16))
        >>> sums = encode_integers(tiles, np.array([[1, 10, 100]], dtype=np.int16))
        >>> tiles.pixels(sums).tolist()
        [[[321]]]
    """
    channels, bands = weights.shape
    _fits(tiles, weights)
    size = group_size(channels)
    groups = -(-channels // size)
    packed = np.zeros((groups, tiles.values.shape[1], size, 2), dtype=np.int16)
    for channel in range(channels):
        row = np.zeros(2 * packed.shape[1], dtype=np.int16)
        row[:bands] = weights[channel]
        packed[channel // size, :, channel % size] = row.reshape(-1, 2)
    shape = (len(tiles.values), groups * size, LANES)
    if out is None:
        out = np.empty(shape, dtype=np.int32)
    if out.shape != shape or out.dtype != np.int32 or not out.flags.c_contiguous:
        raise UsageError(f"out must be contiguous int32 of {shape}, got {out.dtype} {out.shape}")
    if threads < 1:
        raise UsageError(f"threads must be at least 1, got {threads}; give the cores to use")
    run, factors = kernel(channels), packed.view(np.int32)[..., 0]
    cuts = np.linspace(0, len(tiles.values), threads + 1).astype(int)
    if threads == 1:
        run(tiles.values, factors, out, 0, len(tiles.values))
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(
                pool.map(
                    lambda i: run(tiles.values, factors, out, cuts[i], cuts[i + 1]), range(threads)
                )
            )
    return out[:, :channels]


def encode_exactly(
    cube: Integer[np.ndarray, "*lead bands"], weights: Integer[np.ndarray, "channels bands"]
) -> Int64[np.ndarray, "*lead channels"]:
    """The same sums in int64 by the plain formula: slow, and what the fast path must equal.

    Args:
        cube: Whole numbers, bands last.
        weights: Whole numbers.

    Returns:
        int64 sums.

    Example:
        >>> encode_exactly(np.array([[1, 2, 3]]), np.array([[1, 10, 100]])).tolist()
        [[321]]
    """
    return np.einsum("...b,cb->...c", cube.astype(np.int64), weights.astype(np.int64))


def _fits(tiles: Tiles, weights: np.ndarray) -> None:
    bands = tiles.shape[-1]
    if weights.shape[1] != bands or weights.dtype != np.int16:
        raise UsageError(
            f"weights must be int16 of {bands} bands, got {weights.dtype} of {weights.shape[1]}; "
            "quantise the matrix at the cube's wavelengths"
        )
    most = bands * tiles.peak * int(np.abs(weights.astype(np.int64)).max(initial=0))
    if most >= 2**31:
        raise UsageError(
            f"bands x peak x largest weight must stay below 2^31, got {most}; give fewer bits or a "
            "lower top"
        )
