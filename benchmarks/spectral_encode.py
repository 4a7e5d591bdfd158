"""What encoding costs, beside reading the same memory and beside a matrix product.

    python benchmarks/spectral_encode.py

A cube of 204 bands of 12 bit in uint16, 1024 x 512 pixels (214 MB, far above the caches), and nine
channels. In turns, wall seconds, the median of 9 rounds after one to warm up: reading every byte
(a sum of 64-bit words in the widest registers, the fastest we found), encoding limen's tiles, and
the product of the pixel-interleaved cube by numpy and torch, as whole numbers and after a
conversion to float32. Once on one thread and once on two. Conversion to tiles is timed apart.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads here are ours

import numba
import numpy as np
import torch
from reading import read
from timing import in_turns, table, write

from limen._core.streams import numpy_stream
from limen.spectral.encode.integers import encode_exactly, encode_integers
from limen.spectral.encode.tiles import Tiles

ROWS, COLUMNS, BANDS, CHANNELS, ROUNDS = 1024, 512, 204, 9, 9


@numba.njit(nogil=True)
def sweep(words: np.ndarray, start: int, stop: int) -> int:
    """The same from front to back."""
    total = 0
    for i in range(start, stop):
        total += words[i]
    return total


def shared(work: Callable[..., Any], size: int, threads: int) -> None:
    """Run `work` on equal parts of a range, a thread each."""
    cuts = np.linspace(0, size, threads + 1).astype(int)
    if threads == 1:
        work(0, size)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda i: work(cuts[i], cuts[i + 1]), range(threads)))


def main() -> None:
    """Measure, print, write."""
    draw = numpy_stream(0, "encode benchmark")
    cube = draw.integers(0, 4096, size=(ROWS, COLUMNS, BANDS), dtype=np.uint16)
    weights = draw.integers(0, 2048, size=(CHANNELS, BANDS)).astype(np.int16)
    start = perf_counter()
    tiles = Tiles.cut(cube)
    figures: dict[str, float] = {"conversion to tiles [s]": perf_counter() - start}
    out = np.empty((len(tiles.values), CHANNELS, 8), dtype=np.int32)
    sums = tiles.pixels(encode_integers(tiles, weights, out=out))
    assert np.array_equal(sums[::64], encode_exactly(cube[::64], weights))
    words = tiles.values.reshape(-1).view(np.int64)
    ones = np.ones(len(words))
    flat = torch.from_numpy(cube.reshape(-1, BANDS).view(np.int16))
    factor = torch.from_numpy(weights.astype(np.float32)).T
    wide = weights.astype(np.int32).T
    whole = torch.from_numpy(wide)
    ready = flat.float()
    few = cube.reshape(-1, BANDS)[: ROWS * COLUMNS // 16]
    some = flat[: ROWS * COLUMNS // 16].to(torch.int32)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        variants: dict[str, Callable[[], Any]] = {
            "read in one sweep": lambda n=threads: shared(
                lambda a, b: sweep(words, a, b), len(words), n
            ),
            "read in four streams": lambda n=threads: shared(
                lambda a, b: read(words[a:b]), len(words), n
            ),
            "read by dot product": lambda n=threads: shared(
                lambda a, b: ones[a:b].dot(ones[a:b]), len(ones), n
            ),
            "limen integer": lambda n=threads: encode_integers(tiles, weights, threads=n, out=out),
            "torch float32, converted within": lambda: flat.float() @ factor,
            "torch float32, of a float32 cube": lambda: ready @ factor,
        }
        if threads == 1:
            variants |= {
                "numpy int32, a sixteenth": lambda: few.astype(np.int32) @ wide,
                "torch int32, a sixteenth": lambda: some @ whole,
                "numpy float32, a sixteenth": lambda: few.astype(np.float32) @ factor.numpy(),
            }
        found = in_turns(variants, rounds=ROUNDS)
        for name in found:
            if name.endswith("a sixteenth"):
                found[name] *= 16
        label = f"{threads} thread" + "s" * (threads > 1)
        bytes_read = tiles.values.nbytes
        best = min(value for name, value in found.items() if name.startswith("read"))
        ours = found.pop("limen integer")
        figures |= {
            f"{label}: read bandwidth [GB/s]": bytes_read / best / 1e9,
            f"{label}: limen integer [GB/s of cube]": bytes_read / ours / 1e9,
            f"{label}: limen integer [Gb/s of cube]": 8 * bytes_read / ours / 1e9,
            f"{label}: limen integer / read bandwidth": best / ours,
        }
        figures |= {
            f"{label}: {name.removesuffix(', a sixteenth')} / limen": value / ours
            for name, value in found.items()
        }
    wanted: dict[str, float] = {}
    print(table(figures, wanted))
    write("spectral_encode", figures)


if __name__ == "__main__":
    main()
