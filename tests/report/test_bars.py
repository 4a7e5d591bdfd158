"""Bars with intervals: where they end, and what is said about them."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.report import Bars, Measured
from limen.report.digits import ABSENT

finite = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=9))
def test_a_whisker_ends_where_the_interval_does(triples):
    measured = [
        Measured(middle, low, high) for low, middle, high in (sorted(each) for each in triples)
    ]
    bars, ends = Bars(range(len(measured)), {"drop": measured}).figure()["data"]
    for place, one in enumerate(measured):
        assert bars["x"][place] == one.value
        reach = ends["error_x"]
        assert one.value + reach["array"][place] == pytest.approx(one.high, abs=1e-6)
        assert one.value - reach["arrayminus"][place] == pytest.approx(one.low, abs=1e-6)


def test_the_first_stands_on_top():
    layout = Bars(["a", "b", "c"], {"drop": [1, 2, 3]}).figure()["layout"]
    assert list(layout["yaxis"]["ticktext"]) == ["a ", "b ", "c "]
    low, high = layout["yaxis"]["range"]
    assert low > high


def test_series_stand_side_by_side_and_never_touch():
    drawn = Bars(["a", "b"], {"one": [1, 2], "two": [3, 4]}).figure()["data"]
    edges = sorted(
        (y - width / 2, y + width / 2)
        for trace in drawn[::2]
        for y, width in zip(trace["y"], trace["width"], strict=True)
    )
    assert all(one[1] < two[0] for one, two in pairwise(edges))


def test_each_series_has_a_colour_and_a_marker_of_its_own():
    drawn = Bars(["a"], {"one": [1], "two": [3]}).figure()["data"][1::2]
    for what in ("color", "symbol"):
        assert len({trace["marker"][what] for trace in drawn}) == 2


def test_more_bars_make_a_taller_picture():
    few, many = (Bars(range(n), {"x": [0.0] * n}).figure()["layout"]["height"] for n in (3, 45))
    assert many > 5 * few


def test_what_is_not_finite_is_counted_and_not_drawn():
    bars = Bars(["a", "b"], {"x": [math.nan, Measured(1.0, math.nan, math.inf)]})
    assert bars.beyond == "1 bar without a value"
    line, ends = bars.figure()["data"]
    assert list(line["x"]) == [1.0]
    assert list(ends["error_x"]["array"]) == [0.0]
    assert bars.alt() == "value of 2 bars. x: from 1.00 at b to 1.00 at b."


def test_nothing_to_draw_is_said():
    bars = Bars(["a"], {"x": [math.nan], "y": [2.0]})
    assert "x: none." in bars.alt()
    assert [key.reading for key in bars.keys()] == [ABSENT, "2"]  # noqa: SIM118


def test_one_series_needs_no_key_and_two_tell_their_means():
    assert Bars(["a"], {"x": [1]}).keys() == []
    told = Bars(["a", "b"], {"x": [1, 2], "y": [3, 5]}).keys()
    assert [(key.name, key.reading) for key in told] == [("x", "1.5"), ("y", "4")]


def test_the_pointer_tells_the_name_and_the_interval():
    ends = Bars(["<b>"], {"x": [Measured(5.0, 2.0, 8.0)]}).figure()["data"][1]
    assert ends["hovertext"] == ["&lt;b&gt;, x: 5.00 [2.00, 8.00]"]


def test_bars_are_read_back():
    bars = Bars(["a", "b"], {"x": [Measured(1, 0, 2), math.inf]}, title="t", caption="c")
    assert Bars.from_dict(bars.to_dict()) == bars


@pytest.mark.parametrize(
    ("names", "series", "said"),
    [
        ([], {"x": []}, "at least one name"),
        (["a"], {}, "at least one name and one series"),
        (["a"], {"x": [1, 2]}, "one value for each of 1 names, got 2"),
    ],
)
def test_bars_without_values_are_refused(names, series, said):
    with pytest.raises(UsageError, match=said):
        Bars(names, series)
