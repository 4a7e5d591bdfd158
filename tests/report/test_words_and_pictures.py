"""Galleries, answers before and after, and facts."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limen import LimenError
from limen.report import Answer, Diff, Facts, Picture
from limen.report.png import png, size


def unpacked(file):
    """Pixels of a PNG file made by `png`, by the letter of the format: filter 0 on each row."""
    width, height = size(file)
    start = file.index(b"IDAT")
    length = int.from_bytes(file[start - 4 : start], "big")
    rows = np.frombuffer(zlib.decompress(file[start + 4 : start + 4 + length]), dtype=np.uint8)
    rows = rows.reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, -1)


shapes = st.sampled_from([(3, 5), (1, 1), (4, 2, 3), (2, 3, 4)])


@given(arrays(np.uint8, shapes))
def test_pixels_come_back_from_their_png_file(pixels):
    assert (unpacked(png(pixels)) == pixels.reshape(*pixels.shape[:2], -1)).all()


@given(arrays(np.uint8, shapes))
def test_a_png_file_is_what_a_browser_expects(pixels):
    file = png(pixels)
    place = 8
    names = []
    while place < len(file):
        length = int.from_bytes(file[place : place + 4], "big")
        body = file[place + 4 : place + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(file[place + 8 + length :][:4], "big")
        names.append(body[:4])
        place += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]


def test_a_transposed_picture_is_stored_as_it_looks():
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3).T
    assert (unpacked(png(pixels))[:, :, 0] == pixels).all()


@pytest.mark.parametrize(
    "wrong",
    [
        b"GIF89a",
        np.zeros((2, 2)),
        np.zeros((2, 2, 2), dtype=np.uint8),
        np.zeros((0, 2), dtype=np.uint8),
        np.array(["a"]),
    ],
)
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(LimenError, match="picture"):
        Picture(wrong)


def test_a_gap_breaks_the_line_of_a_series():
    assert len(Picture([1.0, math.nan, 2.0, 3.0]).paths()) == 2
    assert Picture([math.nan]).paths() == []
    assert len(Picture([2.0, 2.0]).paths()) == 1


def test_marked_words_are_those_of_the_expected_answer_in_its_order():
    before, after = Answer(
        "?", "It was, I think, Ada Byron.", "No idea.", expected="ada byron"
    ).sides()
    assert [run for run, agrees in before.runs if agrees] == ["Ada Byron."]
    assert (before.agreeing, after.agreeing, before.expected) == (2, 0, 2)


@given(st.text(), st.text())
def test_marking_never_changes_the_answer(text, expected):
    side, _ = Answer("?", text, "", expected=expected).sides()
    assert "".join(run for run, _ in side.runs) == text
    assert side.agreeing <= side.expected


def test_without_an_expectation_nothing_is_marked():
    side, _ = Answer("?", "some words", "").sides()
    assert side.runs == [("some words", False)]


def test_a_mapping_that_is_no_answer_is_refused_with_its_names():
    with pytest.raises(LimenError, match="got prompt, reply"):
        Diff([{"prompt": "?", "reply": "!"}])


def test_a_fact_may_be_a_number_of_numpy_or_a_list():
    facts = Facts({"n": np.int64(3), "x": np.array([0.5, 1.0]), "files": ["a", "b"], "no": None})
    assert facts.written() == [
        ("n", "3"),
        ("x", "0.5, 1.0"),
        ("files", "a\nb"),
        ("no", "\N{EN DASH}"),
    ]


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), b"x"])
def test_a_fact_of_another_kind_is_refused_by_name(wrong):
    with pytest.raises(LimenError, match="what"):
        Facts({"what": wrong})
