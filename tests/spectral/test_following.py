"""Masks and boxes carried through a video."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.run.files import load, save
from limen.spectral import Wavelengths
from limen.spectral.understand.memory_segmenter import MemorySegmenter
from limen.spectral.understand.tracker import Box, Tracker
from limen.spectral.understand.tracking_scores import tracking_scores
from limen.spectral.understand.video_scores import video_scores
from limen.spectral.video.synthetic_video import synthetic_video

REAL = np.zeros((1, 4, 4))
BANDS = Wavelengths(np.linspace(400, 700, 4))


def clip(frames: int = 12):
    """Two things that differ in a channel that brightness hides, with noise."""
    spectra = np.array([[0.6, 0.2, 0.5, 0.3], [0.6, 0.5, 0.2, 0.3]])
    video = synthetic_video(spectra, BANDS, background=np.array([0.3, 0.3, 0.3, 0.35]),
                            frames=frames, size=(48, 48), speed=1.5, seed=1)  # fmt: skip
    draw = numpy_stream(0, "noise")
    noisy = [frame + 0.01 * draw.normal(size=frame.shape).astype(np.float32) for frame in video]
    return noisy, np.stack([video.mask(t) for t in range(frames)])


def test_a_mask_follows_things_of_the_same_brightness():
    frames, masks = clip()
    reader = MemorySegmenter().start(frames[0], masks[0])
    found = np.stack([masks[0], *(reader(frame) for frame in frames[1:])])
    told = video_scores(found[1:], masks[1:], split="made")
    assert np.nanmean(told.region) > 0.85
    assert told.both > 0.85


def test_the_memory_keeps_its_size():
    frames, masks = clip(30)
    reader = MemorySegmenter(every=2, frames=3, pixels=90).start(frames[0], masks[0])
    for frame in frames[1:]:
        reader(frame)
    assert len(reader._memory) == 5
    assert sum(len(keys) for keys, _ in reader._memory) <= 5 * 90


def test_probabilities_add_up_and_repeat():
    frames, masks = clip(2)
    one, other = (
        MemorySegmenter().start(frames[0], masks[0]).probabilities(frames[1]) for _ in range(2)
    )
    assert np.allclose(one.sum(-1), 1, atol=1e-5)
    assert np.array_equal(one, other)


def test_a_reader_that_was_not_started_says_so():
    with pytest.raises(UsageError, match="start"):
        MemorySegmenter()(np.zeros((4, 4, 2)))
    with pytest.raises(UsageError, match="two classes"):
        MemorySegmenter().start(np.zeros((4, 4, 2)), np.zeros((4, 4), dtype=int))
    with pytest.raises(UsageError, match="temperature=0"):
        MemorySegmenter(temperature=0.0)


def moving(steps: int = 15):
    """A blob on a sub-pixel path beside another of the same brightness and another colour."""
    y, x = np.mgrid[:60, :60] + 0.5
    draw = numpy_stream(3, "moving")
    for t in range(steps):
        at, decoy = (18 + 1.3 * t, 20 + 0.7 * t), (40 - 1.3 * t, 22 + 0.7 * t)
        blob, other = (
            np.exp(-0.5 * (((y - c[0]) ** 2 + (x - c[1]) ** 2) / 9)) for c in (at, decoy)
        )
        frame = blob[..., None] * [1.0, 0.1, 0.4] + other[..., None] * [0.1, 1.0, 0.4]
        yield frame + 0.02 * draw.normal(size=frame.shape), Box(*at, 10.0, 10.0)


def test_a_tracker_stays_on_its_thing_to_parts_of_a_pixel_beside_a_decoy():
    clips = list(moving())
    tracker = Tracker().start(*clips[0])
    boxes = [tracker(frame) for frame, _ in clips[1:]]
    away = [np.hypot(a.y - b.y, a.x - b.x) for a, (_, b) in zip(boxes, clips[1:], strict=True)]
    assert max(away) < 1.0
    told = tracking_scores(boxes, [box for _, box in clips[1:]], split="made")
    assert told.precision == 1.0
    assert told.success > 0.8
    assert "Split: made." in told.table().protocol
    assert min(box.score for box in boxes) > 0.5


@pytest.mark.parametrize("box", [Box(-20.0, 0.0, 4.0, 4.0), Box(5.0, 5.0, 1.0, 4.0)])
def test_a_box_outside_or_too_small_is_refused(box):
    with pytest.raises(UsageError, match="box must lie inside"):
        Tracker().start(numpy_stream(0, "f").normal(size=(20, 20, 3)), box)


def test_overlaps_are_those_by_hand():
    one = Box(1.0, 1.0, 2.0, 2.0)
    assert one.overlap(one) == 1.0
    assert one.overlap(Box(1.0, 2.0, 2.0, 2.0)) == pytest.approx(1 / 3)
    assert one.overlap(Box(9.0, 9.0, 2.0, 2.0)) == 0.0


def test_borders_forgive_less_than_a_hundredth_of_the_diagonal():
    true = np.zeros((1, 100, 100), dtype=int)
    true[:, 20:60, 20:60] = 1
    near, far = np.roll(true, 1, axis=1), np.roll(true, 10, axis=1)
    assert video_scores(near, true, split="test").border[0] == 1.0
    assert video_scores(far, true, split="test").border[0] < 0.8
    assert video_scores(far, true, split="test").region[0] == pytest.approx(30 / 50)
    empty = video_scores(0 * true, 0 * true, split="test")
    assert np.isnan(empty.region[0])


def test_a_perfect_track_has_no_overlap_above_1_and_boxes_of_nothing_do_not_meet():
    box, nothing = Box(3.0, 4.0, 2.0, 2.0), Box(0.0, 0.0, 0.0, 0.0)
    assert tracking_scores([box], [box], split="test").success == pytest.approx(20 / 21)
    assert tracking_scores([nothing], [nothing], split="test").success == 0.0
    half = tracking_scores([box], [Box(3.0, 5.0, 2.0, 2.0)], split="test")  # overlap of a third
    assert half.success == pytest.approx(7 / 21)
    lost = tracking_scores([box], [Box(3.0, 24.5, 2.0, 2.0)], split="test")
    assert lost.precision == 0.0


def test_videos_are_told_with_their_split_and_frames_without_objects_are_skipped():
    masks = np.zeros((3, 8, 8), dtype=int)
    masks[:2, 2:5, 2:5] = 1
    told = video_scores(masks, masks, split="made")
    assert told.both == 1.0
    assert "Split: made. Means over 2 of 3 frames" in told.table().protocol
    assert np.isnan(video_scores(0 * masks, 0 * masks, split="made").both)


def test_flicker_counts_errors_that_come_and_go_and_not_those_that_stay():
    true = np.zeros((4, 10, 10), dtype=int)
    true[:, 2:6, 2:6] = 1
    stays, blinks = true.copy(), true.copy()
    stays[:, 8, 8] = 1
    blinks[::2, 8, 8] = 1
    assert video_scores(true, true, split="test").flicker == 0
    assert video_scores(stays, true, split="test").flicker == 0
    assert video_scores(blinks, true, split="test").flicker == pytest.approx(1 / 100)


def test_several_objects_are_judged_apart_and_averaged():
    true = np.zeros((1, 20, 20), dtype=int)
    true[0, 2:6, 2:6], true[0, 12:16, 12:16] = 1, 2
    found = np.where(true == 2, 0, true)
    assert video_scores(found, true, split="test").region[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (lambda: video_scores(REAL, REAL, split="x"), "whole numbers"),
        (lambda: video_scores(REAL[:0].astype(int), REAL[:0].astype(int), split="x"), "0, 4"),
        (lambda: video_scores(REAL.astype(int), REAL.astype(int), split=""), "split must say"),
        (lambda: tracking_scores([], [], split="x"), "and some"),
        (lambda: tracking_scores([Box(0.0, 0.0, 1.0, 1.0)] * 2, [], split="x"), "2 for 0"),
        (lambda: tracking_scores([Box(0.0, 0.0, 1.0, 1.0)], [Box(0.0, 0.0, 1.0, 1.0)], split=""),
         "split must say"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(judge, said):
    with pytest.raises(UsageError, match=said):
        judge()


def test_frames_that_change_size_or_are_none_are_refused():
    frames, masks = clip(2)
    reader = MemorySegmenter().start(frames[0], masks[0])
    with pytest.raises(UsageError, match="48 x 48 pixels"):
        reader(frames[1][:40])
    with pytest.raises(UsageError, match=r"a frame must be \(y, x, channel\)"):
        Tracker().start(frames[0][0], Box(5.0, 5.0, 4.0, 4.0))
    with pytest.raises(UsageError, match="sides of 2 or more"):
        Tracker().start(frames[0], Box(5.0, 5.0, np.inf, 4.0))


@pytest.mark.parametrize("reader", [MemorySegmenter(every=3, pixels=70), Tracker(follow=0.2)])
def test_a_readers_settings_survive_the_disk(reader, tmp_path):
    again = load(save(reader, tmp_path / "reader"))
    assert again.to_dict() == reader.to_dict()


def deceived(frames: int = 10):
    """A thing and its double, one in the three channels of RGB and another in the next three."""
    draw = numpy_stream(4, "double")
    spectra = np.array([
        [0.3, 0.3, 0.3, 0.3, 0.3, 0.3], [0.6, 0.4, 0.2, 0.7, 0.2, 0.4],
        [0.6, 0.4, 0.2, 0.3, 0.6, 0.4],
    ])  # fmt: skip
    masks = np.zeros((frames, 40, 48), dtype=int)
    for t in range(frames):
        masks[t, 12:20, 4 + 2 * t : 12 + 2 * t] = 1
        masks[t, 22:30, 30 - 2 * t : 38 - 2 * t] = 2  # passes below, the other way
    seen = spectra[masks] + 0.02 * draw.normal(size=(*masks.shape, 6))
    return seen, masks


def test_a_double_of_the_same_rgb_deceives_three_channels_and_not_six():
    seen, masks = deceived()
    scores = []
    for channels in (3, 6):
        reader = MemorySegmenter(place=0.0).start(seen[0, ..., :channels], masks[0])
        found = np.stack([reader(frame[..., :channels]) for frame in seen[1:]])
        scores.append(np.nanmean(video_scores(found, masks[1:], split="made").region))
    assert scores[0] < 0.7
    assert scores[1] > 0.98


def test_a_tracker_follows_its_thing_past_a_double_of_the_same_rgb():
    seen, _ = deceived()
    tracker = Tracker().start(seen[0], Box(16.0, 8.0, 8.0, 8.0))
    for t, frame in enumerate(seen[1:], start=1):
        box = tracker(frame)
        assert np.hypot(box.y - 16, box.x - 8 - 2 * t) < 0.5
