"""What reading a stream of encoded frames costs, beside reading its bytes.

    python benchmarks/spectral_stream.py

Frames of 1024 x 1024 super-pixels with nine channels of uint16 (18.9 MB) lie as planes in memory,
eight of them in turn, so that none is still in a cache; `EncodedDetector` flags each pixel by a
linear rule, without decoding. In turns, wall seconds of one thread, the median of 40 rounds:
reading every byte of a frame (a sum of 64-bit words), and the detector. Then a stream of 400 such
frames through reader thread and queue: frames a second, latency at 50 and 99 %, bytes. Then 10,000
frames of 128 x 128: the process's resident memory after 1,000 of them and at the end.
"""

import resource
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from reading import read
from timing import table, write

from limen._core.streams import numpy_stream
from limen.spectral.video.encoded_detector import EncodedDetector
from limen.spectral.video.stream import stream

SIDE, CHANNELS, KEPT, ROUNDS, FRAMES, LONG = 1024, 9, 8, 40, 400, 10_000


def frames(side: int, count: int) -> list[np.ndarray]:
    """Planar frames, seen as (y, x, channel)."""
    draw = numpy_stream(0, "stream benchmark", side)
    shape = (CHANNELS, side, side)
    made = [draw.integers(0, 4096, size=shape, dtype=np.uint16) for _ in range(count)]
    return [np.moveaxis(planes, 0, -1) for planes in made]


def resident() -> float:
    """Megabytes that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Measure, print, write."""
    kept = frames(SIDE, KEPT)
    detector = EncodedDetector(numpy_stream(0, "weights").normal(size=CHANNELS), 1.0)
    words = [np.moveaxis(frame, -1, 0).reshape(-1).view(np.int64) for frame in kept]
    detector(kept[0])
    read(words[0])
    seconds: dict[str, list[float]] = {"read": [], "detector": []}
    for i in range(ROUNDS):
        start = perf_counter()
        read(words[i % KEPT])
        seconds["read"].append(perf_counter() - start)
        start = perf_counter()
        detector(kept[(i + KEPT // 2) % KEPT])
        seconds["detector"].append(perf_counter() - start)
    floor, ours = median(seconds["read"]), median(seconds["detector"])
    running = stream([kept[i % KEPT] for i in range(FRAMES)], None, detector, queue=4)
    for _ in running:
        pass
    told = running.summary()
    small = frames(128, KEPT)
    long = stream([small[i % KEPT] for i in range(LONG)], None, detector, queue=4)
    early = 0.0
    for frame in long:
        if frame.index == 1000:
            early = resident()
    figures = {
        "one frame: read every byte [ms]": 1e3 * floor,
        "one frame: read bandwidth [GB/s]": kept[0].nbytes / floor / 1e9,
        "one frame: detector [ms]": 1e3 * ours,
        "one frame: detector / read": ours / floor,
        "stream: frames a second": told.fps,
        "stream: latency p50 [ms]": 1e3 * told.p50_seconds,
        "stream: latency p99 [ms]": 1e3 * told.p99_seconds,
        "stream: GB moved": told.bytes_moved / 1e9,
        "stream: time of a frame / read": 1 / told.fps / floor,
        "10,000 frames: memory after 1,000 [MB]": early,
        "10,000 frames: memory at the end [MB]": resident(),
    }
    wanted: dict[str, float] = {"one frame: detector / read": 2.0}
    print(table(figures, wanted))
    write("spectral_stream", figures)


if __name__ == "__main__":
    main()
