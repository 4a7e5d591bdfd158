"""Scores of decoded cubes: by hand, beside a peer, and what they are blind to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.spectral import spectral_scores

TRUE = numpy_stream(0, "true").uniform(0.1, 0.9, size=(24, 20, 5))
NEAR = TRUE + 0.05 * numpy_stream(0, "noise").normal(size=TRUE.shape)


def test_scores_equal_their_formulas_in_plain_loops():
    told = spectral_scores(NEAR, TRUE, split="test", peak=1.0)
    errors, shares, angles = [], [], []
    for a, b in zip(NEAR.reshape(-1, 5), TRUE.reshape(-1, 5), strict=True):
        errors += [(x - y) ** 2 for x, y in zip(a, b, strict=True)]
        shares += [abs(x - y) / y for x, y in zip(a, b, strict=True)]
        angles.append(np.degrees(np.arccos(a @ b / np.sqrt((a @ a) * (b @ b)))))
    assert told.rmse == pytest.approx(np.sqrt(np.mean(errors)), rel=1e-12)
    assert told.psnr == pytest.approx(-10 * np.log10(np.mean(errors)), rel=1e-12)
    assert told.mrae == pytest.approx(np.mean(shares), rel=1e-12)
    assert told.angle == pytest.approx(np.mean(angles), rel=1e-9)


def test_structural_similarity_equals_scikit_images():
    peer = pytest.importorskip("skimage.metrics").structural_similarity
    told = spectral_scores(NEAR, TRUE, split="test", peak=1.0)
    wanted = peer(NEAR, TRUE, data_range=1.0, channel_axis=-1, gaussian_weights=True,
                  use_sample_covariance=False)  # fmt: skip
    assert told.ssim == pytest.approx(wanted, abs=1e-12)


def test_a_cube_equals_itself():
    told = spectral_scores(TRUE, TRUE, split="test")
    assert (told.rmse, told.mrae, told.angle) == (0.0, 0.0, 0.0)
    assert told.psnr == np.inf
    assert told.ssim == pytest.approx(1.0, abs=1e-12)


@given(st.floats(0.1, 10))
def test_the_angle_is_blind_to_brightness_and_psnr_to_units(gain):
    bright = spectral_scores(gain * TRUE, TRUE, split="test")
    assert bright.angle < 1e-12  # arccos would say 1e-6
    units = spectral_scores(gain * NEAR, gain * TRUE, split="test")
    assert units.psnr == pytest.approx(spectral_scores(NEAR, TRUE, split="test").psnr, abs=1e-9)


def test_all_scores_worsen_with_noise():
    told = [
        spectral_scores(TRUE + scale * (NEAR - TRUE), TRUE, split="test") for scale in (1, 2, 4)
    ]
    for name, sign in (("rmse", 1), ("mrae", 1), ("angle", 1), ("psnr", -1), ("ssim", -1)):
        assert (sign * np.diff([getattr(one, name) for one in told]) > 0).all()


def test_dark_pixels_do_not_explode_and_have_no_angle():
    true = np.full((2, 2, 3), 0.5)
    true[0, 0] = 0.0
    told = spectral_scores(true + 0.01, true, split="test", floor=0.1)
    assert told.mrae == pytest.approx((0.1 + 3 * 0.02) / 4)
    assert told.angle == pytest.approx(0.0, abs=1e-12)
    dark = spectral_scores(np.zeros((2, 2, 3)), true, split="test")
    assert np.isnan(dark.angle)
    assert np.isnan(dark.ssim)  # smaller than its window


def test_frames_of_a_video_are_one_mean_and_the_table_says_of_what():
    told = spectral_scores(np.stack([NEAR, TRUE]), np.stack([TRUE, TRUE]), split="lower half")
    one = spectral_scores(NEAR, TRUE, split="lower half")
    assert told.ssim == pytest.approx((one.ssim + 1) / 2)
    assert told.rmse == pytest.approx(one.rmse / np.sqrt(2))
    assert f"Split: lower half. Peak {TRUE.max():g}" in told.table().protocol
    assert told.to_dict()["floor"] == 1e-3


@pytest.mark.parametrize(
    ("decoded", "true", "options", "said"),
    [
        (TRUE[1:], TRUE, {}, "one shape"), (TRUE[0], TRUE[0], {}, "y, x, band"),
        (TRUE * np.nan, TRUE, {}, "finite"), (TRUE, -TRUE, {}, "not negative"),
        (TRUE, TRUE, {"split": ""}, "split must say"), (TRUE, TRUE, {"peak": 0.0}, "above 0"),
        (TRUE, 0 * TRUE, {}, "above 0"), (TRUE, TRUE, {"floor": np.inf}, "finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(decoded, true, options, said):
    with pytest.raises(UsageError, match=said):
        spectral_scores(decoded, true, **{"split": "test", **options})
