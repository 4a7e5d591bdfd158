"""Frames as they come: captured, understood, and timed, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import perf_counter
from typing import Any

import numpy as np
from torch import Tensor

from limen._core.errors import UsageError
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.counts import Counts
from limen.spectral.light.read_cube import read_cube
from limen.spectral.video.video import Video, require_size
from limen.spectral.wavelengths import Wavelengths

_KEPT = 100_000  # latencies that percentiles are taken over: the latest
_WAIT = 0.05  # seconds between looks at whether the reader should stop


@dataclass(frozen=True, eq=False)
class StreamFrame:
    """One frame out of a stream.

    Attributes:
        index: Its number at the source; gaps are frames that were dropped.
        counts: What the sensor delivered: `Counts`, or the source's own array without a camera.
        mask: What the segmenter made of it; None without one.
        seconds: From the moment the frame lay ready at the sensor until the mask was there.
        dropped: Frames dropped so far.

    Example:
        >>> StreamFrame(0, np.zeros((1, 1)), None, 0.0, 0).index
        0
    """

    index: int
    counts: Counts | np.ndarray
    mask: Any
    seconds: float
    dropped: int


@dataclass(frozen=True)
class StreamSummary:
    """What a stream has done so far.

    Attributes:
        frames: Frames delivered.
        dropped: Frames dropped before anybody looked at them.
        fps: Frames a second, from the first frame's arrival to the last one's mask.
        p50_seconds: Median latency, over the latest 100,000 frames.
        p99_seconds: 99th percentile.
        bytes_moved: Bytes of sensor values delivered.

    Example:
        >>> StreamSummary(2, 0, 10.0, 0.1, 0.2, 1000).fps
        10.0
    """

    frames: int
    dropped: int
    fps: float
    p50_seconds: float
    p99_seconds: float
    bytes_moved: int

    def to_dict(self) -> dict[str, float]:
        """The numbers by name."""
        return dict(vars(self))


class Stream:
    """Made by `stream`: iterate over its frames; `summary` tells rates, latencies and drops.

    Example:
        >>> found = stream(np.zeros((2, 1, 1, 1), dtype=np.uint16), None)
        >>> [frame.index for frame in found], found.summary().bytes_moved
        ([0, 1], 4)
    """

    def __init__(
        self, frames: Iterator[Any], capture: Any, segmenter: Any, *, queue: int, drop: bool
    ):
        self._frames, self._capture, self._segmenter = frames, capture, segmenter
        self._queue: Queue[Any] = Queue(maxsize=queue)
        self._drop, self._stop = drop, Event()
        self._latencies: deque[float] = deque(maxlen=_KEPT)
        self._count = self._dropped = self._bytes = 0
        self._first = self._last = 0.0
        self._reader = Thread(target=self._read, name="limen stream", daemon=True)

    def __iter__(self) -> Iterator[StreamFrame]:
        if self._reader.ident is not None:
            raise UsageError("a stream can be read once; call stream again for another pass")
        self._reader.start()
        try:
            while True:
                index, ready, counts = self._queue.get()
                if index is None:
                    if counts is not None:
                        raise counts
                    return
                mask = None if self._segmenter is None else self._segmenter(counts)
                self._last = perf_counter()
                self._first = self._first or ready
                self._latencies.append(self._last - ready)
                self._count += 1
                values = counts.values if isinstance(counts, Counts) else counts
                self._bytes += values.nbytes
                yield StreamFrame(index, counts, mask, self._latencies[-1], self._dropped)
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading; frames that wait are let go."""
        self._stop.set()
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        if self._reader.ident is not None:
            self._reader.join(timeout=1.0)

    def summary(self) -> StreamSummary:
        """Rates, latencies and drops so far.

        Returns:
            The summary; NaN where no frame has come yet.
        """
        kept = np.array(self._latencies or [np.nan])
        span = self._last - self._first
        return StreamSummary(
            frames=self._count,
            dropped=self._dropped,
            fps=self._count / span if span > 0 else float("nan"),
            p50_seconds=float(np.quantile(kept, 0.5)),
            p99_seconds=float(np.quantile(kept, 0.99)),
            bytes_moved=self._bytes,
        )

    def _read(self) -> None:
        """The reader: capture each frame and put it into the queue, until told to stop."""
        failed: BaseException | None = None
        try:
            for index, frame in enumerate(self._frames):
                if self._stop.is_set():
                    return
                counts = self._capture(index, frame)
                self._put((index, perf_counter(), counts), droppable=self._drop)
        except BaseException as wrong:  # noqa: BLE001  raised again where the frames are read
            failed = wrong  # SystemExit too, or whoever waits would wait for ever
        self._put((None, 0.0, failed), droppable=False)

    def _put(self, item: Any, *, droppable: bool) -> None:
        """Wait for room, or make room by letting the oldest frame go."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0 if droppable else _WAIT)
            except Full:
                if droppable:
                    self._let_go()
            else:
                return

    def _let_go(self) -> None:
        try:
            self._queue.get_nowait()
        except Empty:
            return
        self._dropped += 1


def stream(
    source: Any,
    camera: Camera | None,
    segmenter: Callable[[Any], Any] | None = None,
    *,
    wavelengths: Any = None,
    queue: int = 4,
    drop: bool = False,
    seed: int = 0,
) -> Stream:
    """Frames from a source, seen by a camera and understood by a segmenter, one at a time.

    A thread reads and captures; what iterates segments. At most `queue` frames wait between them:
    when it is full the reader waits (back-pressure), or, for a live camera, the oldest frame is
    dropped and counted. Memory does not grow with the length of the stream. A failure of the
    source is raised where the frames are read; leaving the loop stops the reader.

    Args:
        source: A `Video`, an array (time, y, x, band), any iterable of frames or of files with a
            cube each, or a function that returns the next frame, and None at the end.
        camera: Captures light; None where the source delivers sensor values already. Those of an
            iterator or a function are copied, as drivers fill the same array again.
        segmenter: Called with the `Counts` (without a camera, the array) of each frame; returns
            its mask. None only captures.
        wavelengths: The bands, where the source's frames are bare arrays of light, or files that
            state none.
        queue: Frames that may wait, at least 1.
        drop: Let the oldest waiting frame go instead of making the source wait.
        seed: Of the noise; frame t has the same noise in every stream of one seed.

    Returns:
        A `Stream`, to be iterated over once.

    Raises:
        UsageError: No room in the queue, light without wavelengths, or, while it runs, what is no
            frame, and frames that change size.

    Example:
        >>> planes = np.arange(3 * 4, dtype=np.uint16).reshape(3, 2, 2, 1)
        >>> found = stream(planes, None, lambda frame: frame[..., 0] > 5)
        >>> [int(frame.mask.sum()) for frame in found], found.summary().frames
        ([0, 2, 4], 3)
    """
    if queue < 1:
        raise UsageError(f"queue={queue} must hold a frame at least; give 1 or more")
    if camera is not None and wavelengths is None:
        wavelengths = getattr(source, "wavelengths", None)
        if isinstance(source, np.ndarray | Tensor) and wavelengths is None:
            raise UsageError(
                "an array of light must come with wavelengths=; bands are never guessed"
            )
    if wavelengths is not None and not hasattr(wavelengths, "nm"):
        wavelengths = Wavelengths(wavelengths)
    lasting = isinstance(source, np.ndarray | Tensor | Video | Sequence)
    return Stream(
        _kept_size(_frames(source), wavelengths),
        _capturing(camera, wavelengths, seed, copy=not lasting),
        segmenter,
        queue=queue,
        drop=drop,
    )


def _frames(source: Any) -> Iterator[Any]:
    """The source's frames, one at a time.

    Raises:
        UsageError: It is no source.
    """
    if isinstance(source, str | Path):
        source = [source]
    if isinstance(source, Video | Iterable):
        return iter(source)
    if callable(source):
        return _called(source)
    raise UsageError(
        f"source must be a Video, an array, an iterable, files or a function; got "
        f"{type(source).__name__}"
    )


def _called(source: Callable[[], Any]) -> Iterator[Any]:
    """What a camera's function gives, until it gives None."""
    while True:
        try:
            frame = source()
        except StopIteration:  # of a `next` inside
            return
        if frame is None:
            return
        yield frame


