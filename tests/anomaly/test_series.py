"""Whatever holds a series becomes one array of numbers, or is refused in one sentence."""

import numpy as np
import pandas as pd
import pytest
import torch

from limen._core.errors import UsageError
from limen.anomaly.series import as_many, as_series, check_channels

HOLED = [float("nan"), 1.0, float("nan"), 4.0, float("nan")]


@pytest.mark.parametrize(
    "held",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        np.array([1, 2, 3], dtype=np.int8),
        np.array([[1], [2], [3]], dtype=np.uint16),
        list(np.array([1.0, 2.0, 3.0])),
        torch.tensor([1.0, 2.0, 3.0], requires_grad=True),
        pd.Series([1, 2, 3], index=[7, 8, 9]),
        pd.DataFrame({"load": [1, 2, 3]}),
    ],
    ids=lambda held: type(held).__name__,
)
def test_whatever_holds_numbers_is_the_same_series(held):
    found = as_series(held)
    assert found.shape == (3, 1)
    assert found.ravel().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_numbers_are_taken_as_they_are(kind):
    values = np.ones((4, 2), dtype=kind)
    assert as_series(values) is values


@pytest.mark.parametrize("kind", [np.float16, np.int64, bool])
def test_other_numbers_become_float64(kind):
    assert as_series(np.ones(3, dtype=kind)).dtype == np.float64


def test_columns_of_unequal_kinds_become_one_array():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    assert as_series(frame).tolist() == [[1.0, 0.5, 1.0], [2.0, 1.5, 0.0]]


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (np.zeros((2, 2, 2)), "must be \\(time,\\) or \\(time, channels\\)"),
        (np.zeros(()), "must be \\(time,\\) or \\(time, channels\\)"),
        (np.zeros((0, 2)), "must have points and channels"),
        ([1.0, float("inf")], "must be finite; row 1, channel 0 is inf"),
        (["a", "b"], "must be numbers, got <U1"),
        ([[1, 2], [3]], "must be an array of numbers"),
        (np.array([1, None], dtype=object), "must be numbers, got object"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "must be numbers, got datetime64"),
        (np.array([1j]), "must be numbers, got complex128"),
        (pd.DataFrame({"when": ["noon"], "load": [1.0]}), "columns of X must be numbers; 'when'"),
    ],
)
def test_what_is_no_series_is_refused_in_one_sentence(held, says):
    with pytest.raises(UsageError, match=says) as refused:
        as_series(held)
    assert "\n" not in str(refused.value)


def test_missing_values_are_refused_with_their_place_and_a_way_out():
    with pytest.raises(UsageError, match="3 are NaN, the first in row 0; fill them by missing="):
        as_series(HOLED)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("linear", [1.0, 1.0, 2.5, 4.0, 4.0]),
        ("forward", [1.0, 1.0, 1.0, 4.0, 4.0]),
        ("mean", [2.5, 1.0, 2.5, 4.0, 2.5]),
    ],
)
def test_each_policy_fills_as_it_is_called(policy, expected):
    assert as_series(HOLED, missing=policy).ravel().tolist() == expected


@pytest.mark.parametrize("policy", ["linear", "forward", "mean"])
def test_filling_touches_neither_what_is_known_nor_the_argument(policy):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    before, known = values.copy(), ~np.isnan(values)
    found = as_series(values, missing=policy)
    assert found.dtype == np.float32
    assert np.array_equal(found[known], values[known])
    assert not np.isnan(found).any()
    assert np.array_equal(values, before, equal_nan=True)


def test_a_channel_without_a_value_cannot_be_filled():
    with pytest.raises(UsageError, match="channel 1 of X has no value at all"):
        as_series([[0.0, np.nan], [1.0, np.nan]], missing="mean")


def test_a_list_of_arrays_is_several_series_and_a_list_of_numbers_is_one():
    assert [len(one) for one in as_many([np.zeros(3), np.zeros((5, 1))])] == [3, 5]
    assert [one.shape for one in as_many([[0.0, 1.0], [2.0, 3.0]])] == [(2, 2)]
    assert [len(one) for one in as_many(list(np.zeros(4)))] == [4]
    assert [len(one) for one in as_many(pd.DataFrame({"a": [1.0, 2.0]}))] == [2]


def test_several_series_must_agree_in_channels_and_there_must_be_one():
    with pytest.raises(UsageError, match="as many channels, got \\[1, 2\\]"):
        as_many([np.zeros((3, 1)), np.zeros((3, 2))])
    with pytest.raises(UsageError, match="an empty list"):
        as_many([])
    with pytest.raises(UsageError, match="X\\[1\\] must not have missing values"):
        as_many([np.zeros(2), np.array([np.nan])])


def test_other_channels_than_in_training_are_refused():
    with pytest.raises(UsageError, match="must have 3 channels, as in training; it has 2"):
        check_channels(np.zeros((4, 2)), 3)
