"""Events are the runs of labels; a table of them keeps what is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import limen
from limen._core.errors import UsageError
from limen.anomaly.events import Event, Events, as_labels, runs

FLAGS = st.lists(st.booleans(), max_size=60)


@given(FLAGS)
def test_events_of_labels_give_the_labels_back(flags):
    assert Events.of(flags).mask(len(flags)).tolist() == flags


@given(FLAGS)
def test_runs_are_apart_in_order_and_never_empty(flags):
    found = runs(flags)
    assert found.shape == (len(found), 2)
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()


def test_runs_at_both_ends_are_kept():
    assert runs([1, 0, 0, 1, 1]).tolist() == [[0, 1], [3, 5]]


@pytest.mark.parametrize(
    "labels",
    [[0, 1, 1], np.array([0.0, 1.0, 1.0]), torch.tensor([0, 1, 1]), np.array([[0], [1], [1]])],
)
def test_zeros_and_ones_of_any_kind_are_labels(labels):
    assert as_labels(labels).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 2, -1], "must be 0 and 1; found -1, 2"),
        ([0.0, 0.5], "must be 0 and 1; found 0.5"),
        ([0.0, float("nan")], "must be 0 and 1; found nan"),
        (["no", "yes"], "must be 0 and 1; found no, yes"),
        (np.zeros((2, 2)), "must be \\(time,\\)"),
    ],
)
def test_other_labels_are_refused_and_named(labels, says):
    with pytest.raises(UsageError, match=says):
        as_labels(labels)


def test_labels_of_another_length_are_refused_with_both_numbers():
    with pytest.raises(UsageError, match="3 points, 2 labels"):
        as_labels([0, 1], 3)


def test_a_table_is_a_sequence_with_a_row_for_each_event():
    table = Events((Event(1, 3, (0, 2), "spike", 4.0, 0), Event(5, 9)))
    assert [event.length for event in table] == [2, 4]
    assert table[-1].start == 5
    assert list(table.rows()[0]) == ["start", "end", "channels", "kind", "magnitude", "parent"]
    assert table.rows()[0]["channels"] == (0, 2)


def test_a_table_comes_back_from_a_file_with_what_was_not_known(tmp_path):
    table = Events((Event(1, 3, (0, 2), "spike", 4.0, 0), Event(5, 9)))
    limen.save(table, tmp_path / "events.json")
    again = limen.load(tmp_path / "events.json")
    assert again[0] == table[0]
    assert (again[1].start, again[1].channels, again[1].parent) == (5, (), None)
    assert math.isnan(again[1].magnitude)
