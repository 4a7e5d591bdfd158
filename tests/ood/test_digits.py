"""The digits benchmark: what is known, what is not, and that nothing leaks."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.ood.toy import digits, patches


@pytest.fixture(scope="module")
def found():
    return digits(seed=3, train=0.5, calibration=0.2)


def rows_of(array):
    return {row.tobytes() for row in array}


def test_the_parts_of_the_known_digits_share_no_row(found):
    parts = [rows_of(part) for part in (found.train, found.calibration, found.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_all_known_digits_are_used(found):
    assert len(found.train) + len(found.calibration) + len(found.test) == 1083
    assert set(found.train_labels) == set(found.test_labels) == set(range(6))


@pytest.mark.parametrize("auxiliary", ["pictures", "digits"])
def test_nothing_that_is_to_be_caught_was_learnt(auxiliary):
    found = digits(seed=0, auxiliary=auxiliary)
    learnt = rows_of(found.auxiliary) | rows_of(found.train)
    for name, rows in found.outliers.items():
        assert not learnt & rows_of(rows), name


def test_every_set_has_pictures_between_black_and_white(found):
    for rows in (found.train, found.auxiliary, *found.outliers.values()):
        assert rows.shape[1] == 64
        assert rows.dtype == np.float32
        assert len(rows) >= 300
        assert 0 <= rows.min() <= rows.max() <= 1


def test_a_seed_decides_everything():
    one, same, other = digits(seed=1), digits(seed=1), digits(seed=2)
    for name, rows in one.outliers.items():
        np.testing.assert_array_equal(rows, same.outliers[name])
    np.testing.assert_array_equal(one.train, same.train)
    assert not np.array_equal(one.train, other.train)


def test_a_permutation_keeps_the_grey_values(found):
    permuted = found.outliers["pixels permuted"]
    np.testing.assert_array_equal(np.sort(permuted, axis=1), np.sort(found.test, axis=1))


def test_four_rotations_give_the_digit_back(found):
    turned = found.outliers["rotated by 90 degrees"].reshape(-1, 8, 8)
    back = np.rot90(turned, 3, axes=(1, 2)).reshape(len(found.test), -1)
    np.testing.assert_array_equal(back, found.test)


def test_a_patch_is_the_mean_of_four_pixels():
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    patch = patches(picture, 1, seed=0)[0]
    np.testing.assert_allclose(patch[0] * 255, (0 + 1 + 16 + 17) / 4, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"auxiliary": "letters"}, "auxiliary='letters' must be one of"),
        ({"known": 7}, "known=7 must be 2 to 6"),
        ({"train": 0.8, "calibration": 0.2}, "must leave some digits"),
        ({"train": 0.0}, "must leave some digits"),
    ],
)
def test_settings_out_of_range_are_refused(given, said):
    with pytest.raises(UsageError, match=said):
        digits(seed=0, **given)
