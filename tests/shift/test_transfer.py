"""Drops chosen by one model and measured on another."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.report.grid import Grid
from limen.shift.discover import discover
from limen.shift.transfer import transfer


def answers(accuracies, rows=60, *, seed=0):
    """For each model right answers with accuracy [label, attribute]; the labels, the attributes."""
    shape = np.asarray(next(iter(accuracies.values()))).shape
    labels, attributes = (part.ravel().repeat(rows) for part in np.indices(shape))
    draw = np.random.default_rng(seed)
    right = {
        name: draw.random(len(labels)) < np.asarray(accuracy)[labels, attributes]
        for name, accuracy in accuracies.items()
    }
    return right, labels, attributes


def values(found):
    return np.array(found.values, dtype=float)


def test_what_leans_on_the_same_thing_drops_on_each_others_pairs_and_others_do_not():
    leans = np.tile([0.95, 0.8, 0.3], (4, 1))
    found = values(transfer(*answers({"a": leans, "b": leans, "c": np.full((4, 3), 0.8)})))
    assert found[:2, :2] == pytest.approx(np.full((2, 2), 0.65), abs=0.15)
    assert abs(found[:2, 2]).max() < 0.2


def test_the_diagonal_of_noise_is_zero_as_is_the_rest():
    """Chosen and measured on the same rows it would be 0.2 and more."""
    flat = np.full((6, 4), 0.7)
    found = np.stack([
        values(transfer(*answers({"a": flat, "b": flat}, 40, seed=seed), min_gap=0.0))
        for seed in range(40)
    ])  # fmt: skip
    own, other = found[:, [0, 1], [0, 1]].ravel(), found[:, [0, 1], [1, 0]].ravel()
    for part in (own, other):
        assert abs(part.mean()) < 3 * part.std() / np.sqrt(len(part))


@pytest.mark.parametrize("folds", [1, 2])
def test_the_diagonal_is_the_mean_gap_of_discover(folds):
    right, label, attribute = answers({"a": np.tile([0.9, 0.4], (3, 1))})
    found = transfer(right, label, attribute, folds=folds, min_gap=0.0)
    told = discover(right["a"], label, attribute, folds=folds).drop.value
    assert found.values[0][0] == pytest.approx(told)


def test_only_pairs_with_a_gap_where_they_were_chosen_count():
    right, label, attribute = answers({"a": [[0.95, 0.2], [0.8, 0.8]]}, 200)
    found = transfer(right, label, attribute, min_gap=0.5)
    assert found.y == ["a (1 labels)"]
    assert found.values[0][0] == pytest.approx(0.75, abs=0.1)


def test_a_model_that_finds_nothing_hard_has_an_empty_row():
    right, label, attribute = answers({"a": [[0.9, 0.2]]})
    found = transfer({**right, "perfect": np.ones(len(label))}, label, attribute)
    assert np.isnan(found.values[1]).all()
    assert found.values[0][1] == 0.0


def test_the_order_of_rows_does_not_move_the_matrix():
    right, label, attribute = answers({"a": [[0.9, 0.4]], "b": [[0.8, 0.7]]}, 41)
    order = np.random.default_rng(1).permutation(len(label))
    moved = transfer({k: v[order] for k, v in right.items()}, label[order], attribute[order])
    np.testing.assert_array_equal(values(moved), values(transfer(right, label, attribute)))


def test_names_of_labels_do_not_move_the_matrix():
    right, label, attribute = answers({"a": np.tile([0.9, 0.4], (2, 1))}, 41)
    moved = transfer(right, np.array(["z", "b"])[label], np.array(["q", "c"])[attribute])
    np.testing.assert_array_equal(values(moved), values(transfer(right, label, attribute)))


def test_the_matrix_is_a_record_of_the_page():
    right, label, attribute = answers({"a": [[0.9, 0.4]], "b": [[0.8, 0.7]]})
    found = transfer(right, label, attribute)
    assert Grid.from_dict(found.to_dict()).to_dict() == found.to_dict()
    assert "on pairs of their own choice" in found.caption
    assert list(found.x) == ["a", "b"]


@pytest.mark.parametrize(
    ("models", "options", "told"),
    [
        ({}, {}, "one model or more"),
        ({"a": np.ones(80), "b": np.ones(79)}, {}, "the same rows"),
        ({"a": np.full(80, 2.0)}, {}, "only 0 and 1"),
        ({"a": np.ones(80)}, {"min_n": 1}, "min_n=1"),
        ({"a": np.ones(80)}, {"min_gap": -1.0}, "min_gap=-1.0"),
        ({"a": np.ones(80)}, {"folds": 5}, "folds=5"),
        ({"a": np.ones(80)}, {"min_n": 50}, "lower min_n"),
        ({"a": np.ones(70)}, {}, "label must be 70"),
    ],
    ids=["none", "lengths", "answers", "min_n", "min_gap", "folds", "few", "labels"],
)
def test_bad_input_of_transfer_is_refused(models, options, told):
    with pytest.raises(UsageError, match=told):
        transfer(models, np.zeros(80, dtype=int), np.arange(80) % 2, **options)
