"""Videos that are made: exact masks, metamers, films."""

import os
from pathlib import Path

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import Wavelengths
from limen.spectral.video.export_video import export_video
from limen.spectral.video.metamers import metamers
from limen.spectral.video.relit import relit
from limen.spectral.video.synthetic_video import synthetic_video
from limen.spectral.video.to_rgb import to_rgb
from limen.spectral.video.video import Frames, Video

BANDS = Wavelengths(np.linspace(400, 700, 16))


def spectra(count: int, seed: int = 0) -> np.ndarray:
    return numpy_stream(seed, "spectra").uniform(0.1, 0.9, size=(count, 16))


def made(**more) -> Video:
    options = {"background": np.full(16, 0.3), "frames": 4, "size": (24, 30)}
    return synthetic_video(spectra(3), BANDS, **(options | more))


def test_a_frame_is_the_same_whenever_it_is_asked_for():
    video, again = made(), made()
    frames = list(video)
    assert np.array_equal(video[3], frames[3])
    assert np.array_equal(again[3], frames[3])
    assert not np.array_equal(made(seed=1)[3], frames[3])


def test_light_scales_spectra_and_never_bends_them():
    video = made(shading=0.5, speed=0.0)
    frame, mask = video[0], video.mask(0)
    for label in (1, 2, 3):
        pixels = frame[mask == label]
        pure = pixels[np.ptp(pixels / pixels.sum(1, keepdims=True), axis=1) >= 0]
        cosines = pure @ spectra(3)[label - 1] / np.linalg.norm(pure, axis=1)
        assert np.median(cosines) == pytest.approx(np.linalg.norm(spectra(3)[label - 1]), rel=1e-5)


def test_a_masks_class_covers_most_of_its_pixel():
    on, off = np.zeros((1, 16)), np.zeros(16)
    on += 1.0
    video = synthetic_video(on, BANDS, background=off, size=(40, 40), frames=3, shading=0.0)
    for time in range(3):
        assert np.array_equal(video.mask(time) == 1, video[time][..., 0] > 0.5)


def test_things_move_by_parts_of_a_pixel():
    on = np.ones((1, 16))
    video = synthetic_video(on, BANDS, background=np.zeros(16), size=(60, 60), frames=2,
                            shading=0.0, speed=0.4)  # fmt: skip
    y, x = np.mgrid[:60, :60]
    centres = [np.array([(f[..., 0] * a).sum() / f[..., 0].sum() for a in (y, x)]) for f in video]
    moved = np.linalg.norm(centres[1] - centres[0])
    assert 0.15 < moved < 0.45


def test_a_background_larger_than_the_frame_passes_by_bilinearly():
    cube = np.linspace(0, 1, 50)[None, :, None] * np.ones((40, 1, 16))
    video = synthetic_video(np.empty((0, 16)), BANDS, background=cube, size=(20, 20), frames=5,
                            shading=0.0)  # fmt: skip
    steps = [float(frame[0, 0, 0] - video[0][0, 0, 0]) for frame in video]
    assert np.allclose(np.diff(np.abs(steps)), abs(steps[1]), atol=1e-6)
    assert all(np.allclose(np.diff(frame[0, :, 0]), 1 / 49, atol=1e-6) for frame in video)


def test_relit_frames_are_the_frames_times_the_light():
    video = made()
    warm = relit(video, lambda t: 1 + t * np.linspace(-0.5, 0.5, 16))
    assert np.array_equal(warm[0], video[0])
    assert np.allclose(warm[3], video[3] * np.linspace(0.5, 1.5, 16), rtol=1e-6)
    assert np.array_equal(warm.mask(2), video.mask(2))
    with pytest.raises(UsageError, match="light must give"):
        relit(video, lambda _: np.ones(3))[0]


def test_frames_that_change_size_are_refused():
    with pytest.raises(UsageError, match=r"frame 1 is \(3, 2, 16\) after \(2, 2, 16\)"):
        Video([np.zeros((2, 2, 16)), np.zeros((3, 2, 16))], BANDS)
    lazy = Frames(lambda t: np.zeros((2 + t, 2, 16)), (3, 2, 2, 16))
    with pytest.raises(UsageError, match="keep their size"):
        list(Video(lazy, BANDS))


