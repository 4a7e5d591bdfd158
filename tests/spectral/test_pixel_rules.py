"""Rules for single pixels at their edges: precision, blocks, and what they refuse."""

import tracemalloc

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import (
    ACE,
    SAM,
    Camera,
    Gaussians,
    LinearPixels,
    MatchedFilter,
    Noise,
    Unknown,
    Wavelengths,
    encoded_target,
    pure_cells,
)
from limen.spectral.understand.channels import channels_of, in_blocks, moments_of, paired

ROWS = numpy_stream(0, "rows").normal(size=(400, 4)) + 3.0
NAMES = np.arange(400) % 3
TARGET = np.array([5.0, 1.0, 4.0, 2.0])


def rules():
    """Each rule of pixels, fitted."""
    detectors = [kind(TARGET).fit(ROWS) for kind in (MatchedFilter, ACE, SAM)]
    return [*detectors, LinearPixels().fit(ROWS, NAMES).logits, Unknown().fit(ROWS, NAMES).scores]


@pytest.mark.parametrize("at", range(5))
def test_blocks_of_pixels_change_nothing(at, monkeypatch):
    frame = numpy_stream(1, "frame").normal(size=(5, 7, 4))
    whole = rules()[at](frame)
    monkeypatch.setattr("limen.spectral.understand.channels._BLOCK", 4)
    assert np.allclose(rules()[at](frame), whole, rtol=1e-12, atol=1e-12)


def test_moments_of_blocks_are_those_of_all_pixels(monkeypatch):
    rows = numpy_stream(5, "far").normal(size=(103, 4)) + 1e6
    monkeypatch.setattr("limen.spectral.understand.channels._BLOCK", 10)
    found = moments_of(rows)
    assert np.allclose(found.mean[0], rows.mean(0), rtol=1e-12)
    assert np.allclose(found.scatter / 102, np.cov(rows.T), rtol=1e-7)  # of 1e6, in float64


@pytest.mark.parametrize("rule", rules())
def test_a_pixel_alone_and_no_pixel_are_frames_too(rule):
    one = rule(ROWS[7])
    assert np.allclose(one, rule(ROWS)[7])
    assert len(rule(ROWS[:0])) == 0


@pytest.mark.parametrize("rule", rules())
def test_the_work_on_a_large_frame_takes_little_more_memory_than_the_answer(rule):
    frame = np.ones((1000, 500, 4), dtype=np.float32)
    rule(frame[:2])
    tracemalloc.start()
    answer = rule(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < answer.nbytes + 8 * 2**20  # a copy in float64 alone would be 16 MB


def test_single_precision_loses_nothing_where_channels_rise_and_fall_together():
    draw = numpy_stream(2, "together")
    y = draw.integers(0, 2, size=4000)
    x = 0.3 + 0.01 * draw.normal(size=(4000, 1)) + 1e-4 * draw.normal(size=(4000, 9))
    x[:, 0] += 2e-4 * y
    single = x.astype(np.float32)
    rule, target = LinearPixels().fit(x, y), x.mean(0) + 2e-4 * np.eye(9)[0]
    assert np.abs(rule.logits(single) - rule.logits(single.astype(float))).max() < 1e-3
    found = MatchedFilter(target).fit(x)
    assert np.abs(found(single) - found(single.astype(float))).max() < 1e-6


def test_a_class_without_training_pixels_is_never_named():
    found = LinearPixels().fit(ROWS, 2 * (NAMES > 0))
    assert found.classes == 3
    assert np.isneginf(found.logits(ROWS)[:, 1]).all()
    assert 1 not in found(ROWS)


def test_a_frame_of_many_backgrounds_is_fitted_as_their_pixels_together():
    one = MatchedFilter(TARGET).fit([ROWS[:100], ROWS[100:].reshape(30, 10, 4)])
    assert np.allclose(one(ROWS), MatchedFilter(TARGET).fit(ROWS)(ROWS), rtol=1e-12)


def test_counts_of_a_mosaic_and_their_channels_give_the_same_answers():
    bands = Wavelengths(np.linspace(400, 700, 16))
    camera = Camera(Gaussians(np.linspace(430, 670, 4), 50.0), mosaic=(2, 2), noise=Noise())
    scene = numpy_stream(3, "scene").random((12, 12, 16))
    counts = camera.capture(scene, wavelengths=bands)
    target = encoded_target(np.linspace(0, 1, 16), camera, bands)
    found = MatchedFilter(target).fit(counts)
    assert np.array_equal(found(counts), found(counts.channels()))
    assert found(counts).shape == (6, 6)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (lambda: MatchedFilter(ROWS.mean(0)).fit(ROWS), "it is that mean"),
        (lambda: ACE(TARGET).fit(np.ones((50, 4))), "it is one colour"),
        (lambda: ACE(TARGET).fit([]), "an empty list"),
        (lambda: SAM("abc"), "target must hold real numbers"),
        (lambda: SAM(TARGET)("abc"), "channels must be numbers"),
        (lambda: LinearPixels(ridge=float("inf")), "at least 0 and finite"),
        (lambda: LinearPixels(ridge=0.0).fit(np.c_[ROWS, ROWS], NAMES), "ridge above 0"),
        (lambda: LinearPixels().fit(np.ones((9, 2)), np.arange(9) % 2), "vary within the classes"),
        (lambda: LinearPixels().fit([ROWS, ROWS], [NAMES]), "as many as frames"),
        (
            lambda: LinearPixels().fit([ROWS, ROWS[:, :3]], [NAMES, NAMES]),
            r"same channels.*\[3, 4\]",
        ),
        (lambda: LinearPixels().fit(ROWS, NAMES - 3), "the least is -3"),
        (lambda: LinearPixels().to_dict(), "fitted first"),
        (lambda: Unknown().fit(np.ones((90, 3)), np.zeros(90, int)), "vary within the classes"),
        (lambda: Unknown().fit(ROWS, NAMES, calibration=ROWS), "calibration must be a pair"),
        (lambda: Unknown(alpha=1e-3).fit(ROWS, NAMES), "at least 999"),
        (lambda: pure_cells(np.zeros((4, 4), int), 0), "side 1 or more"),
        (lambda: pure_cells(np.zeros((4, 4)), 2), "whole numbers"),
    ],
)
def test_what_no_rule_can_be_fitted_to_is_refused_in_a_sentence(refused, said):
    with pytest.raises(UsageError, match=said):
        refused()


def test_whole_numbers_and_half_precision_are_channels_as_well():
    assert channels_of(np.array([[1, 2]], dtype=np.uint16)).dtype == np.float32
    half = ROWS.astype(np.float16)
    found = LinearPixels().fit(half, NAMES)
    assert found.logits(half).dtype == np.float32
    assert np.array_equal(found(half), found(half.astype(float)))


def test_blocks_keep_leading_axes_and_pairs_keep_their_order():
    assert in_blocks(np.ones((2, 3, 4)), lambda rows: rows[:, :2]).shape == (2, 3, 2)
    pairs = paired([ROWS, ROWS[:9]], [NAMES, NAMES[:9]])
    assert [len(y) for _, y in pairs] == [400, 9]
