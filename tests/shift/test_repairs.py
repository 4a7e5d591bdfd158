"""Repairs of the last layer: they raise the worst group where plain training fails."""

import json

import numpy as np
import pytest
import torch
from planted import planted, worst
from scipy.optimize import minimize

import limen
from limen._core.errors import UsageError
from limen.shift.head import Head
from limen.shift.remedies.balanced import balancing
from limen.shift.repairs import DFR, LastLayerBalance, Linear, Projection
from limen.shift.repairs.grouped import Grouped
from limen.shift.repairs.lasso import lasso

QUICK = {"subsets": 3, "decays": (1e-3, 1e-2)}
REPAIRS = {
    "DFR": lambda: DFR(**QUICK),
    "LastLayerBalance": LastLayerBalance,
    "Projection": Projection,
}
every_repair = pytest.mark.parametrize("make", REPAIRS.values(), ids=REPAIRS.keys())
balancing_repair = pytest.mark.parametrize(
    "make", [REPAIRS["DFR"], LastLayerBalance], ids=["DFR", "LastLayerBalance"]
)


@pytest.fixture(scope="module")
def train():
    return planted(400, share=0.95)


@pytest.fixture(scope="module")
def test():
    return planted(1000, share=0.5, seed=1)


@pytest.mark.parametrize("classes", [2, 3])
@every_repair
def test_a_repair_raises_the_worst_group_where_plain_training_fails(make, classes):
    known = planted(600, share=0.95, classes=classes)
    asked = planted(1500, share=1 / classes, seed=1, classes=classes)
    plain = worst(Head().fit(known.features, known.labels), asked)
    assert worst(make().fit(*known), asked) > plain + 0.08


@every_repair
def test_a_repair_says_the_same_for_rows_in_any_order(make, train, test):
    order = np.random.default_rng(0).permutation(len(train.labels))
    one, other = make().fit(*train), make().fit(*train.at(order))
    np.testing.assert_array_equal(one.logits(test.features), other.logits(test.features))


@every_repair
def test_a_repair_says_the_same_whatever_groups_are_called(make, train, test):
    names = np.array(["water", "land"])[train.groups]
    one, other = make().fit(*train), make().fit(train.features, train.labels, names)
    np.testing.assert_allclose(
        one.logits(test.features), other.logits(test.features), rtol=1e-9, atol=1e-9
    )


@balancing_repair
def test_groups_joined_with_the_class_are_the_same_groups(make, train, test):
    joined = 2 * train.labels + train.groups
    one, other = make().fit(*train), make().fit(train.features, train.labels, joined)
    np.testing.assert_array_equal(one.logits(test.features), other.logits(test.features))


def test_projection_takes_groups_joined_with_the_class_where_the_rank_is_given(train, test):
    joined = 2 * train.labels + train.groups
    one = Projection(1).fit(*train)
    other = Projection(1).fit(train.features, train.labels, joined)
    np.testing.assert_allclose(one.logits(test.features), other.logits(test.features), atol=1e-9)


