"""A linear detector on encoded channels, at the rate of memory."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from inspect import unwrap
from typing import Any

import numpy as np
from jaxtyping import Bool

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.spectral.camera.counts import Counts

_BLOCK = 2048  # pixels


class EncodedDetector:
    """Flags pixels by `w . channels + b > 0`, straight from the sensor's whole numbers.

    One multiplication for each channel and pixel, in float32, without decoding and without a copy:
    a matched filter, a least-squares classifier of two classes or any other linear rule is one of
    these. Frames whose channels lie apart in memory, as planes (channel, y, x) seen through
    `np.moveaxis(planes, 0, -1)`, are read in one sweep; others are taken too and cost more.

    Args:
        weights: One for each channel, for the numbers as they are (black level included).
        bias: b.
        threads: Threads that share a frame.

    Raises:
        UsageError: Weights that are not finite or not one row.

    Example:
        >>> detector = EncodedDetector([1.0, -1.0], 0.0)
        >>> detector(np.array([[[5, 3], [1, 2]]], dtype=np.uint16)).tolist()
        [[True, False]]
    """

    def __init__(self, weights: Any, bias: float = 0.0, *, threads: int = 1):
        self.weights = np.array(weights, dtype=np.float32)
        self.bias = float(bias)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or not len(self.weights):
            raise UsageError(
                f"weights must be finite, one for each channel; got shape {self.weights.shape}"
            )
        if not np.isfinite(self.bias) or threads < 1:
            raise UsageError(f"bias={bias} must be finite and threads={threads} at least 1")
        self.threads = threads

    @classmethod
    def of_signal(cls, weights: Any, bias: float, counts: Counts) -> "EncodedDetector":
        """The same rule for digital numbers, from one for signals.

        A signal is `((DN - black) step - dark) / gain`, so w and b become `w step / gain` and
        `b - sum(w) (black step + dark) / gain`.

        Args:
            weights: For `counts.channels()`.
            bias: For the same.
            counts: A capture of the camera whose numbers will come.

        Returns:
            The detector.
        """
        w = np.asarray(weights, dtype=np.float64)
        offset = (counts.black * counts.step + counts.dark) / counts.gain
        return cls(w * counts.step / counts.gain, bias - float(w.sum()) * offset)

    def __call__(self, frame: Any) -> Bool[np.ndarray, "y x"]:
        """Flags of one frame.

        Args:
            frame: (y, x, channel), whole numbers or floats, or full-frame `Counts`.

        Returns:
            (y, x), True above the line.

        Raises:
            UsageError: Another number of channels, or a mosaic plane.
        """
        values = frame.values if isinstance(frame, Counts) else np.asarray(frame)
        if values.ndim != 3 or values.shape[-1] != len(self.weights):
            raise UsageError(
                f"a frame must be (y, x, {len(self.weights)}) as the weights are; got "
                f"{values.shape}: gather a mosaic first"
            )
        planes = np.moveaxis(values, -1, 0)
        if not planes.flags.c_contiguous or planes.dtype not in (np.uint16, np.float32):
            return np.asarray(values.astype(np.float32) @ self.weights + np.float32(self.bias) > 0)
        flat = planes.reshape(len(planes), -1)
        out = np.empty(flat.shape[1], dtype=np.bool_)
        cuts = np.linspace(0, len(out), self.threads + 1).astype(int)

        def part(i: int) -> None:
            _kernel()(flat, self.weights, np.float32(self.bias), out, cuts[i], cuts[i + 1])

        if self.threads == 1:
            part(0)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(part, range(self.threads)))
        return out.reshape(values.shape[:2])

    def to_dict(self) -> dict[str, Any]:
        """Weights and bias, for `limen.save`."""
        return {"weights": self.weights, "bias": self.bias}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EncodedDetector":
        """The inverse of `to_dict`."""
        return cls(data["weights"], float(data["bias"]))


@cache
def _kernel() -> Callable[..., None]:  # noqa: C901  loops of one sweep
    """A compiled sweep: three planes at a time, in blocks whose sums stay in the cache."""
    numba = require("numba", extra="spectral")

    def run(planes: Any, weights: Any, bias: Any, out: Any, start: int, stop: int) -> None:  # noqa: PLR0917
        sums = np.empty(_BLOCK, dtype=np.float32)
        channels = planes.shape[0]
        whole = channels - channels % 3
        for first in range(start, stop, _BLOCK):
            size = min(_BLOCK, stop - first)
            for i in range(size):
                sums[i] = bias
            for c in range(0, whole, 3):
                x = planes[c, first : first + size]
                y = planes[c + 1, first : first + size]
                z = planes[c + 2, first : first + size]
                u, v, w = weights[c], weights[c + 1], weights[c + 2]
                for i in range(size):
                    sums[i] += u * np.float32(x[i]) + v * np.float32(y[i]) + w * np.float32(z[i])
            for c in range(whole, channels):
                x, u = planes[c, first : first + size], weights[c]
                for i in range(size):
                    sums[i] += u * np.float32(x[i])
            flags = out[first : first + size]
            for i in range(size):
                flags[i] = sums[i] > 0

    compiled: Callable[..., None] = numba.njit(nogil=True, fastmath=True, boundscheck=False)(
        unwrap(run)
    )
    return compiled
