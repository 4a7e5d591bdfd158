"""Spurious pairs: found where planted, not found in noise, never flattered."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact

import limen
from limen._core.errors import UsageError
from limen.measure.benjamini_hochberg import benjamini_hochberg
from limen.measure.delong import holm
from limen.measure.wilson import newcombe, wilson
from limen.shift.discover import discover
from limen.shift.discovered import Discovery
from limen.shift.halves import Halves


def data(accuracy, rows, *, seed=0):
    """Right answers with the given accuracy in each (label, attribute), so many rows each."""
    accuracy = np.asarray(accuracy, dtype=float)
    labels, attributes = (part.ravel() for part in np.indices(accuracy.shape))
    label, attribute = labels.repeat(rows), attributes.repeat(rows)
    draw = np.random.default_rng(seed)
    return draw.random(len(label)) < accuracy[label, attribute], label, attribute


def noise(seed, *, labels=10, attributes=4, rows=40, accuracy=0.7):
    return data(np.full((labels, attributes), accuracy), rows, seed=seed)


def test_a_planted_pair_is_found_and_the_others_are_not():
    accuracy = np.full((5, 3), 0.8)
    accuracy[2] = 0.95, 0.7, 0.3
    found = discover(*data(accuracy, 100))
    assert [(one.label, one.best, one.worst) for one in found.pairs] == [(2, 0, 2)]
    assert found.pairs[0].agree == 2
    assert found.pairs[0].low < 0.65 < found.pairs[0].high


@pytest.mark.parametrize("folds", [1, 2])
def test_the_held_out_gap_of_noise_is_zero_and_the_chosen_one_is_not(folds):
    found = [discover(*noise(seed), folds=folds) for seed in range(60)]
    held = np.array([one.gap for each in found for one in each.rows])
    chosen = np.array([one.chosen_gap for each in found for one in each.rows])
    assert abs(held.mean()) < 3 * held.std() / np.sqrt(len(held))
    assert chosen.mean() > 0.15  # of accuracies that are all alike
    assert np.mean([each.curse for each in found]) == pytest.approx((chosen - held).mean())


def test_the_held_out_gap_of_a_planted_pair_is_unbiased_while_the_chosen_one_is_too_large():
    accuracy = [[0.8, 0.75, 0.7, 0.5, 0.45]]
    held, chosen, truth = [], [], []
    for seed in range(300):
        found = discover(*data(accuracy, 40, seed=seed), folds=1, seed=seed).rows[0]
        held.append(found.gap)
        chosen.append(found.chosen_gap)
        truth.append(accuracy[0][found.best] - accuracy[0][found.worst])
    error = np.subtract(held, truth)
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(len(error))
    assert np.subtract(chosen, truth).mean() > 0.08


def test_intervals_of_the_held_out_gap_cover_the_truth():
    accuracy, hits = [[0.9, 0.4]], 0
    for seed in range(300):
        found = discover(*data(accuracy, 30, seed=seed), seed=seed).rows[0]
        hits += found.low <= 0.5 <= found.high
    assert 0.92 < hits / 300 < 0.99


def test_intervals_cover_also_where_the_halves_choose_different_pairs():
    """What two folds estimate is the mean of the true gaps of the pairs that they chose."""
    accuracy, hits = np.array([0.85, 0.8, 0.6, 0.55]), 0
    for seed in range(300):
        right, label, attribute = data(accuracy[None], 40, seed=seed)
        found = discover(right, label, attribute).rows[0]
        halves = Halves.of(right[None].astype(float), label, attribute, seed=0)
        picks = [halves.pick(0, np.ones(4, dtype=bool), half=half) for half in (0, 1)]
        truth = np.mean([accuracy[one.best] - accuracy[one.worst] for one in picks])
        hits += found.low <= truth <= found.high
    assert 0.92 < hits / 300 < 0.99


@pytest.mark.parametrize("folds", [1, 2])
@pytest.mark.parametrize("correction", ["holm", "bh"])
def test_noise_holds_a_false_pair_at_most_at_the_rate_alpha(correction, folds):
    hits = [
        bool(discover(*noise(seed, rows=30), correction=correction, folds=folds, min_gap=0.0,
                      alpha=0.1).pairs)
        for seed in range(60)
    ]  # fmt: skip
    assert np.mean(hits) <= 0.1


def test_choosing_and_measuring_on_the_same_rows_would_find_pairs_in_noise():
    """What the halves are for: Fisher's test of the extremes of all rows."""
    hits = []
    for seed in range(100):
        right, _, attribute = noise(seed, labels=1, rows=40)
        counts = sorted(int(right[attribute == one].sum()) for one in range(4))
        hits.append(
            fisher_exact([[counts[-1], 40 - counts[-1]], [counts[0], 40 - counts[0]]]).pvalue
        )
    assert np.mean(np.array(hits) < 0.05) > 0.08  # 0.14 over many; Fisher's test is conservative