@every_repair
def test_units_of_the_features_do_not_matter(make, test):
    """In cells of one size; else DFR draws other subsets of what look like other rows."""
    train = planted(400, share=1.0)._replace(groups=np.arange(400) // 2 % 2)
    scale = 10.0 ** np.arange(-3, 7)
    one = make().fit(*train)
    other = make().fit(train.features * scale + 5, train.labels, train.groups)
    named = other.predict(test.features * scale + 5)
    assert (named == one.predict(test.features)).mean() > 0.99  # but for DFR's choice of a penalty


@every_repair
def test_predictions_are_the_largest_logits(make, train, test):
    fitted = make().fit(*train)
    logits = fitted.logits(test.features)
    assert logits.shape == (1000, 2)
    np.testing.assert_array_equal(fitted.predict(test.features), logits.argmax(1))


@every_repair
def test_tensors_and_lists_are_taken(make, train, test):
    as_tensors = torch.from_numpy(train.features), torch.from_numpy(train.labels)
    one = make().fit(*as_tensors, train.groups.tolist())
    np.testing.assert_array_equal(
        one.logits(torch.from_numpy(test.features)), make().fit(*train).logits(test.features)
    )


@every_repair
def test_what_is_passed_to_a_repair_stays_as_it_is(make, train):
    copies = [part.copy() for part in train]
    make().fit(*train)
    for before, after in zip(copies, train, strict=True):
        np.testing.assert_array_equal(before, after)


@every_repair
def test_a_fitted_repair_survives_the_disk(make, train, test, tmp_path):
    fitted = make().fit(*train)
    again = limen.load(limen.save(fitted, tmp_path / "repair"))
    np.testing.assert_array_equal(again.logits(test.features), fitted.logits(test.features))
    assert type(again) is type(fitted)


@every_repair
def test_an_unfitted_repair_survives_json_and_refuses_to_predict(make):
    again = type(make()).from_dict(json.loads(json.dumps(make().to_dict(), default=list)))
    with pytest.raises(UsageError, match="must be fitted first"):
        again.logits([[1.0]])


BAD = {
    "features in a row": ({"features": np.ones(8)}, r"\(rows, width\)"),
    "features with a hole": ({"features": np.full((8, 2), np.nan)}, "NaN"),
    "infinite features": ({"features": np.full((8, 2), np.inf)}, "finite"),
    "labels of another length": ({"labels": [0, 1]}, "labels must be 8"),
    "labels in words": ({"labels": ["a"] * 8}, "labels must be 8 integers"),
    "labels in fractions": ({"labels": np.arange(8) / 2}, "labels must be 8 integers"),
    "one class": ({"labels": [0] * 8}, "two classes"),
    "a class left out": ({"labels": [0, 2] * 4}, "renumber"),
    "labels below zero": ({"labels": [-1, 0] * 4}, "got -1"),
    "groups of another length": ({"groups": ["sea"]}, "groups must be 8"),
    "a missing group": ({"groups": np.array(["sea", None] * 4)}, "NoneType"),
    "groups in fractions": ({"groups": np.arange(8) / 3}, "integers or strings"),
}


@every_repair
@pytest.mark.parametrize(("changed", "told"), BAD.values(), ids=BAD.keys())
def test_bad_rows_are_refused_by_every_repair(make, changed, told):
    given = {
        "features": np.arange(16.0).reshape(8, 2) % 5,
        "labels": [0, 1] * 4,
        "groups": [0, 0, 1, 1] * 2,
    } | changed
    with pytest.raises(UsageError, match=told):
        make().fit(**given)


@every_repair
def test_features_of_another_width_are_refused(make, train):
    with pytest.raises(UsageError, match="10 columns"):
        make().fit(*train).predict(np.ones((3, 4)))


@balancing_repair
def test_a_class_that_comes_with_one_group_only_is_told(make, train):
    kept = (train.labels == 1) | (train.groups == 0)
    with pytest.warns(UserWarning, match="class 0 comes with group 0 only"):
        make().fit(*train.at(kept))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: DFR(penalties=("l3",)), "penalties"),
        (lambda: DFR(penalties="l1"), "penalties"),
        (lambda: DFR(penalties=()), "penalties"),
        (lambda: DFR(decays=(0.0,)), "decays"),
        (lambda: DFR(decays=()), "decays"),
        (lambda: DFR(subsets=0), "subsets=0"),
        (lambda: DFR(held_out=1.0), "held_out=1.0"),
        (lambda: LastLayerBalance(0.0), "decay"),
        (lambda: Projection(0), "rank=0"),
        (lambda: Projection(decay=-1.0), "decay"),
        (lambda: Linear([1.0]), "weight"),
        (lambda: Linear([[1.0, 2.0]]), "two classes"),
        (lambda: Linear([[1.0], [2.0]], [0.0]), "bias must be 2"),
    ],
    ids=["l3", "word", "none", "zero", "no decay", "subsets", "held out", "balance", "rank",
         "negative", "flat", "one class", "bias"],
)  # fmt: skip
def test_options_of_repairs_out_of_range_are_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()


