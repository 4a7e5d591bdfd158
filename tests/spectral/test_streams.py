"""Streams deliver every frame once, wait or drop as told, and end cleanly."""

import threading
import time

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import Camera, Codec, Cube, Gaussians, Noise, Wavelengths, write_cube
from limen.spectral.video.encoded_detector import EncodedDetector
from limen.spectral.video.stream import stream
from limen.spectral.video.video import Video
from limen.spectral.video.viewer import viewer

BANDS = Wavelengths(np.linspace(450, 650, 6))
VIDEO = Video(numpy_stream(0, "video").random((5, 6, 6, 6)).astype(np.float32), BANDS)
CAMERA = Camera(Gaussians([480.0, 520.0, 580.0, 620.0], 60.0), mosaic=(2, 2), noise=Noise())


def lit(counts):
    return counts.channels().mean(axis=-1) > 0.2


def readers() -> int:
    return sum(thread.name == "limen stream" for thread in threading.enumerate())


def test_every_frame_is_what_the_camera_captures_of_the_video():
    frames = list(stream(VIDEO, CAMERA, lit, seed=3))
    whole = CAMERA.capture(VIDEO, seed=3)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    for frame in frames:
        assert np.array_equal(frame.counts.values, whole.values[frame.index])
        assert np.array_equal(frame.mask, lit(frame.counts))
        assert frame.seconds > 0


def sources(tmp_path):
    paths = [write_cube(tmp_path / f"{t}.npz", Cube(VIDEO[t], BANDS)) for t in range(5)]
    turns = iter(range(5))
    return {
        "array": np.asarray(VIDEO.frames), "generator": (frame for frame in VIDEO),
        "list": list(VIDEO), "files": paths,
        "cubes": [Cube(VIDEO[t], BANDS) for t in range(5)],
        "function": lambda: next((VIDEO[t] for t in turns), None),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["array", "generator", "list", "files", "cubes", "function"])
def test_every_kind_of_source_gives_the_same_frames(tmp_path, kind):
    wanted = [frame.counts.values for frame in stream(VIDEO, CAMERA)]
    found = stream(sources(tmp_path)[kind], CAMERA, wavelengths=BANDS)
    assert all(np.array_equal(a.counts.values, b) for a, b in zip(found, wanted, strict=True))


def test_the_source_waits_for_a_slow_consumer():
    read: list[int] = []

    def source():
        for t in range(20):
            read.append(t)
            yield np.full((1, 1, 1), t, dtype=np.uint16)

    seen = []
    for frame in stream(source(), None, queue=2):
        time.sleep(0.005)
        assert len(read) <= frame.index + 5  # two wait, one is put, one is read ahead
        seen.append(frame.index)
    assert seen == list(range(20))


def test_a_live_source_drops_the_oldest_and_counts_them():
    started = threading.Event()

    def source():
        for t in range(50):
            yield np.full((1, 1, 1), t, dtype=np.uint16)
        started.set()

    found = stream(source(), None, lambda _: started.wait(5), queue=3, drop=True)
    seen = [frame.index for frame in found]
    told = found.summary()
    assert told.dropped + told.frames == 50
    assert told.frames == len(seen) <= 5
    assert seen[-1] == 49
    assert seen == sorted(seen)


def test_a_failing_source_is_heard_where_frames_are_read():
    def source():
        yield np.zeros((1, 1, 1), dtype=np.uint16)
        raise OSError("the cable")

    with pytest.raises(OSError, match="the cable"):
        list(stream(source(), None))
    assert readers() == 0


def test_leaving_early_stops_the_reader():
    def endless():
        while True:
            yield np.zeros((2, 2, 1), dtype=np.uint16)

    for frame in stream(endless(), None, queue=2):
        if frame.index == 3:
            break
    time.sleep(0.2)
    assert readers() == 0


def test_frames_that_change_size_end_the_stream_in_a_sentence():
    with pytest.raises(UsageError, match="frame 1 is"):
        list(stream([np.zeros((2, 2, 1)), np.zeros((2, 3, 1))], None))


def test_the_summary_counts_frames_bytes_and_time():
    found = stream(VIDEO, CAMERA, lit)
    assert np.isnan(found.summary().fps)
    list(found)
    told = found.summary()
    assert (told.frames, told.dropped, told.bytes_moved) == (5, 0, 5 * 36 * 2)
    assert told.p50_seconds <= told.p99_seconds
    assert told.fps > 0
    with pytest.raises(UsageError, match="read once"):
        list(found)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [(VIDEO, {"queue": 0}, "queue=0"), (np.zeros((1, 2, 2, 6)), {}, "never guessed"),
     (7, {}, "got int")],
)  # fmt: skip
def test_a_stream_that_cannot_be_is_refused_before_it_starts(source, options, said):
    with pytest.raises(UsageError, match=said):
        stream(source, CAMERA, **options)


def test_memory_does_not_grow_with_the_stream():
    import tracemalloc

    def source():
        for _ in range(3000):
            yield np.zeros((32, 32, 9), dtype=np.uint16)

    found = stream(source(), None, lambda frame: frame[..., 0] > 1)
    tracemalloc.start()
    sizes = [tracemalloc.get_traced_memory()[0] for frame in found if frame.index % 1000 == 999]
    tracemalloc.stop()
    assert sizes[-1] < sizes[0] + 200_000


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 9, 11])
def test_the_detector_equals_a_product_in_every_layout(dtype, planar, channels):
    draw = numpy_stream(channels, "detector")
    frame = draw.integers(0, 4096, size=(37, 61, channels)).astype(dtype)
    weights, bias = draw.normal(size=channels), float(draw.normal())
    given = np.moveaxis(np.ascontiguousarray(np.moveaxis(frame, -1, 0)), 0, -1) if planar else frame
    found = EncodedDetector(weights, bias, threads=2)(given)
    exact = frame.astype(np.float64) @ np.float32(weights).astype(np.float64) + bias
    sure = abs(exact) > 1e-2
    assert np.array_equal(found[sure], exact[sure] > 0)


def test_a_rule_for_signals_is_the_same_rule_for_numbers():
    camera = Camera(Gaussians([480.0, 580.0], 60.0), noise=Noise())
    counts = camera.capture(VIDEO[0], wavelengths=BANDS)
    rule = EncodedDetector.of_signal([1.0, -2.0], 0.1, counts)
    exact = counts.channels() @ np.array([1.0, -2.0]) + 0.1
    assert np.array_equal(rule(counts)[abs(exact) > 1e-4], exact[abs(exact) > 1e-4] > 0)
    with pytest.raises(UsageError, match=r"\(y, x, 2\)"):
        rule(np.zeros((4, 4, 3)))


def test_the_viewer_is_one_file_that_asks_the_network_for_nothing(tmp_path):
    codec = Codec(CAMERA).fit(VIDEO[0], wavelengths=BANDS)
    frames = list(stream(VIDEO, CAMERA, lambda c: lit(c).astype(np.uint8)))
    page = viewer(tmp_path / "v.html", frames, codec=codec, wavelengths=BANDS,
                  names=("</script>", "lit")).read_text()  # fmt: skip
    assert "http://" not in page
    assert "https://" not in page
    assert '</script>"' not in page
    assert '"nm":[450.0' in page.replace(" ", "")
    small = viewer(tmp_path / "s.html", frames, limit_mb=0.0003).read_text()
    assert "frame of 5 is shown" in small
    with pytest.raises(UsageError, match="frames of a stream"):
        viewer(tmp_path / "n.html", [])