def test_one_fold_is_fishers_test_and_newcombes_interval_on_the_held_out_half():
    right, label, attribute = data([[0.9, 0.7, 0.5]], 41, seed=3)
    found = discover(right, label, attribute, folds=1).rows[0]
    halves = Halves.of(right[None].astype(float), label, attribute, seed=0)
    (a, b), (m, n) = ([part[1, ..., 0, one] for one in (found.best, found.worst)]
                      for part in (halves.right[:, 0], halves.rows))  # fmt: skip
    assert found.gap == pytest.approx(a / m - b / n)
    told = fisher_exact([[a, m - a], [b, n - b]], alternative="greater")
    assert found.p_value == pytest.approx(told.pvalue)
    interval = newcombe((int(a), int(m)), (int(b), int(n)))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_two_folds_average_what_each_half_measured():
    right, label, attribute = data([[0.9, 0.2]], 50)
    found = discover(right, label, attribute).rows[0]
    halves = Halves.of(right[None].astype(float), label, attribute, seed=0)
    each = halves.right[:, 0, 0] / halves.rows[:, 0]
    assert found.gap == pytest.approx(np.mean(each[:, 0] - each[:, 1]))


def test_the_drop_is_the_mean_over_all_labels_tested():
    found = discover(*data([[0.9, 0.3], [0.8, 0.8]], 60))
    assert found.drop.value == pytest.approx(np.mean([one.gap for one in found.rows]))
    assert found.drop.low < 0.3 < found.drop.high


def test_the_halves_share_no_row_and_part_every_cell_evenly():
    right, label, attribute = noise(0, rows=31)
    halves = Halves.of(right[None].astype(float), label, attribute, seed=5)
    assert (halves.rows.sum(0) == 31).all()
    assert (np.abs(halves.rows[0] - halves.rows[1]) == 1).all()
    pooled = [right[(label == i) & (attribute == j)].sum() for i in range(10) for j in range(4)]
    assert halves.right.sum(0)[0].ravel().tolist() == pooled


def test_the_odd_row_goes_to_either_half():
    right, label, attribute = noise(0, rows=31)
    halves = Halves.of(right[None].astype(float), label, attribute, seed=5)
    assert 5 < (halves.rows[0] > halves.rows[1]).sum() < 35


def test_the_deal_tells_nothing_of_the_answers():
    """Over data sets and seeds the first half is as often right as the second."""
    gaps = []
    for seed in range(200):
        right, label, attribute = noise(seed, labels=1, attributes=2)
        halves = Halves.of(right[None].astype(float), label, attribute, seed=seed)
        gaps.append((halves.right[0] - halves.right[1]).sum())
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / np.sqrt(len(gaps))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_does_not_matter(seed):
    right, label, attribute = noise(seed, rows=33)
    order = np.random.default_rng(9).permutation(len(right))
    one = discover(right, label, attribute)
    other = discover(right[order], label[order], attribute[order])
    assert one == other


@pytest.mark.parametrize("seed", range(3))
def test_what_labels_and_attributes_are_called_does_not_matter(seed):
    right, label, attribute = noise(seed, labels=4, attributes=3, rows=60)
    names, places = np.array(["wolf", "bear", "ape", "cat"]), np.array(["snow", "rock", "grass"])
    one = {each.label: each for each in discover(right, label, attribute).rows}
    for each in discover(right, names[label], places[attribute]).rows:
        same = one[int(np.flatnonzero(names == each.label)[0])]
        assert (each.gap, each.p_value, each.corrected) == (same.gap, same.p_value, same.corrected)
        counts = [int(right[(label == names.tolist().index(each.label)) & (attribute == a)].sum())
                  for a in range(3)]  # fmt: skip
        if len(set(counts)) == 3:  # of groups alike in everything either may be named
            assert (each.best, each.worst) == (places[same.best], places[same.worst])


def test_another_seed_deals_other_halves():
    found = {discover(*noise(0), seed=seed).rows[0].gap for seed in range(6)}
    assert len(found) > 1


def test_a_new_label_does_not_touch_what_another_pair_is_only_its_correction():
    right, label, attribute = data([[0.9, 0.2]], 50)
    alone = discover(right, label, attribute)
    twice = discover(np.tile(right, 2), np.concatenate([label, label + 1]), np.tile(attribute, 2))
    assert twice.rows[0].corrected <= 1
    assert len(alone.rows) + 1 == len(twice.rows)


@pytest.mark.parametrize(("name", "correct"), [("holm", holm), ("bh", benjamini_hochberg)])
def test_p_values_are_corrected_over_labels(name, correct):
    found = discover(*data(np.tile([0.9, 0.6], (6, 1)), 40), correction=name)
    expected = correct([one.p_value for one in found.rows])
    np.testing.assert_allclose([one.corrected for one in found.rows], expected)