@pytest.mark.parametrize(
    ("frames", "bands", "said"),
    [(np.zeros((2, 2, 2, 16)), None, "never guessed"), (np.zeros((2, 2, 16)), BANDS, "time, y, x"),
     ([], BANDS, "got none"), (np.zeros((2, 2, 2, 5)), BANDS, "5 bands")],
)  # fmt: skip
def test_what_is_no_video_is_refused(frames, bands, said):
    with pytest.raises(UsageError, match=said):
        Video(frames, bands)


@pytest.mark.parametrize(
    "change",
    [{"background": np.full(16, 1.5)}, {"background": np.zeros((5, 5, 16))}, {"labels": [1]},
     {"shading": 1.0}, {"frames": 0}],
)  # fmt: skip
def test_a_scene_that_cannot_be_is_refused(change):
    with pytest.raises(UsageError):
        made(**change)


def test_partners_differ_from_their_spectra_and_no_camera_of_the_matrix_sees_it():
    x, matrix = spectra(20), numpy_stream(1, "matrix").random((3, 16))
    found = metamers(x, matrix)
    assert found.found.all()
    assert np.abs((found.partners - x) @ matrix.T).max() < 1e-12
    assert found.partners.min() >= 0.02 - 1e-12
    assert found.partners.max() <= 0.98 + 1e-12
    root = np.sqrt(((found.partners - x) ** 2).mean(axis=1))
    assert np.allclose(found.difference, root)
    nine = numpy_stream(2, "nine").random((9, 16))
    assert np.abs((found.partners - x) @ nine.T).max(axis=1).min() > 0.01


def test_a_spectrum_beyond_the_limits_has_no_partner():
    x = np.stack([np.full(16, 0.5), np.full(16, 0.999)])
    found = metamers(x, np.ones((1, 16)))
    assert found.found.tolist() == [True, False]
    assert np.array_equal(found.partners[1], x[1])


def test_as_many_channels_as_bands_are_not_deceived():
    with pytest.raises(UsageError, match="fewer channels than bands"):
        metamers(spectra(2), np.eye(16))


@pytest.mark.skipif("LIMEN_DATA" not in os.environ, reason="needs LIMEN_DATA")
def test_most_measured_patches_have_a_partner():
    place = Path(os.environ["LIMEN_DATA"]) / "spectral/spectra/AMPAS_190_Patches.csv"
    from limen.spectral.light.spectra import read_spectra

    patches = read_spectra(place).resampled(np.arange(400.0, 701.0, 10.0))
    matrix = np.exp(-0.5 * ((np.arange(31) - np.array([[20], [15], [5]])) / 4) ** 2)
    found = metamers(patches.values, matrix)
    assert found.found.sum() > 150  # of 190, of which 163 lie within the limits themselves


def test_colours_are_those_of_the_eye():
    bands = Wavelengths(np.arange(400.0, 701.0, 5.0))
    red, green, blue = (np.exp(-0.5 * ((bands.nm - c) / 15) ** 2) for c in (640, 540, 455))
    pixels = to_rgb(np.stack([red, green, blue, np.ones(61), np.zeros(61)]), bands)
    assert pixels[:3].argmax(axis=1).tolist() == [0, 1, 2]
    assert pixels[3].tolist() == [255, 255, 255]
    assert pixels[4].tolist() == [0, 0, 0]
    with pytest.raises(UsageError, match="between 380 and 780"):
        to_rgb(np.zeros((1, 2)), Wavelengths([1000.0, 1100.0]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of its reader
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_a_film_has_its_pictures(tmp_path, ending):
    import imageio.v2 as iio

    shade = [np.full((20, 33, 3), 40 * t, dtype=np.uint8) for t in range(6)]
    path = export_video(tmp_path / f"film{ending}", shade, fps=10)
    with iio.get_reader(path) as film:
        read = [np.asarray(frame)[..., :3] for frame in film]
    assert len(read) == 6
    assert abs(int(read[5].mean()) - 200) < 6


def test_a_film_that_fails_leaves_the_old_one(tmp_path):
    path = export_video(tmp_path / "film.gif", [np.zeros((8, 8), dtype=np.uint8)])
    before = path.read_bytes()
    bad = iter([np.zeros((8, 8), dtype=np.uint8), np.zeros((9, 8), dtype=np.uint8)])
    with pytest.raises(UsageError, match="keep their size"):
        export_video(path, bad)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]
    with pytest.raises(UsageError, match="uint8"):
        export_video(path, [np.zeros((8, 8))])
    with pytest.raises(UsageError, match=r"end in \.mp4 or \.gif"):
        export_video(tmp_path / "film.avi", [])
