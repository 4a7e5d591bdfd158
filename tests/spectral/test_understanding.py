"""Encoded pixels, against slow loops, closed forms and scenes whose truth is known."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import confusion_matrix, jaccard_score

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.run.files import load, save
from limen.spectral import Camera, Gaussians, Noise, Wavelengths
from limen.spectral.codec.split import halves
from limen.spectral.understand.channels import pure_cells
from limen.spectral.understand.linear_pixels import LinearPixels
from limen.spectral.understand.segmentation_scores import segmentation_scores
from limen.spectral.understand.segmenter import Segmenter
from limen.spectral.understand.targets import ACE, SAM, MatchedFilter, encoded_target
from limen.spectral.understand.unknown import Unknown
from limen.spectral.video.stream import stream


def background(rows: int = 300, channels: int = 4) -> np.ndarray:
    draw = numpy_stream(0, "background")
    mixed = np.eye(channels) + 0.3 * draw.normal(size=(channels, channels))
    return draw.normal(size=(rows, channels)) @ mixed + 3.0


TARGET = np.array([5.0, 1.0, 4.0, 2.0])


def slow(name: str, pixel: np.ndarray) -> float:
    rows = background()
    mean, inverse = rows.mean(0), np.linalg.inv(np.cov(rows.T))
    u, s = TARGET - mean, pixel - mean
    if name == "MF":
        return float(u @ inverse @ s / (u @ inverse @ u))
    if name == "ACE":
        return float((u @ inverse @ s) ** 2 / ((u @ inverse @ u) * (s @ inverse @ s)))
    return float(np.arccos(pixel @ TARGET / np.linalg.norm(pixel) / np.linalg.norm(TARGET)))


@pytest.mark.parametrize(("kind", "name"), [(MatchedFilter, "MF"), (ACE, "ACE"), (SAM, "SAM")])
def test_a_detector_equals_the_loop_over_pixels(kind, name):
    frame = numpy_stream(1, "frame").uniform(1, 5, size=(6, 7, 4))
    found = kind(TARGET).fit(background())(frame)
    wanted = [[slow(name, pixel) for pixel in row] for row in frame]
    assert np.allclose(found, wanted, rtol=1e-10, atol=0)


def test_the_matched_filter_is_1_on_target_0_on_the_mean_and_linear_between():
    found = MatchedFilter(TARGET).fit(background())
    mean = background().mean(0)
    mixed = mean + np.linspace(0, 1, 5)[:, None] * (TARGET - mean)
    assert np.allclose(found(mixed), np.linspace(0, 1, 5), atol=1e-12)
    weights, bias = found.rule
    assert np.allclose(mixed @ weights + bias, found(mixed), atol=1e-12)


def test_ace_is_blind_to_strength_and_sam_to_brightness():
    frame = numpy_stream(2, "frame").uniform(1, 5, size=(20, 4))
    mean = background().mean(0)
    ace, sam = ACE(TARGET).fit(background()), SAM(TARGET)
    assert np.allclose(ace(mean + 0.1 * (frame - mean)), ace(frame), rtol=1e-6)
    assert np.allclose(sam(7 * frame), sam(frame), rtol=1e-9)
    assert ((ace(frame) >= 0) & (ace(frame) <= 1)).all()


def test_detectors_do_not_change_under_a_linear_map_of_channels():
    frame = numpy_stream(3, "frame").normal(size=(20, 4))
    mix = numpy_stream(3, "mix").normal(size=(4, 4))
    for kind in (MatchedFilter, ACE):
        one = kind(TARGET).fit(background())(frame)
        other = kind(mix @ TARGET).fit(background() @ mix.T)(frame @ mix.T)
        assert np.allclose(one, other, rtol=1e-5, atol=1e-8)


def test_a_target_is_found_straight_from_counts():
    bands = Wavelengths(np.linspace(400, 700, 31))
    camera = Camera(Gaussians(np.linspace(430, 670, 5), 50.0), noise=Noise())
    draw = numpy_stream(0, "scene")
    grass, paint = (np.exp(-0.5 * ((bands.nm - c) / 30) ** 2) * 0.5 + 0.1 for c in (550, 610))
    scene = grass * draw.uniform(0.5, 1.0, size=(20, 20, 1))
    scene[5, 7] += 0.4 * (paint - scene[5, 7])
    counts = camera.capture(scene, wavelengths=bands)
    target = encoded_target(paint, camera, bands)
    score = MatchedFilter(target).fit(counts)(counts)
    assert np.unravel_index(score.argmax(), score.shape) == (5, 7)


@pytest.mark.parametrize("kind", [MatchedFilter, ACE, SAM, LinearPixels, Unknown, Segmenter])
def test_what_is_fitted_survives_the_disk(tmp_path, kind):
    frame = numpy_stream(4, "frame").normal(size=(8, 8, 4)).astype(np.float32)
    mask = (frame[..., 0] > 0).astype(int)
    if kind in (MatchedFilter, ACE, SAM):
        found = kind(TARGET).fit(background())
    elif kind is Segmenter:
        found = Segmenter(2, width=4, levels=1, steps=2, patch=8).fit([frame], [mask])
    else:
        found = kind().fit(frame, mask)
    again = load(save(found, tmp_path / "it"))
    assert np.array_equal(again(frame), found(frame))


@pytest.mark.parametrize("kind", [MatchedFilter, ACE])
def test_a_detector_needs_its_background_first(kind):
    with pytest.raises(UsageError, match="fitted on background"):
        kind(TARGET)(np.zeros((2, 4)))
    with pytest.raises(UsageError, match="more pixels than 4 channels"):
        kind(TARGET).fit(np.zeros((3, 4)))
    with pytest.raises(UsageError, match="must be finite"):
        kind(TARGET).fit(np.full((9, 4), np.nan))


def test_linear_pixels_equal_scikit_learns():
    draw = numpy_stream(5, "rows")
    y = draw.integers(0, 3, size=400)
    x = draw.normal(size=(400, 5)) + 1.2 * np.eye(5)[y]
    found = LinearPixels(ridge=0.0, balanced=False).fit(x, y)
    peer = LinearDiscriminantAnalysis(solver="lsqr").fit(x, y)
    assert (found(x) == peer.predict(x)).mean() > 0.995  # covariances differ by n / (n - classes)


def test_pixels_marked_minus_one_teach_nothing():
    x = np.array([[0.0], [0.1], [1.0], [1.1], [50.0]])
    marked = LinearPixels().fit(x, np.array([0, 0, 1, 1, -1]))
    left = LinearPixels().fit(x[:4], np.array([0, 0, 1, 1]))
    assert np.array_equal(marked.weights, left.weights)


@pytest.mark.parametrize(
    ("mask", "said"),
    [(np.zeros((2, 2), dtype=int), "two classes"), (np.zeros((3, 2), dtype=int), "pure_cells"),
     (np.zeros((2, 2)), "whole number"), (np.full((2, 2), -1), "none is left")],
)  # fmt: skip
def test_masks_that_teach_nothing_are_refused(mask, said):
    with pytest.raises(UsageError, match=said):
        LinearPixels().fit(np.random.default_rng(0).random((2, 2, 3)), mask)


def test_cells_of_one_class_keep_it_and_mixed_ones_do_not_count():
    mask = np.zeros((6, 6), dtype=int)
    mask[:, 4:] = 2
    assert pure_cells(mask, 3).tolist() == [[0, -1], [0, -1]]
    assert pure_cells(mask[None], 2).tolist() == [[[0, 0, 2]] * 3]
    with pytest.raises(UsageError, match="crop it to 4 x 4"):
        pure_cells(mask, 4)


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two textures of the same mean channels: only surroundings tell them apart."""
    draw = numpy_stream(seed, "scene")
    y, x = np.mgrid[:24, :24]
    mask = (x + int(draw.integers(6)) > 14).astype(int)
    stripes = np.where(mask == 1, (x % 2) * 2 - 1, (y % 2) * 2 - 1)
    return np.stack([stripes, 0.1 * draw.normal(size=mask.shape)], -1).astype(np.float32), mask


