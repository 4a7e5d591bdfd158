"""Streams from odd sources: none hangs, none mixes frames up, none ends in a traceback."""

import threading
import time

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import Camera, Gaussians, Noise, Wavelengths
from limen.spectral.video.stream import stream
from limen.spectral.video.video import Frames, Video

BANDS = Wavelengths([450.0, 500.0, 560.0, 640.0, 700.0])
FRAMES = numpy_stream(0, "odd streams").random((4, 3, 4, 5)).astype(np.float32)
CAMERA = Camera(Gaussians([480.0, 580.0], 60.0), noise=Noise.off())
WANTED = CAMERA.capture(FRAMES, wavelengths=BANDS).values


def test_tensors_lists_of_bands_and_files_without_bands_are_sources(tmp_path):
    for t, frame in enumerate(FRAMES):
        np.savez(tmp_path / f"{t}.npz", cube=frame)
    files = sorted(tmp_path.glob("*.npz"))
    light = torch.tensor(FRAMES, requires_grad=True)
    for source in (light, list(light), FRAMES, files, iter(files), map(str, files)):
        found = list(stream(source, CAMERA, wavelengths=BANDS.nm.tolist()))
        assert np.array_equal(np.stack([frame.counts.values for frame in found]), WANTED)


def test_a_driver_that_fills_one_array_again_gives_different_frames():
    held, turns = np.zeros((2, 3, 1), dtype=np.uint16), iter(range(6))

    def driver():
        held[:] = next(turns)
        return held

    seen = []
    for frame in stream(driver, None):
        time.sleep(0.005)
        seen.append(int(frame.counts[0, 0, 0]))
    assert seen == list(range(6))


def test_a_copy_keeps_planes_as_they_lie():
    planes = np.moveaxis(np.zeros((9, 4, 5), dtype=np.uint16), 0, -1)
    (frame,) = stream(iter([planes]), None)
    assert not np.shares_memory(frame.counts, planes)
    assert np.moveaxis(frame.counts, -1, 0).flags.c_contiguous


def test_frames_that_stay_where_they_are_are_not_copied():
    found = list(stream(FRAMES, None))
    assert all(np.shares_memory(frame.counts, FRAMES) for frame in found)


@pytest.mark.parametrize("end", [SystemExit("bye"), KeyboardInterrupt(), ValueError("lost")])
def test_whatever_ends_a_source_is_heard_and_nobody_waits_for_ever(end):
    def source():
        yield FRAMES[0]
        raise end

    heard = []

    def listen():
        try:
            list(stream(source(), None))
        except BaseException as wrong:  # noqa: BLE001  it is what is looked for
            heard.append(wrong)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    listener.join(5)
    assert heard == [end]


def test_a_function_may_end_as_an_iterator_does():
    turns = iter(FRAMES)
    assert len(list(stream(lambda: next(turns), None))) == 4


def test_leaving_early_lets_the_source_go():
    gone = threading.Event()

    def source():
        try:
            while True:
                yield FRAMES[0]
        finally:
            gone.set()

    for _ in stream(source(), None):
        break
    assert gone.wait(2)


@pytest.mark.parametrize("odd", [{"a": 1}, None, [[1.0]], 3.0])
def test_what_is_no_frame_is_told_by_its_number(odd):
    with pytest.raises(UsageError, match="frame 1 of the source must be an array"):
        list(stream([FRAMES[0], odd], None))


def test_bands_in_micrometres_are_refused_before_any_frame():
    with pytest.raises(UsageError, match="look like micrometres"):
        stream(FRAMES, CAMERA, wavelengths=[0.4, 0.5])


def test_frames_may_be_made_of_anything_that_is_an_array():
    made = Frames(lambda t: FRAMES[t].tolist(), FRAMES.shape)
    assert np.allclose(np.asarray(made), FRAMES)
    assert np.asarray(made[:0]).shape == (0, 3, 4, 5)


def test_masks_that_come_one_by_one_are_refused():
    with pytest.raises(UsageError, match="one plane for each of 4 frames, got generator"):
        Video(FRAMES, BANDS, masks=(mask for mask in FRAMES))
