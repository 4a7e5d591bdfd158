"""How values are spread: counts that add up, shares that compare, words that tell."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import LimenError
from limen.report import Histogram, Page, read

groups = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), min_size=1
)


@given(groups)
def test_every_finite_value_is_counted_once(values):
    counts = Histogram.of(values, bins=7).counts
    assert {k: sum(each) for k, each in counts.items()} == {k: len(v) for k, v in values.items()}


@given(groups)
def test_it_comes_back_from_its_dictionary(values):
    drawn = Histogram.of(values, at=0.5, title="t", caption="c", x_name="x")
    assert Histogram.from_dict(drawn.to_dict()) == drawn


def test_values_that_are_not_finite_are_left_out():
    assert Histogram.of({"a": [1.0, math.nan, math.inf, 2.0]}, bins=2).counts == {"a": [1, 1]}


def test_one_far_value_does_not_press_the_picture_together():
    values = np.append(np.linspace(0, 1, 999), 1e9)
    drawn = Histogram.of({"a": values})
    assert drawn.edges[-1] < 1.01
    assert sum(drawn.counts["a"]) == 1000


def test_groups_of_different_size_are_drawn_as_shares():
    drawn = Histogram([0.0, 1.0, 2.0], {"few": [1, 1], "many": [50, 50]}).figure()
    heights = [trace["y"] for trace in drawn["data"]]
    assert list(heights[0]) == list(heights[1]) == [0, 0.5, 0.5, 0.5, 0.5, 0]
    assert list(drawn["data"][0]["x"]) == [0, 0, 1, 1, 2, 2]


def test_each_group_has_a_colour_and_a_dash_of_its_own():
    drawn = Histogram([0.0, 1.0], {"a": [1], "b": [2]}).figure()["data"]
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in drawn}) == 2


def test_the_line_is_drawn_named_and_told():
    drawn = Histogram([0.0, 2.0], {"a": [3]}, at=1.5)
    (shape,) = drawn.figure()["layout"]["shapes"]
    assert (shape["x0"], shape["x1"]) == (1.5, 1.5)
    assert [(k.name, k.reading) for k in drawn.keys()] == [  # noqa: SIM118
        ("a", "3 values"), ("line", "1.5"),
    ]  # fmt: skip
    assert drawn.alt().endswith("Line at 1.5.")
    assert not Histogram([0.0, 2.0], {"a": [3]}).figure()["layout"].get("shapes")


def test_the_table_behind_it_holds_every_bin():
    table = Histogram([0.0, 1.0, 3.0], {"a": [3, 1], "b": [0, 2]}).numbers()
    assert table.columns == ["from", "to", "a", "b"]
    assert table.rows == [[0.0, 1.0, 3, 0], [1.0, 3.0, 1, 2]]


def test_equal_values_are_still_a_picture():
    drawn = Histogram.of({"a": [5.0, 5.0]}, bins=3)
    assert sum(drawn.counts["a"]) == 2


def test_a_page_draws_and_reads_it(tmp_path, hostile):
    drawn = Histogram([0.0, 1.0], {hostile: [1]}, title=hostile, caption=hostile, x_name=hostile)
    path = Page("Toy", "", [drawn]).write(tmp_path / "page.html")
    assert Page.from_dict(read(path)).records == [drawn]
    assert hostile not in path.read_text()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Histogram([0.0], {"a": []}), "edges must rise"),
        (lambda: Histogram([1.0, 0.0], {"a": [1]}), "edges must rise"),
        (lambda: Histogram([0.0, 1.0], {}), "counts must hold a group at least"),
        (lambda: Histogram([0.0, 1.0], {"a": [1, 2]}), "each with 1 counts"),
        (lambda: Histogram.of({}), "values must hold a group"),
        (lambda: Histogram.of({"a": [1.0]}, bins=0), "bins=1 or more"),
        (lambda: Histogram.of({"a": [math.nan]}), "group 'a' must hold a finite value"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, sentence):
    with pytest.raises(LimenError, match=sentence):
        make()
