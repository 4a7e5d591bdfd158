"""Channels of data frames are matched by name, and training points are known again."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.anomaly import PCA, RMSZ

pandas = pytest.importorskip("pandas")
FRAME = pandas.DataFrame(
    np.random.default_rng(0).normal(size=(80, 3)) * [1, 10, 100], columns=["a", "b", "c"]
)


def test_columns_are_matched_by_name_in_scores_and_attribution():
    found, turned = RMSZ().fit(FRAME), FRAME[["c", "a", "b"]]
    np.testing.assert_array_equal(found.decision_function(turned), found.decision_function(FRAME))
    np.testing.assert_array_equal(found.attribution(turned), found.attribution(FRAME))


def test_training_frames_are_brought_to_the_first_ones_order():
    found = RMSZ().fit([FRAME, FRAME[["b", "c", "a"]]])
    same = RMSZ().fit([FRAME, FRAME])
    np.testing.assert_array_equal(found.decision_scores_, same.decision_scores_)


def test_arrays_and_columns_without_names_go_by_place():
    found = RMSZ().fit(FRAME)
    for values in (FRAME.to_numpy(), pandas.DataFrame(FRAME.to_numpy())):
        np.testing.assert_array_equal(found.decision_function(values), found.decision_scores_)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["a", "b", "d"], "c missing and d not among them"),
        (["a", "b"], "c missing"),
        (["a", "b", "c", "d"], "d not among them"),
    ],
)
def test_missing_and_further_channels_are_refused_by_name(columns, told):
    other = FRAME.assign(d=1.0)[columns]
    with pytest.raises(UsageError, match=told):
        RMSZ().fit(FRAME).decision_function(other)


def test_names_and_training_points_are_kept_in_a_file():
    again = PCA.from_dict(PCA().fit(FRAME).to_dict())
    assert again.names == ("a", "b", "c")
    assert again.trained_on(FRAME) == 80


def test_a_series_that_differs_by_one_number_was_not_trained_on():
    found, other = RMSZ().fit(FRAME), FRAME.copy()
    other.iloc[40, 1] += 1e-9
    assert (found.trained_on(other), found.trained_on(FRAME[:79])) == (0, 0)
    assert found.trained_on(pandas.concat([FRAME, FRAME])) == 80