def test_a_segmenter_reads_surroundings_and_linear_pixels_cannot():
    train, test = [scene(s) for s in range(4)], scene(9)
    found = Segmenter(2, width=8, levels=1, steps=60, patch=16, lr=0.01)
    found.fit([x for x, _ in train], [y for _, y in train])
    linear = LinearPixels().fit([x for x, _ in train], [y for _, y in train])
    assert (found(test[0]) == test[1]).mean() > 0.9
    assert (linear(test[0]) == test[1]).mean() < 0.75


def test_the_same_seed_trains_the_same_segmenter_and_leaves_the_global_generator():
    x, y = scene(0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = (Segmenter(2, width=4, levels=1, steps=3, patch=8).fit(x, y) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(one.logits(x), other.logits(x))


def test_no_test_pixel_lies_within_the_reach_of_a_training_pixel():
    reach = Segmenter(2, levels=1).reach
    train, test = halves((64, 8), radius=reach)
    rows = np.flatnonzero(test.any(1))
    assert rows.min() - np.flatnonzero(train.any(1)).max() > reach


@pytest.mark.parametrize("size", [(70, 41), (64, 64), (5, 90)])
def test_tiles_of_a_large_frame_give_what_the_whole_does(size, monkeypatch):
    x = numpy_stream(0, "x").normal(size=(*size, 2)).astype(np.float32)
    found = Segmenter(2, width=4, levels=1, steps=2, patch=16).fit(x, (x[..., 0] > 0).astype(int))
    whole, mask = found.logits(x), found(x)
    monkeypatch.setattr("limen.spectral.understand.segmenter._TILE", 16)
    assert np.allclose(found.logits(x), whole, atol=1e-5)
    assert (found(x) == mask).mean() > 0.999  # equal logits round either way


def test_a_segmenter_reads_every_frame_of_a_stream():
    bands = Wavelengths(np.linspace(400, 700, 8))
    camera = Camera(Gaussians(np.linspace(430, 670, 4), 50.0), mosaic=(2, 2), noise=Noise())
    video = numpy_stream(0, "video").random((3, 12, 12, 8))
    counts = camera.capture(video, wavelengths=bands)
    masks = (counts.channels()[..., 0] > 0.2).astype(int)
    reader = Segmenter(2, width=4, levels=1, steps=2, patch=6).fit(counts, masks)
    frames = list(stream(video, camera, reader, wavelengths=bands))
    assert [frame.mask.shape for frame in frames] == [(6, 6)] * 3


@pytest.mark.parametrize(
    ("frames", "masks", "said"),
    [
        ([np.ones((8, 8, 2))] * 2, [np.ones((8, 8), int)], "as many as frames"),
        ([np.ones((8, 8, 2)), np.ones((8, 8, 3))], [np.ones((8, 8), int)] * 2, "same channels"),
        (np.ones((8, 8, 2)), np.full((8, 8), 2), "classes 0 to 1"),
        (np.ones((8, 8, 2)), np.full((8, 8), -4), "the least is -4"),
        (np.ones((8, 2)), np.ones(8, int), r"\(y, x, channel\)"),
        (np.full((8, 8, 2), np.nan), np.ones((8, 8), int), "finite"),
        (np.ones((1, 1, 2)), np.ones((1, 1), int), "larger than 2 or batch above 1"),
    ],
)
def test_what_teaches_a_segmenter_nothing_is_refused(frames, masks, said):
    with pytest.raises(UsageError, match=said):
        Segmenter(2, width=4, levels=1, steps=1, batch=1).fit(frames, masks)


def test_a_pixel_beyond_the_reach_changes_nothing():
    x = numpy_stream(0, "x").normal(size=(64, 64, 2)).astype(np.float32)
    found = Segmenter(2, width=4, levels=1, steps=2, patch=16).fit(x, (x[..., 0] > 0).astype(int))
    changed = x.copy()
    changed[32, 32] += 5.0
    moved = np.abs(found.logits(changed) - found.logits(x)).max(-1) > 0
    y, z = np.nonzero(moved)
    assert max(abs(y - 32).max(), abs(z - 32).max()) <= found.reach


def test_known_pixels_are_flagged_at_the_rate_asked_for_and_unknown_ones_found():
    draw = numpy_stream(6, "unknown")
    means = 4 * np.eye(3)[[0, 1, 2]]

    def pixels(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = draw.integers(0, 3, size=count)
        return means[y] + draw.normal(size=(count, 3)), y

    found = Unknown(alpha=0.1).fit(*pixels(2000), calibration=pixels(2000))
    assert found(pixels(5000)[0]).mean() == pytest.approx(0.1, abs=0.02)
    strange = np.array([8.0, 8.0, 8.0]) + draw.normal(size=(500, 3))
    assert found(strange).mean() > 0.99


def test_scores_of_masks_equal_scikit_learns_and_skip_absent_classes():
    draw = numpy_stream(7, "masks")
    truth, guess = draw.choice([0, 1, 3], size=500), draw.choice([0, 1, 3], size=500)
    found = segmentation_scores(guess, truth, split="test", classes=5)
    kept = [0, 1, 3]
    assert np.array_equal(found.confusion[np.ix_(kept, kept)], confusion_matrix(truth, guess))
    iou = jaccard_score(truth, guess, labels=kept, average=None)
    assert np.allclose(found.iou[kept], iou)
    assert np.isnan(found.iou[[2, 4]]).all()
    assert found.miou == pytest.approx(iou.mean())
    assert found.miou_objects == pytest.approx(iou[1:].mean())
    assert "Split: test." in found.table().protocol


def test_a_perfect_prediction_scores_1_and_permuted_labels_the_value_by_hand():
    truth = np.repeat([0, 1, 2], [4, 4, 2])
    perfect = segmentation_scores(truth, truth, split="test")
    assert (perfect.miou, perfect.pixel_accuracy, perfect.frequency_weighted_iou) == (1, 1, 1)
    swapped = segmentation_scores(np.repeat([1, 0, 2], [4, 4, 2]), truth, split="test")
    assert swapped.miou == pytest.approx(1 / 3)
    assert swapped.pixel_accuracy == pytest.approx(0.2)
    assert swapped.class_accuracy == pytest.approx(1 / 3)
    assert swapped.frequency_weighted_iou == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("guess", "truth", "options", "said"),
    [([0, 1], [0], {"split": "test"}, "one shape"), ([0], [0], {"split": ""}, "split must say"),
     ([5], [0], {"split": "test", "classes": 2}, "from 0 to 1"),
     ([0], [-1], {"split": "test"}, "a pixel that counts")],
)  # fmt: skip
def test_masks_that_cannot_be_compared_are_refused(guess, truth, options, said):
    with pytest.raises(UsageError, match=said):
        segmentation_scores(guess, truth, **options)