# last-layer balance


def test_balance_is_logistic_regression_weighted_by_cells(train, test):
    weights = balancing(2 * train.labels + train.groups)
    slow = Head(1e-3).fit(train.features, train.labels, weights=weights)
    found = LastLayerBalance(1e-3).fit(*train)
    # rows are summed in another order, and the optimiser stops at a gradient of 1e-5
    np.testing.assert_allclose(
        found.logits(test.features), slow.logits(test.features), rtol=0.02, atol=0.02
    )


def test_duplicating_the_rows_of_a_cell_does_not_move_the_balance(train, test):
    """Standardisation sees the copies, the weights do not: with hardly any decay it is the same."""
    again = np.flatnonzero((train.labels == 0) & (train.groups == 0))
    more = train.at(np.concatenate([np.arange(400), again]))
    one, other = (LastLayerBalance(1e-6).fit(*rows) for rows in (train, more))
    assert (one.predict(test.features) == other.predict(test.features)).mean() > 0.99


# deep feature reweighting


def test_dfr_draws_as_many_rows_of_every_cell(train):
    from limen.shift.repairs.dfr import _balanced

    rows = Grouped.of(*train)
    some = rows.at(_balanced(rows, 0, seed=0, purpose="all"))
    assert set(some.counts()) == {rows.counts().min()}


def test_dfr_takes_the_penalty_with_the_best_worst_group(train):
    found = DFR(subsets=2).fit(*train)
    assert len(found.tried) == 6
    best = max(found.tried, key=lambda one: (one.worst, one.mean, one.decay))
    assert found.chosen == (best.penalty, best.decay)
    assert {one.penalty for one in found.tried} == {"l1", "l2"}


def test_dfr_with_one_option_tries_nothing(train):
    found = DFR(penalties=["l2"], decays=[0.1], subsets=1).fit(*train)
    assert found.tried == ()
    assert found.chosen == ("l2", 0.1)


def test_a_fine_for_overfitting_is_chosen_where_it_is_needed():
    """Many columns, few rows: without a penalty the worst group suffers."""
    rows = planted(120, share=0.7)
    noise = np.random.default_rng(5).normal(size=(120, 150))
    wide = np.column_stack([rows.features, noise])
    found = DFR(penalties=["l1"], decays=[1e-4, 3e-2], subsets=3).fit(
        wide, rows.labels, rows.groups
    )
    assert found.chosen == ("l1", 3e-2)


def test_the_mean_over_subsets_is_one_linear_head(train, test):
    found = DFR(penalties=["l2"], decays=[0.01], subsets=4).fit(*train)
    one = found.logits(test.features[:1] + 1) - found.logits(test.features[:1])
    np.testing.assert_allclose(one, found.head.weight.sum(0)[None], rtol=1e-9)


def test_more_subsets_hang_less_on_the_seed(train, test):
    def spread(subsets):
        heads = [
            DFR(penalties=["l2"], decays=[0.01], subsets=subsets, seed=seed).fit(*train)
            for seed in range(4)
        ]
        return np.std([head.logits(test.features) for head in heads], axis=0).mean()

    assert spread(12) < spread(1)


def test_dfr_refuses_a_cell_of_one_row(train):
    lonely = np.flatnonzero((train.labels == 0) & (train.groups == 1))
    kept = np.setdiff1d(np.arange(400), lonely[1:])
    with pytest.raises(UsageError, match="class 0 with group 1 has 1"):
        DFR().fit(*train.at(kept))


