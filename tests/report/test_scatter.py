"""Points around zero: where they stand, and what is said about them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import LimenError
from limen._core.errors import UsageError
from limen.report import Scatter

numbers = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_zero_and_every_point_are_in_the_picture(points):
    layout = Scatter(*zip(*points, strict=True)).figure()["layout"]
    for axis, values in zip(("xaxis", "yaxis"), zip(*points, strict=True), strict=True):
        low, high = layout[axis]["range"]
        assert low < min(0.0, *values, 0.0)
        assert high > max(0.0, *values, 0.0)
        assert layout[axis]["zeroline"]


def test_each_group_has_a_colour_and_a_marker_of_its_own():
    drawn = Scatter([1, 2, 3], [1, 2, 3], groups=["a", "b", "a"]).figure()["data"]
    assert [trace["x"] for trace in drawn] == [[1.0, 3.0], [2.0]]
    for what in ("color", "symbol"):
        assert len({trace["marker"][what] for trace in drawn}) == 2


def test_the_key_counts_the_points_of_each_group():
    scatter = Scatter([1, 2, math.nan], [1, 2, 3], groups=["a", "b", "b"])
    assert [(k.name, k.reading, k.lined) for k in scatter.keys()] == [  # noqa: SIM118
        ("a", "1 point", False),
        ("b", "1 point", False),
    ]
    assert Scatter([1], [1]).keys() == []


def test_a_point_without_both_values_is_counted_and_not_drawn():
    scatter = Scatter([0.0, math.nan, 1.0], [0.0, 1.0, math.inf], names=["a", "b", "c"])
    assert scatter.figure()["data"][0]["x"] == [0.0]
    assert scatter.beyond == "2 points without both values"
    assert Scatter([0.0], [0.0]).beyond == ""
    assert len(scatter.numbers().rows) == 3


def test_the_pointer_tells_the_name_and_both_values():
    trace = Scatter([0.5], [-1.0], names=["<b>"], x_name="gain", y_name="cost").figure()["data"][0]
    assert trace["hovertext"] == ["&lt;b&gt;<br>gain 0.5<br>cost -1"]


def test_the_words_name_the_farthest_points():
    scatter = Scatter([3, 1, 2], [0, 0.5, -40.0], names=["a", "b", "c"], groups=["g", "g", "h"])
    assert scatter.alt() == (
        "y against x for 3 points in g (2), h (1). "
        "x from 1.00 at b to 3.00 at a; y from -40.0 at c to 0.5 at b."
    )


def test_nothing_to_draw_is_said_and_still_a_figure():
    scatter = Scatter([math.nan], [1.0], groups=["g"])
    assert scatter.alt() == "y against x for 0 points."
    assert scatter.figure()["layout"]["xaxis"]["range"] == [-1.0, 1.0]


def test_a_crowd_is_drawn_smaller_and_thinned_in_the_table():
    few, many = (Scatter(range(n), range(n)) for n in (10, 1000))
    sizes = [s.figure()["data"][0]["marker"]["size"] for s in (few, many)]
    assert sizes[1] < sizes[0]
    assert len(many.numbers().rows) == 200


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"x": [], "y": []}, "at least one point"),
        ({"x": [1], "y": [1, 2]}, "y must be one for each of the 1 values of x, got 2"),
        ({"x": [1, 2], "y": [1, 2], "names": ["a"]}, "names must be one for each"),
        ({"x": [1, 2], "y": [1, 2], "groups": ["a"]}, "groups must be one for each"),
    ],
)
def test_points_that_do_not_pair_are_refused(settings, sentence):
    with pytest.raises(LimenError, match=sentence):
        Scatter(**settings)


def test_a_mark_stands_beside_its_point_and_is_read_back():
    scatter = Scatter([1, 2], [1, 2], groups=["a", "b"], marks=["1", "<i>"])
    assert [trace["text"] for trace in scatter.figure()["data"]] == [["1"], ["&lt;i&gt;"]]
    assert {trace["mode"] for trace in scatter.figure()["data"]} == {"markers+text"}
    assert Scatter.from_dict(scatter.to_dict()) == scatter
    old = {key: value for key, value in scatter.to_dict().items() if key != "marks"}
    assert Scatter.from_dict(old).marks == []


def test_without_marks_a_point_is_a_point_alone():
    assert Scatter([1], [1]).figure()["data"][0]["mode"] == "markers"


def test_marks_must_be_as_many_as_the_points():
    with pytest.raises(LimenError, match="marks must be one for each of the 2"):
        Scatter([1, 2], [1, 2], marks=["1"])


def test_beside_lines_the_picture_spans_the_points_and_not_zero():
    found = Scatter([0.7, 0.9], [0.5, 0.8], lines={"y = x": ([0.7, 0.9], [0.7, 0.9])})
    drawn = found.figure()
    assert drawn["layout"]["xaxis"]["range"][0] > 0.6
    assert [one["mode"] for one in drawn["data"]] == ["lines", "markers"]
    entries = found.keys()
    assert entries[-1].name == "y = x"
    assert Scatter.from_dict(found.to_dict()).to_dict() == found.to_dict()


def test_a_line_has_as_many_ys_as_xs():
    with pytest.raises(UsageError, match="as many ys as xs"):
        Scatter([1.0], [1.0], lines={"odd": ([0.0, 1.0], [0.0])})