def _kept_size(frames: Iterator[Any], wavelengths: Any) -> Iterator[Any]:
    """The same frames, files read, refused from the first that has another size."""
    first: tuple[int, ...] | None = None
    for time, given in enumerate(frames):
        frame = _opened(given, wavelengths, time=time)
        shape = tuple(getattr(frame, "values", frame).shape)
        first = first or shape
        require_size(shape, first, time=time)
        yield frame


def _opened(frame: Any, wavelengths: Any, *, time: int) -> Any:
    """A frame as an array or what holds one.

    Raises:
        UsageError: It is none.
    """
    if isinstance(frame, str | Path):
        return read_cube(frame, wavelengths=wavelengths)
    if isinstance(frame, Tensor):
        return frame.detach().cpu().numpy()
    if not hasattr(getattr(frame, "values", frame), "shape"):
        raise UsageError(
            f"frame {time} of the source must be an array, a Cube, Counts, or a file with a cube; "
            f"got {type(frame).__name__}"
        )
    return frame


def _capturing(
    camera: Camera | None, wavelengths: Any, seed: int, *, copy: bool
) -> Callable[[int, Any], Any]:
    def capture(index: int, frame: Any) -> Any:
        if camera is None:
            if isinstance(frame, Counts):
                return frame
            return np.array(frame, order="K") if copy else np.asarray(frame)
        return camera.capture(frame, seed=seed, wavelengths=wavelengths, origin=(index, 0, 0))

    return capture
