"""Lanes over one time: nothing lost in thinning, stretches where they belong, words for all."""

import math
from itertools import pairwise

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.report import Page, Timeline, read


def test_thinning_keeps_every_lanes_extremes_and_both_ends():
    rng = np.random.default_rng(0)
    lanes = {"a": rng.normal(size=50_000), "b": rng.normal(size=50_000)}
    drawn = Timeline.of(lanes, points=500)
    assert len(drawn.at) <= 502
    assert (drawn.at[0], drawn.at[-1]) == (0, 49_999)
    for name, values in lanes.items():
        assert max(drawn.lanes[name]) == values.max()
        assert min(drawn.lanes[name]) == values.min()


def test_a_short_lane_is_kept_point_by_point():
    drawn = Timeline.of({"a": [3.0, 1.0, 2.0]}, first=10)
    assert drawn.at == [10, 11, 12]
    assert drawn.lanes["a"] == [3.0, 1.0, 2.0]


def test_stretches_move_with_the_first_point():
    drawn = Timeline.of({"a": np.zeros(5)}, first=100, spans={"event": [(1, 3)]})
    assert drawn.spans == {"event": [(101, 103)]}


def test_every_stretch_is_drawn_and_counted():
    drawn = Timeline([0, 1, 2], {"a": [0, 1, 0]}, spans={"e": [(0, 1), (1, 2)], "f": [(0, 2)]})
    shapes = [s for s in drawn.figure()["layout"]["shapes"] if s["type"] == "rect"]
    pale = [s for s in shapes if s["y0"] == 0]
    assert [(s["x0"], s["x1"]) for s in pale] == [(0, 1), (1, 2), (0, 2)]
    assert len(shapes) == 2 * len(pale)
    readings = [key.reading for key in drawn.keys()]  # noqa: SIM118  a record, no dict
    assert readings == ["0 to 1", "2 stretches", "1 stretch"]


def test_lanes_share_the_time_axis_and_do_not_overlap():
    layout = Timeline([0, 1], {"a": [0, 1], "b": [1, 0], "c": [0, 0]}).figure()["layout"]
    domains = [layout[name]["domain"] for name in ("yaxis", "yaxis2", "yaxis3")]
    assert all(low >= below for (low, _), (_, below) in pairwise(domains))
    assert layout["xaxis"]["anchor"] == "y3"


def test_a_level_is_drawn_in_its_own_lane():
    layout = Timeline([0, 1], {"a": [0, 1], "b": [0, 1]}, levels={"b": 0.5}).figure()["layout"]
    (line,) = layout["shapes"]
    assert (line["yref"], line["y0"]) == ("y2", 0.5)


def test_the_record_comes_back_from_a_page(tmp_path):
    drawn = Timeline([0, 1], {"a": [math.nan, 1.0]}, spans={"e": [(0, 1)]}, levels={"a": 2.0})
    path = Page("p", "a.", [drawn]).write(tmp_path / "page.html")
    assert repr(Page.from_dict(read(path)).records[0]) == repr(drawn)


def test_a_gap_stays_a_gap_and_the_rest_is_told():
    drawn = Timeline([0, 1, 2], {"a": [1.0, math.nan, 3.0], "b": [math.nan] * 3})
    assert list(drawn.figure()["data"][0]["y"]) == [1.0, None, 3.0]
    assert "a: 1 to 3. b: nothing." in drawn.alt()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Timeline([0], {}), "must have a lane"),
        (lambda: Timeline([1, 1], {"a": [0, 0]}), "numbers rise"),
        (lambda: Timeline([0, 1], {"a": [0]}), "one value a point"),
        (lambda: Timeline([0], {"a": [0]}, spans={"e": [(1, 1)]}), "start before it ends"),
        (lambda: Timeline([0], {"a": [0]}, levels={"b": 1.0}), "levels must be of lanes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()
