"""`select`: budgets, quotas, figures beside chance, and rules of one's own."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limen
from limen._core.errors import UsageError
from limen.measure.hull import Hull
from limen.shift import rules
from limen.shift.rules.pool import Order, Pool
from limen.shift.rules.quotas import NO_LIMIT, cells_of, limits_of, named, shares
from limen.shift.rules.space import space
from limen.shift.select import count_of, select
from limen.shift.selection import Selection

few = settings(max_examples=25)


def cloud(seed=0, *, rows=120, width=4):
    return np.random.default_rng(seed).standard_t(3, size=(rows, width))


@pytest.mark.parametrize(
    ("budget", "rows"), [(1, 1), (120, 120), (0.5, 60), (0.001, 1), (0.999, 120)]
)
def test_a_budget_is_rows_or_a_share(budget, rows):
    assert len(select(cloud(), budget, rules.random)) == rows


@pytest.mark.parametrize("budget", [0, -3, 1.0, 0.0, 2.5, float("nan"), True])
def test_a_budget_that_is_neither_is_refused(budget):
    with pytest.raises(UsageError, match="share above 0 and below 1"):
        count_of(budget, 120)


def test_a_budget_above_the_pool_is_refused_in_one_sentence():
    with pytest.raises(
        UsageError, match=r"^budget=121 is above the pool's 120 rows; ask for fewer"
    ):
        select(cloud(), 121)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(wrong):
    pool = cloud()
    pool[3, 1] = wrong
    with pytest.raises(UsageError, match="features"):
        select(pool, 5)


def test_the_figures_are_those_of_the_hull():
    pool = cloud(1)
    found = select(pool, 20)
    others = np.delete(pool, found.rows, axis=0)
    away = Hull(pool[found.rows]).distance(others)
    assert found.cover["mean_distance"] == pytest.approx(away.mean(), abs=1e-5)
    assert found.cover["max_distance"] == pytest.approx(away.max(), abs=1e-5)
    assert found.cover["outside"] == pytest.approx((away > 1e-5).mean(), abs=0.05)
    apart = np.linalg.norm(others[:, None] - pool[found.rows], axis=2).min(1)
    assert found.cover["radius"] == pytest.approx(apart.max())


def test_hull_cover_lies_below_chance_and_chance_is_random_rows():
    found = select(cloud(2, rows=300), 30)
    assert found.cover["mean_distance"] < found.chance["mean_distance"] / 3
    plain = select(cloud(2, rows=300), 30, rules.random)
    assert plain.cover["mean_distance"] == pytest.approx(plain.chance["mean_distance"], rel=0.5)


def test_a_whole_pool_leaves_nothing_uncovered():
    assert select(cloud(), 120, rules.random).cover["mean_distance"] == 0


def test_wide_features_are_told_once_and_membership_is_warned_of():
    told = select(cloud(width=40), 10).told
    assert sum("reduced from 40 to 16" in one for one in told) == 1
    assert any("compare distances, not shares" in one for one in told)
    assert not select(cloud(width=4), 10).told


def test_effective_sample_size_falls_with_unequal_weights():
    equal, unequal = (select(cloud(), 20, partial(rules.logdet, most=most)) for most in (1.0, 6.0))
    assert equal.effective == pytest.approx(20)
    assert 20 / 6 <= unequal.effective < 20
    assert unequal.weights.mean() == pytest.approx(1)
    assert unequal.rule == "logdet"


def test_a_selection_saved_comes_back_whole(tmp_path):
    found = select(cloud(), 12, partial(rules.logdet, most=3.0), seed=4)
    again = limen.load(limen.save(found, tmp_path / "selection"))
    assert isinstance(again, Selection)
    for name in ("rows", "weights", "heights"):
        assert (getattr(again, name) == getattr(found, name)).all()
    assert (again.cover, again.chance, again.told) == (found.cover, found.chance, found.told)
    assert (again.pool, again.rule, again.seed) == (120, "logdet", 4)


def test_the_table_puts_the_rule_beside_random():
    table = select(cloud(width=40), 12).table()
    assert table.columns == ["coverage", "hull_cover", "random"]
    assert len(table.rows) == 5
    assert table.protocol.startswith("Effective sample size 12.0, seed 0. Reduced from 40")


def test_a_rule_of_ones_own_is_cut_to_budget_and_quotas():
    def by_first_column(pool, budget):
        ranking = np.argsort(-pool.features[:, 0])
        return Order(ranking, np.ones(len(ranking)), pool.features[ranking, 0])

    pool, labels = cloud(), np.arange(120) % 2
    found = select(pool, 10, by_first_column, labels=labels, quotas=5)
    for one in (0, 1):
        mine = np.flatnonzero(labels == one)
        best = mine[np.argsort(-pool[mine, 0])[:5]]
        assert set(best) <= set(found.rows.tolist())
    assert found.heights.tolist() == pool[found.rows, 0].tolist()


@pytest.mark.parametrize(
    ("rows", "weights", "told"),
    [
        ([0, 0, 1], [1, 1, 1], "different rows"),
        ([0, 1, 500], [1, 1, 1], "different rows"),
        ([0.0, 1.0, 2.0], [1, 1, 1], "different rows"),
        ([0, 1], [1, 1], "gives 2 rows"),
        ([0, 1, 2], [1, 0, 1], "weights above 0"),
    ],
    ids=["twice", "beyond", "floats", "few", "weightless"],
)
def test_a_rule_that_breaks_its_promise_is_refused(rows, weights, told):
    def rule(pool, budget):
        # as a user's rule may be: unchecked lists
        return type("Found", (), {"rows": rows, "weights": weights, "heights": weights, "told": ()})

    with pytest.raises(UsageError, match=told):
        select(cloud(), 3, rule)


def test_losses_reach_the_rule_that_asks_for_them():
    losses = np.arange(120.0)
    assert select(cloud(), 3, rules.loss, losses=losses).rows.tolist() == [119, 118, 117]


@pytest.mark.parametrize("name", ["labels", "environments", "losses"])
def test_another_length_is_refused(name):
    with pytest.raises(UsageError, match=f"{name} must be 120"):
        select(cloud(), 5, **{name: np.ones(7, dtype=int)})


def test_a_quota_for_each_class_and_environment_is_kept():
    labels, places = np.arange(120) % 2, np.repeat(["photo", "sketch"], 60)
    found = select(cloud(), 20, labels=labels, environments=places, quotas={(0, "photo"): 1})
    mine = (labels[found.rows] == 0) & (places[found.rows] == "photo")
    assert mine.sum() <= 1
    assert len(found) == 20


def test_even_quotas_share_the_budget():
    labels = np.array([0] * 100 + [1] * 20)
    found = select(cloud(), 30, labels=labels, quotas="even")
    assert np.bincount(labels[found.rows]).tolist() == [15, 15]


@pytest.mark.parametrize(
    ("quotas", "told"),
    [
        (2, "room for 4 rows, budget=20"),
        ({7: 2}, "no row has it"),
        ("uneven", "even"),
        (-1, "whole number"),
        ({0: True}, "whole number"),
    ],
    ids=str,
)
def test_impossible_quotas_are_refused(quotas, told):
    with pytest.raises(UsageError, match=told):
        select(cloud(), 20, labels=np.arange(120) % 2, quotas=quotas)


def test_quotas_without_groups_are_refused():
    with pytest.raises(UsageError, match="need labels, environments or both"):
        select(cloud(), 20, quotas=3)


@few
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.data())
def test_equal_shares_sum_to_the_budget_and_differ_only_where_a_cell_is_short(held, data):
    held = np.array(held)
    budget = data.draw(st.integers(0, int(held.sum())))
    found = shares(held, budget)
    assert found.sum() == budget
    assert (found <= held).all()
    open_cells = found[found < held]
    if len(open_cells):
        assert found.max() - open_cells.min() <= 1


def test_cells_are_the_pairs_that_occur():
    labels, places = named("labels", [0, 1, 1], 3), named("environments", ["a", "a", "b"], 3)
    assert cells_of(3, labels, places).names == ((0, "a"), (1, "a"), (1, "b"))
    assert cells_of(3, None, places).names == ("a", "b")
    assert limits_of(None, cells_of(3, None, None), 2).tolist() == [NO_LIMIT]


@pytest.mark.parametrize("labels", [[0.5, 1.5], [True, False]], ids=str)
def test_labels_are_integers_or_strings(labels):
    with pytest.raises(UsageError, match="integers or strings"):
        named("labels", labels, 2)


@few
@given(st.integers(0, 1000), st.integers(1, 40))
def test_a_ranking_is_cut_as_one_row_at_a_time_would(seed, budget):
    draw = np.random.default_rng(seed)
    labels = draw.integers(4, size=40)
    pool = Pool.of(np.zeros((40, 1)), labels=labels, quotas=int(draw.integers(1, 12)))
    ranking = draw.permutation(40)
    room, slow = pool.room(), []
    for row in ranking:
        if room.open[row] and len(slow) < budget:
            room.take(int(row))
            slow.append(row)
    assert pool.first(ranking, budget).tolist() == slow


def test_principal_components_keep_distances_up_to_what_they_drop():
    rows = cloud(width=30)
    found = space(rows, dimensions=5)
    apart = np.linalg.norm(rows[:1] - rows, axis=1)
    reduced = np.linalg.norm(found.points[:1] - found.points, axis=1)
    assert (reduced <= apart + 1e-9).all()
    total = rows.var(0).sum()
    assert found.kept == pytest.approx(found.points.var(0).sum() / total)


def test_whitened_rows_have_unit_variance_and_no_dead_direction():
    rows = np.column_stack([cloud(width=3), np.ones(120)])
    points = space(rows, whiten=True).points
    assert points.shape == (120, 3)
    np.testing.assert_allclose(np.cov(points.T, bias=True), np.eye(3), atol=1e-9)


def test_no_dimensions_are_refused():
    with pytest.raises(UsageError, match="dimensions=0"):
        space(cloud(), dimensions=0)


@pytest.mark.parametrize("name", sorted(set(rules.__all__) - {"policy"}))
def test_tensors_and_half_width_floats_are_chosen_from_alike(name):
    import torch

    pool, labels = cloud(5).astype(np.float32), np.arange(120) % 3
    first = select(pool, 15, getattr(rules, name), labels=labels)
    second = select(torch.from_numpy(pool), 15, getattr(rules, name), labels=labels.tolist())
    assert first.rows.tolist() == second.rows.tolist()


def test_names_of_classes_and_environments_change_no_choice():
    labels, places = np.arange(120) % 3, np.arange(120) % 2
    first = select(cloud(), 20, rules.loss, labels=labels, environments=places, quotas=4)
    words = np.array(["ant", "bee", "cat"])[labels]
    second = select(cloud(), 20, rules.loss, labels=words, environments=places + 10, quotas=4)
    assert first.rows.tolist() == second.rows.tolist()


def test_another_seed_draws_other_rows_and_leaves_the_greedy_ones():
    one, two = (select(cloud(), 15, rules.random, seed=seed) for seed in (0, 1))
    assert one.rows.tolist() != two.rows.tolist()
    one, two = (select(cloud(), 15, seed=seed) for seed in (0, 1))
    assert one.rows.tolist() == two.rows.tolist()


def test_random_figures_are_those_of_the_same_seed():
    """The rows compared with are drawn by the seed, whatever the rule."""
    assert select(cloud(), 15).chance == select(cloud(), 15, rules.kcenter).chance