def test_a_gap_below_min_gap_is_told_but_not_found():
    planted = data([[0.9, 0.6]], 300)
    assert discover(*planted).pairs
    strict = discover(*planted, min_gap=0.5)
    assert not strict.pairs
    assert strict.rows[0].corrected < 0.05


def test_small_groups_are_told_and_never_chosen():
    right, label, attribute = data([[0.9, 0.8, 0.0]], 40)
    kept = (attribute != 2) | (np.arange(len(right)) % 40 < 10)
    found = discover(right[kept], label[kept], attribute[kept])
    assert {found.rows[0].best, found.rows[0].worst} == {0, 1}
    assert [(one.attribute, one.rows) for one in found.small] == [(2, 10)]
    assert "1 of 3 groups have fewer than 30 rows" in found.table.protocol
    assert found.groups_table.rows[2][4] == "no, below 30"


def test_a_label_with_one_large_group_is_counted_as_untested():
    right, label, attribute = data([[0.9, 0.2], [0.5, 0.5]], 40)
    kept = (label == 0) | (attribute == 0)
    found = discover(right[kept], label[kept], attribute[kept])
    assert found.untested == (1,)
    assert found.table.rows[-1][0] == "1"
    assert found.table.rows[-1][-1] == "too few rows"


def test_every_group_is_told_with_wilsons_interval():
    right, label, attribute = noise(0, labels=2, attributes=3)
    found = discover(right, label, attribute)
    assert len(found.groups) == 6
    for one in found.groups:
        mine = right[(label == one.label) & (attribute == one.attribute)]
        assert one.accuracy == mine.mean()
        interval = wilson(int(mine.sum()), len(mine))
        assert (one.measured(0.95).low, one.measured(0.95).high) == (interval.low, interval.high)


def test_a_perfect_model_has_no_pair():
    _, label, attribute = noise(0)
    found = discover(np.ones(len(label)), label, attribute)
    assert not found.pairs
    assert {(one.gap, one.p_value) for one in found.rows} == {(0.0, 1.0)}


def test_booleans_numbers_lists_and_tensors_say_the_same():
    right, label, attribute = noise(1, labels=3)
    found = discover(right, label, attribute)
    assert discover(right.astype(int).tolist(), label.tolist(), attribute.tolist()) == found
    assert discover(torch.from_numpy(right), torch.from_numpy(label), attribute) == found


def test_a_discovery_survives_json_and_the_disk(tmp_path):
    right, label, attribute = noise(0, labels=3)
    found = discover(right, np.array(["a", "b", "c"])[label], attribute)
    assert Discovery.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert limen.load(limen.save(found, tmp_path / "discovery")) == found


def test_a_state_of_something_else_is_refused_by_a_discovery():
    with pytest.raises(UsageError, match=r"Discovery\.to_dict"):
        Discovery.from_dict({"rows": []})


def test_the_table_puts_the_largest_gap_first():
    accuracy = [[0.8, 0.7], [0.9, 0.2], [0.9, 0.5]]
    found = discover(*data(accuracy, 100))
    assert [row[0] for row in found.table.rows] == ["1", "2", "0"]
    assert [one.label for one in found.pairs][:2] == [1, 2]


BAD = {
    "answers that are no answers": ({"correct": [0.5, 1.0]}, "only 0 and 1"),
    "answers in words": ({"correct": ["yes", "no"]}, "one row of booleans"),
    "answers of two rows": ({"correct": np.ones((2, 2))}, "one row of booleans"),
    "no answers": ({"correct": np.ones(0)}, "one row of booleans"),
    "labels of another length": ({"label": [0, 1, 2]}, "label must be 2"),
    "attributes of another length": ({"attribute": [0]}, "attribute must be 2"),
    "labels in fractions": ({"label": [0.5, 1.0]}, "integers or strings"),
    "a missing attribute": ({"attribute": np.array(["sea", None])}, "NoneType"),
    "too few rows in a half": ({"min_n": 3}, "min_n=3"),
    "a gap above one": ({"min_gap": 1.5}, "min_gap=1.5"),
    "alpha of zero": ({"alpha": 0.0}, "alpha=0.0"),
    "a level of one": ({"level": 1.0}, "level=1.0"),
    "three folds": ({"folds": 3}, "folds=3"),
    "an unknown correction": ({"correction": "none"}, "holm, bh"),
    "groups too small": ({}, "lower min_n"),
}


@pytest.mark.parametrize(("changed", "told"), BAD.values(), ids=BAD.keys())
def test_bad_input_of_discover_is_refused(changed, told):
    given = {"correct": [1, 0], "label": [0, 0], "attribute": [0, 1]} | changed
    with pytest.raises(UsageError, match=told):
        discover(given.pop("correct"), given.pop("label"), given.pop("attribute"), **given)


def test_one_attribute_only_is_refused():
    with pytest.raises(UsageError, match="second largest group of any label has 0"):
        discover(np.ones(50), np.zeros(50, dtype=int), ["sea"] * 50)