def test_the_lasso_is_the_slow_obvious_minimum():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 3)), np.arange(60) % 2
    x[:, 0] += y
    head, decay = lasso(x, y, decay=0.05, classes=2), 0.05
    seen = (x - x.mean(0)) / x.std(0)

    def aim(flat):
        weight, bias = flat[:6].reshape(3, 2), flat[6:]
        logits = seen @ weight + bias
        loss = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(60), y]
        return loss.mean() + decay * np.abs(weight).sum()

    found = aim(np.concatenate([head.weight.ravel(), head.bias]))
    starts = [draw.normal(size=8) for _ in range(3)]
    slow = min(minimize(aim, one, method="Powell", options={"xtol": 1e-8, "ftol": 1e-12}).fun
               for one in starts)  # fmt: skip
    assert found == pytest.approx(slow, abs=1e-6)


def test_a_larger_decay_leaves_fewer_weights(train):
    kept = [
        np.count_nonzero(lasso(train.features, train.labels, decay=one, classes=2).weight)
        for one in (1e-3, 3e-2, 1.0)
    ]
    assert kept[0] > kept[1] > kept[2] == 0


# projection


def test_means_of_groups_within_a_class_coincide_after_the_projection():
    rows = planted(2000, share=0.9)
    found = Projection().fit(*rows)
    moved = (found.project(rows.features) - found.middle) / found.width
    before = (rows.features - found.middle) / found.width
    for label in (0, 1):
        cells = [(rows.labels == label) & (rows.groups == one) for one in (0, 1)]
        gap = np.linalg.norm(moved[cells[0]].mean(0) - moved[cells[1]].mean(0))
        full = np.linalg.norm(before[cells[0]].mean(0) - before[cells[1]].mean(0))
        assert gap < 0.1 * full  # one direction for two classes, whose noise differs


def test_with_rank_for_every_class_the_means_coincide_exactly():
    rows = planted(2000, share=0.9)
    found = Projection(2).fit(*rows)
    moved = found.project(rows.features)
    for label in (0, 1):
        cells = [(rows.labels == label) & (rows.groups == one) for one in (0, 1)]
        np.testing.assert_allclose(moved[cells[0]].mean(0), moved[cells[1]].mean(0), atol=1e-9)


def test_projecting_twice_is_projecting_once(train):
    found = Projection().fit(*train)
    once = found.project(train.features)
    np.testing.assert_allclose(found.project(once), once, atol=1e-9)
    np.testing.assert_allclose(found.logits(once), found.logits(train.features), atol=1e-9)


def test_one_direction_is_removed_for_two_groups_and_two_for_three(train):
    three = planted(600, share=0.5, classes=3)
    assert Projection().fit(*train).directions.shape == (1, 10)
    assert Projection().fit(*three).directions.shape == (2, 12)


def test_projection_refuses_classes_with_one_group_each(train):
    kept = train.labels == train.groups
    with pytest.raises(UsageError, match="two groups or more"):
        Projection().fit(*train.at(kept))


def test_projection_refuses_to_remove_everything():
    draw = np.random.default_rng(0)
    with pytest.raises(UsageError, match="would leave none of the 1 columns"):
        Projection().fit(draw.normal(size=(40, 1)), np.arange(40) % 2, np.arange(40) // 20)


# a head that is given


def test_a_given_head_is_torchs_linear_layer():
    layer = torch.nn.Linear(5, 3)
    rows = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    found = Linear(layer.weight.detach(), layer.bias.detach()).logits(rows)
    np.testing.assert_allclose(found, layer(rows).detach().numpy(), atol=1e-6)


def test_a_given_head_survives_the_disk(tmp_path):
    head = Linear([[1.0, 2.0], [3.0, 4.0]])
    again = limen.load(limen.save(head, tmp_path / "head"))
    assert again.logits([[1.0, 1.0]]).tolist() == [[3.0, 7.0]]
    with pytest.raises(UsageError, match="2 columns"):
        again.logits([[1.0]])
