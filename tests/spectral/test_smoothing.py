"""Logits averaged along the motion of a camera."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, shift

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.run.files import load, save
from limen.spectral import LinearPixels, SmoothedSegmenter, video_scores
from limen.spectral.understand.displacement import displacement

SPECTRA = np.array([[0.3, 0.5, 0.4], [0.4, 0.4, 0.5]])
NOISE = 0.1


def world(seed: int = 0, side: int = 96) -> np.ndarray:
    """Patches of two materials."""
    return (gaussian_filter(numpy_stream(seed, "world").normal(size=(side, side)), 3) > 0).astype(
        int
    )


def pan(frames: int, *, speed: tuple[int, int] = (1, 2), seed: int = 0):
    """A camera that passes over the patches, with noise."""
    ground, draw = world(), numpy_stream(seed, "pan")
    masks = [ground[speed[0] * t :][:40, speed[1] * t :][:, :40] for t in range(frames)]
    return [SPECTRA[m] + NOISE * draw.normal(size=(40, 40, 3)) for m in masks], np.stack(masks)


@settings(max_examples=30, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6))
def test_a_shift_is_found_to_a_quarter_of_a_pixel_in_noise_and_other_light(down, right):
    big = gaussian_filter(numpy_stream(1, "picture").normal(size=(80, 80)), 1.5)
    noise = 0.02 * big.std() * numpy_stream(2, "noise").normal(size=(2, 64, 64))
    one, other = big[8:-8, 8:-8], shift(big, (down, right), order=3)[8:-8, 8:-8]
    found = displacement(one + noise[0], 3 * other + noise[1] + 7.0, phase=True)
    assert found[:2] == pytest.approx((down, right), abs=0.25)
    assert found[2] > 0.3


@pytest.mark.parametrize("phase", [False, True])
def test_a_picture_did_not_move_from_itself(phase):
    picture = numpy_stream(1, "picture").normal(size=(33, 20, 2))
    down, right, alike = displacement(picture, picture, phase=phase)
    assert (down, right, alike) == pytest.approx((0, 0, 1), abs=1e-9)
    assert displacement(0 * picture, 0 * picture, phase=phase)[2] == 0.0


@pytest.mark.parametrize("speed", [(0, 0), (1, 2)])
def test_the_past_halves_the_errors_and_the_flicker_where_the_camera_stands_or_passes(speed):
    frames, masks = pan(14, speed=speed)
    alone = LinearPixels().fit(frames[:2], list(masks[:2]))
    smooth = SmoothedSegmenter(alone)
    found = np.stack([smooth(frame) for frame in frames])
    single = np.stack([alone(frame) for frame in frames])
    assert (found != masks)[4:].mean() < 0.5 * (single != masks)[4:].mean()
    told, before = (video_scores(part[4:], masks[4:], split="made") for part in (found, single))
    assert told.flicker < 0.5 * before.flicker


def test_a_thing_that_moves_on_its_own_leaves_no_trail():
    draw = numpy_stream(3, "thing")
    masks = np.zeros((12, 40, 40), dtype=int)
    for t in range(12):
        masks[t, 10:20, 3 * t : 3 * t + 8] = 1
    spectra = np.array([[0.3, 0.5, 0.4], [0.6, 0.2, 0.7]])
    frames = [spectra[m] + 0.05 * draw.normal(size=(40, 40, 3)) for m in masks]
    smooth = SmoothedSegmenter(LinearPixels().fit(frames[:2], list(masks[:2])), keep=0.9)
    found = np.stack([smooth(frame) for frame in frames])
    assert np.nanmin(video_scores(found, masks, split="made").region) > 0.95


def test_without_noise_or_with_nothing_kept_it_is_the_reader_itself():
    frames, masks = pan(4)
    alone = LinearPixels().fit(frames[:2], list(masks[:2]))
    nothing = SmoothedSegmenter(alone, keep=0.0)
    assert all(np.array_equal(nothing.logits(f), alone.logits(f)) for f in frames)
    clean = [SPECTRA[m] for m in masks]
    smooth = SmoothedSegmenter(alone)
    assert all((smooth(f) == m).mean() > 0.99 for f, m in zip(clean, masks, strict=True))


def test_a_class_never_seen_stays_unnamed_and_another_video_starts_anew(tmp_path):
    frames, masks = pan(3)
    alone = LinearPixels().fit(frames[0], 2 * masks[0])
    smooth = SmoothedSegmenter(alone, keep=0.5)
    first = smooth.logits(frames[0])
    found = smooth.logits(frames[1])
    assert np.isfinite(found).all()
    assert 1 not in found.argmax(-1)
    assert np.array_equal(smooth.start().logits(frames[0]), first)
    again = load(save(smooth, tmp_path / "reader"))
    assert np.array_equal(again.logits(frames[0]), first)


def test_what_cannot_be_smoothed_is_refused():
    frames, masks = pan(2)
    alone = LinearPixels().fit(frames, list(masks))
    with pytest.raises(UsageError, match="keep=1"):
        SmoothedSegmenter(alone, keep=1.0)
    with pytest.raises(UsageError, match="got str"):
        SmoothedSegmenter("net")
    smooth = SmoothedSegmenter(alone)
    smooth(frames[0])
    with pytest.raises(UsageError, match="begins another video"):
        smooth(frames[1][:20])
    with pytest.raises(UsageError, match="y, x, channel"):
        smooth(frames[1][0])
