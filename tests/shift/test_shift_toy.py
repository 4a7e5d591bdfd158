"""Digits on textures, and the demo's section made of them."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.report.records import Section
from limen.report.table import Table
from limen.shift.demo import section
from limen.shift.toy import TEXTURES, digits_on_textures, turned


@pytest.fixture(scope="module")
def found():
    return digits_on_textures(seed=0)


def parts(found):
    return found.train, found.repair, found.test


def test_all_digits_are_used_once(found):
    assert sum(map(len, parts(found))) == 1797
    assert len(found.home) == len(found.test)


def test_every_part_has_classes_textures_and_pictures_between_black_and_white(found):
    for part in (*parts(found), found.home):
        assert set(part.labels) == set(part.textures) == {0, 1, 2}
        assert 0 <= part.pictures.min() < part.pictures.max() <= 1
        assert part.pictures.dtype == np.float32
        assert part.names[0] == TEXTURES[part.textures[0]]


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_at_home_the_texture_agrees_with_the_class_as_often_as_asked(share):
    found = digits_on_textures(seed=1, share=share)
    for part in (found.train, found.home):
        assert (part.textures == part.labels).mean() == pytest.approx(share, abs=0.06)


def test_away_the_texture_says_nothing(found):
    for part in (found.repair, found.test):
        assert (part.textures == part.labels).mean() == pytest.approx(1 / 3, abs=0.06)


def test_test_and_home_hold_the_same_digits(found):
    np.testing.assert_array_equal(found.test.labels, found.home.labels)


def test_the_same_seed_pastes_the_same_pictures_and_another_does_not(found):
    again, other = digits_on_textures(seed=0), digits_on_textures(seed=1)
    np.testing.assert_array_equal(again.train.pictures, found.train.pictures)
    assert (other.train.pictures != found.train.pictures).any()


def test_more_ink_hides_more_of_the_texture():
    faint, full = (digits_on_textures(seed=0, ink=ink).test.pictures for ink in (0.2, 1.0))
    assert (full >= faint - 1e-6).all()
    assert full.max() == 1


def test_no_turned_digit_comes_twice():
    found = turned([0, 0, 0], seed=0, rows=599)
    assert len(np.unique(np.concatenate(found), axis=0)) == 1797


def test_turning_by_a_right_angle_turns_the_pixels():
    straight, quarter = (turned([angle], seed=0, rows=10)[0] for angle in (0, 90))
    expected = np.rot90(straight.reshape(-1, 8, 8), axes=(1, 2)).reshape(10, -1)
    np.testing.assert_allclose(quarter, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: digits_on_textures(seed=0, share=1.2), "share=1.2"),
        (lambda: digits_on_textures(seed=0, train=0.9), "train=0.9"),
        (lambda: digits_on_textures(seed=0, ink=0.0), "ink=0.0"),
        (lambda: turned([0, 1], seed=0, rows=1000), "1 to 1797"),
        (lambda: turned([], seed=0), "0 times"),
    ],
    ids=["share", "train", "ink", "rows", "none"],
)
def test_impossible_toys_of_shift_are_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()


@pytest.mark.slow
def test_a_quick_section_has_all_its_parts_and_survives_json():
    import json

    found = section(quick=True, seed=0)
    kinds = [record.kind for record in found.records]
    assert kinds == ["curves", "table", "gallery", "table", "table", "facts"]
    again = Section.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict()


@pytest.mark.slow
def test_the_section_finds_the_planted_lean_repairs_it_and_sees_the_angles():
    found = section(seed=0)
    tables = [record for record in found.records if isinstance(record, Table)]
    discovered, judged, gaps = tables
    assert any(row[-1] == "yes" for row in discovered.rows)
    assert all(row[3].low > 0 for row in judged.rows[1:])
    small = {row[0]: row[4] for row in gaps.rows}
    assert small["30 degrees, seen"] > 0.05
    assert max(p for name, p in small.items() if "seen" not in name) < 0.05
