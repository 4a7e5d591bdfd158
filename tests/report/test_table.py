import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import LimenError
from limen.report import Measured, Table
from limen.report.digits import decimals, written


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        (Measured(0.931, 0.902, 0.954), "0.93 [0.90, 0.95]"),
        (Measured(0.93124, 0.93101, 0.93139), "0.9312 [0.9310, 0.9314]"),
        (Measured(1523.0, 1490.0, 1561.0), "1523 [1490, 1561]"),
        (Measured(0.5, 0.5, 0.5), "0.50 [0.50, 0.50]"),
        (Measured(0.5, math.nan, math.nan), "0.50 [–, –]"),  # noqa: RUF001
    ],
)
def test_an_interval_decides_how_many_digits_are_shown(measured, text):
    assert str(measured) == text


def test_numbers_of_a_column_share_their_decimals():
    shown = Table(["x"], [[0.5], [0.25], [0.125]]).shown()
    assert [row[0].text for row in shown] == ["0.500", "0.250", "0.125"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_rounding_moves_a_number_by_less_than_a_hundredth_of_the_largest(column):
    places = decimals(column)
    largest = max(abs(x) for x in column)
    for value in column:
        shown = float(written(value, places))
        assert abs(shown - value) <= 0.01 * largest + 1e-5  # five decimals at most


def test_a_number_too_small_for_its_column_is_not_shown_as_zero():
    assert Table(["p"], [[0.5], [3e-9]]).shown()[1][0].text == "3e-09"


@pytest.mark.parametrize("absent", [None, math.nan, np.float64("nan"), Measured(math.nan, 0, 1)])
def test_what_is_absent_is_a_dash_and_sorts_by_nothing(absent):
    cell = Table(["x"], [[1.0], [absent]]).shown()[1][0]
    assert cell.text == "\N{EN DASH}"
    assert cell.order is None


def test_infinity_survives_the_round_trip():
    table = Table(["x"], [[math.inf], [-math.inf]])
    assert Table.from_dict(table.to_dict()).rows == [[math.inf], [-math.inf]]
    assert table.shown()[0][0].text == "∞"


def test_numpy_scalars_become_plain_numbers():
    rows = Table(["i", "f"], [[np.int64(3), np.float32(0.5)]]).rows
    assert [type(cell) for cell in rows[0]] == [int, float]


def test_a_column_with_one_word_is_no_number_column():
    table = Table(["a", "b", "c"], [[1, 2.0, True], ["x", None, False]])
    assert table.numeric() == [False, True, False]


def test_a_row_of_another_length_is_refused_with_its_place():
    with pytest.raises(LimenError, match="row 1 must have 2 cells, one for each column, and has 1"):
        Table(["a", "b"], [[1, 2], [3]])


def test_text_lines_up_and_numbers_stand_to_the_right():
    text = Table(["name", "n"], [["a", 5], ["long name", 100]], title="Counts").to_text()
    assert text.splitlines() == ["Counts", "name         n", "a            5", "long name  100"]


def test_a_terminal_never_receives_control_characters_from_data():
    text = Table(["a\x1b[31m"], [["x\x07\u202e\nnew line"]]).to_text()
    assert text.splitlines() == ["a [31m", "x   new line"]


def test_markdown_cannot_break_out_of_its_cell():
    last = Table(["a"], [["x | [y](z) <b>\n`"]]).to_markdown().splitlines()[-1]
    assert last == r"| x \| [y]\(z) &lt;b> \` |"


def test_a_table_without_rows_still_shows_its_columns():
    assert Table(["a", "b"], []).to_text() == "a  b"
