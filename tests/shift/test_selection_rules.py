"""What every rule promises, and what each of them promises alone."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from limen._core.errors import UsageError
from limen.shift import rules
from limen.shift.head import Head
from limen.shift.rules.pool import Pool

NESTED = ["herding", "hull_cover", "kcenter", "loss", "random"]


def parts(seed=0, *, rows=90, width=4):
    """Features, labels and environments, unbalanced."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(rows) < 0.2).astype(int)
    features = draw.normal(size=(rows, width)) + 2.0 * labels[:, None]
    return features, labels, draw.choice(["x", "y", "z"], size=rows)


def pool(seed=0, *, quotas=None, budget=None, **sizes):
    features, labels, environments = parts(seed, **sizes)
    return Pool.of(
        features, labels=labels, environments=environments, quotas=quotas, budget=budget, seed=3
    )


def ruled(name, given, budget):
    found = getattr(rules, name)
    return found(given, budget, steps=20) if name == "policy" else found(given, budget)


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_gives_as_many_different_rows_as_asked(name):
    found = ruled(name, pool(), 25)
    assert len(np.unique(found.rows)) == len(found.weights) == len(found.heights) == 25
    assert (found.weights > 0).all()
    assert found.weights.mean() == pytest.approx(1)


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_gives_the_same_rows_again(name):
    first, second = ruled(name, pool(), 20), ruled(name, pool(), 20)
    assert first.rows.tolist() == second.rows.tolist()
    assert first.weights.tolist() == second.weights.tolist()


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_takes_the_whole_pool_when_asked_to(name):
    assert sorted(ruled(name, pool(rows=30), 30).rows.tolist()) == list(range(30))


@pytest.mark.parametrize("name", rules.__all__)
def test_no_rule_oversteps_a_quota(name):
    given = pool(quotas=6, budget=24)
    rows = ruled(name, given, 24).rows
    assert len(rows) == 24
    assert np.bincount(given.cells[rows]).max() <= 6


@pytest.mark.parametrize("name", rules.__all__)
@pytest.mark.parametrize("budget", [0, 25])
def test_every_rule_refuses_more_rows_than_there_is_room_for(name, budget):
    with pytest.raises(UsageError, match=f"budget={budget} must be 1 to 24"):
        ruled(name, pool(quotas=4, rows=200), budget)


@pytest.mark.parametrize("name", rules.__all__)
def test_no_rule_touches_global_generators_or_the_pool(name):
    features, labels, _ = parts()
    before = features.copy()
    np.random.seed(0)  # noqa: NPY002  the global generator is what must stay
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    ruled(name, Pool.of(features, labels=labels), 10)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert (features == before).all()


@pytest.mark.parametrize("name", NESTED)
def test_nested_rules_give_a_prefix_for_a_smaller_budget(name):
    assert ruled(name, pool(), 40).rows[:13].tolist() == ruled(name, pool(), 13).rows.tolist()


def test_kcenter_is_within_twice_the_best_radius():
    features, *_ = parts(1, rows=12, width=2)
    apart = cdist(features, features)
    best = min(apart[:, list(some)].min(1).max() for some in combinations(range(12), 3))
    found = rules.kcenter(Pool.of(features), 3).rows
    assert apart[:, found].min(1).max() <= 2 * best


def test_kcenter_takes_the_farthest_row_each_time():
    features, *_ = parts(2)
    found = rules.kcenter(Pool.of(features), 15)
    apart = cdist(features, features)
    for count in range(1, 15):
        nearest = apart[:, found.rows[:count]].min(1)
        assert found.rows[count] == nearest.argmax()
        assert found.heights[count] == pytest.approx(nearest.max())


def gaussian(features):
    return np.exp(-cdist(features, features, "sqeuclidean") / (2 * np.median(pdist(features)) ** 2))


def test_herding_takes_what_the_slow_greedy_takes():
    features, *_ = parts(3, rows=50)
    kernel = gaussian(features)
    chosen: list[int] = []
    for count in range(12):
        score = kernel.mean(1) - kernel[:, chosen].sum(1) / (count + 1)
        score[chosen] = -np.inf
        chosen.append(int(score.argmax()))
    assert rules.herding(Pool.of(features), 12).rows.tolist() == chosen


def test_herded_rows_resemble_the_pool_more_than_random_ones():
    features, *_ = parts(4, rows=300)
    kernel = gaussian(features)

    def gap(rows):
        mine = kernel[rows]
        return mine[:, rows].mean() - 2 * mine.mean() + kernel.mean()

    draw = np.random.default_rng(0)
    chance = [gap(draw.permutation(300)[:30]) for _ in range(50)]
    assert gap(rules.herding(Pool.of(features), 30).rows) < min(chance) / 2


def test_herding_says_when_some_rows_stand_for_all(monkeypatch):
    import sys

    import limen.shift.rules.herding as _  # noqa: F401

    monkeypatch.setattr(sys.modules["limen.shift.rules.herding"], "_TARGET", 64)
    assert "64 of 90 rows" in rules.herding(pool(), 5).told[0]


def test_loss_takes_the_users_hardest_rows_first():
    features, labels, _ = parts()
    losses = np.random.default_rng(1).random(90)
    found = rules.loss(Pool.of(features, labels=labels, losses=losses), 10)
    assert found.rows.tolist() == np.argsort(-losses)[:10].tolist()
    assert found.heights.tolist() == losses[found.rows].tolist()


def test_loss_of_a_head_finds_swapped_labels():
    draw = np.random.default_rng(5)
    labels = np.arange(200) % 2
    features = draw.normal(size=(200, 3)) + 6.0 * labels[:, None]
    swapped = draw.permutation(200)[:8]
    labels[swapped] = 1 - labels[swapped]
    found = rules.loss(Pool.of(features, labels=labels), 8)
    assert sorted(found.rows.tolist()) == sorted(swapped.tolist())
    assert "logistic head" in found.told[0]


def test_a_rows_loss_comes_from_a_head_that_never_saw_it():
    features, labels, _ = parts(6)
    seen = Head().fit(features, labels).losses(features, labels)
    unseen = rules.loss(Pool.of(features, labels=labels), 90)
    assert unseen.heights.mean() > seen.mean()


def test_loss_without_losses_or_labels_is_refused():
    with pytest.raises(UsageError, match="losses, or labels"):
        rules.loss(Pool.of(np.ones((4, 1))), 2)


@pytest.mark.parametrize("folds", [1, 91])
def test_impossible_folds_are_refused(folds):
    with pytest.raises(UsageError, match="folds"):
        rules.loss(pool(), 2, folds=folds)


def test_random_takes_every_row_equally_often():
    features = np.zeros((20, 1))
    taken = [rules.random(Pool.of(features, seed=seed), 5).rows for seed in range(800)]
    share = np.bincount(np.concatenate(taken), minlength=20) / 800
    # four deviations of sqrt(.25 * .75 / 800)
    assert np.abs(share - 0.25).max() < 4 * 0.0153


def test_balanced_random_takes_equally_many_of_each_class():
    given = pool(rows=200)
    found = rules.balanced_random(given, 40).rows
    assert np.bincount(given.labels[found]).tolist() == [20, 20]


def test_balanced_random_gives_all_of_a_class_that_is_too_small():
    labels = [0] * 50 + [1] * 3
    found = rules.balanced_random(Pool.of(np.zeros((53, 1)), labels=labels), 20).rows
    assert (found >= 50).sum() == 3


def test_balanced_random_balances_environments_where_there_are_no_labels():
    given = Pool.of(np.zeros((30, 1)), environments=["a"] * 25 + ["b"] * 5)
    assert (rules.balanced_random(given, 8).rows >= 25).sum() == 4


def test_balanced_random_without_groups_is_random():
    given = Pool.of(np.zeros((30, 1)))
    assert rules.balanced_random(given, 7).rows.tolist() == rules.random(given, 7).rows.tolist()
