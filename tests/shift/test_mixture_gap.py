"""The mixture gap: zero for mixtures, honest about chance, and what a distance should be."""

import warnings

import numpy as np
import pytest

import limen
from limen._core.errors import UsageError
from limen.shift import gap as module
from limen.shift.gap import gaps_table, mixture_gap, mixture_gap_by_class
from limen.shift.gap_null import gap_of
from limen.shift.kernels import gaussian

CENTRES = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0]])


def four(seed, *, rows=80):
    """Four Gaussian environments."""
    draw = np.random.default_rng(seed)
    return {name: CENTRES[i] + draw.normal(size=(rows, 2)) for i, name in enumerate("abcd")}


def mixed(seed, shares, *, rows=80):
    """Rows of a mixture of the four."""
    draw = np.random.default_rng([seed, 1])
    return CENTRES[draw.choice(4, rows, p=shares)] + draw.normal(size=(rows, 2))


def slow_squared(sources, target, weights, bandwidth):
    """Pair by pair, leaving out each row with itself."""

    def mean(a, b):
        found = [gaussian(x[None], y[None], bandwidth)[0, 0] for x in a for y in b if x is not y]
        return np.mean(found)

    lists = [list(rows) for rows in sources]
    goal = list(target)
    total = mean(goal, goal)
    for p, a in zip(weights, lists, strict=True):
        total -= 2 * p * mean(a, goal)
        total += sum(p * q * mean(a, b) for q, b in zip(weights, lists, strict=True))
    return total


def test_the_gap_is_that_of_loops_over_pairs():
    sources, target = four(0, rows=8), mixed(0, [0.5, 0.5, 0, 0], rows=6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mixture_gap(sources, target, standardise=False, bandwidth=2.0, resamples=1)
    slow = slow_squared(sources.values(), target, list(found.weights.values()), 2.0)
    assert found.squared == pytest.approx(slow, abs=1e-12)


def test_true_shares_are_recovered():
    found = mixture_gap(four(1, rows=400), mixed(1, [0.5, 0.3, 0.2, 0.0], rows=2000), resamples=1)
    np.testing.assert_allclose(list(found.weights.values()), [0.5, 0.3, 0.2, 0.0], atol=0.03)
    assert abs(found.squared) < 2e-3


def test_a_source_is_itself_and_more_so_with_more_rows():
    own = [
        mixture_gap(four(2, rows=n), mixed(2, [0, 0, 1, 0], rows=n), resamples=1).weights["c"]
        for n in (20, 600)
    ]
    assert own[1] > 0.97
    assert own[1] >= own[0] - 0.01


def test_between_the_sources_is_no_mixture_of_them():
    target = np.random.default_rng(3).normal(size=(80, 2))
    found = mixture_gap(four(3), target)
    assert found.outside(0.01)
    assert found.squared > 10 * found.quantile


def test_beyond_the_sources_is_far():
    target = np.random.default_rng(4).normal(size=(80, 2)) + 6
    assert mixture_gap(four(4), target).distance > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2, 0.0), (0.0, 1.0, 0.0, 0.0)])
@pytest.mark.parametrize("rows", [50, 150])
def test_mixtures_are_rejected_no_more_often_than_promised(shares, rows):
    sizes = [60, 100, 150, 40]
    rejected = 0
    for repeat in range(200):
        draw = np.random.default_rng([repeat, 7])
        sources = [c + draw.normal(size=(n, 2)) for c, n in zip(CENTRES, sizes, strict=True)]
        target = mixed(repeat, shares, rows=rows)
        rejected += mixture_gap(sources, target, resamples=99, seed=repeat).outside(0.05)
    # two standard errors of 200 repeats above 5 %
    assert rejected / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


def test_few_mixtures_of_many_are_rejected():
    rejected = [
        mixture_gap(four(s, rows=25), mixed(s, [0.4, 0.3, 0.3, 0], rows=30), resamples=39).outside()
        for s in range(12)
    ]
    assert sum(rejected) <= 3  # of 12 at 5 %: four or more happen once in 500


def test_order_of_rows_does_not_matter():
    sources, target = four(5), mixed(5, [0.5, 0.5, 0, 0])
    turned = {name: rows[::-1] for name, rows in sources.items()}
    a = mixture_gap(sources, target, resamples=1).squared
    assert mixture_gap(turned, target[::-1], resamples=1).squared == pytest.approx(a, abs=1e-12)


def test_a_copy_of_a_source_shares_its_weight_and_changes_nothing():
    sources, target = four(6), mixed(6, [0.5, 0.5, 0, 0])
    once = mixture_gap(sources, target)
    with pytest.warns(UserWarning, match="source e repeats another"):
        twice = mixture_gap({**sources, "e": sources["a"][::-1]}, target)
    assert twice.weights["a"] == twice.weights["e"] == pytest.approx(once.weights["a"] / 2, abs=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fixed = [
            mixture_gap(s, target, bandwidth=2.0, standardise=False).squared
            for s in (sources, {**sources, "e": sources["a"]})
        ]
    assert fixed[0] == pytest.approx(fixed[1], abs=1e-12)


def test_turning_the_features_does_not_matter():
    sources, target = four(7), mixed(7, [0.2, 0.3, 0.5, 0])
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))
    a = mixture_gap(sources, target, standardise=False, resamples=1)
    b = mixture_gap(
        {name: rows @ turn for name, rows in sources.items()},
        target @ turn, standardise=False, resamples=1,
    )  # fmt: skip
    assert a.squared == pytest.approx(b.squared, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_one_more_environment_is_never_farther(seed):
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(6, 10))
    goal = draw.normal(size=10)
    gaps = [
        gap_of(points[:k] @ points[:k].T, points[:k] @ goal, float(goal @ goal))[0]
        for k in range(1, 7)
    ]
    assert (np.diff(gaps) <= 1e-9).all()


def test_random_features_come_near_the_exact_kernel(monkeypatch):
    sources, target = four(8), mixed(8, [0.5, 0.5, 0, 0]) + 1.0
    whole = mixture_gap(sources, target, resamples=50)
    monkeypatch.setattr(module, "EXACT_ROWS", 10)
    rough = mixture_gap(sources, target, resamples=50, features=4096)
    assert rough.features == 4096
    assert rough.distance == pytest.approx(whole.distance, abs=0.03)
    assert rough.quantile == pytest.approx(whole.quantile, abs=0.004)


def labelled(seed, *, flip=False):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(80, 2))
    y = (x[:, 0] > 0).astype(int)
    return x, 1 - y if flip else y


@pytest.mark.parametrize("limit", [10_000, 10])
def test_labels_that_say_something_else_lie_outside(monkeypatch, limit):
    monkeypatch.setattr(module, "EXACT_ROWS", limit)
    (a, ya), (b, yb), (t, yt) = labelled(0), labelled(1), labelled(2, flip=True)
    alone = mixture_gap([a, b], t, features=512, resamples=50)
    joint = mixture_gap(
        [a, b], t, source_labels=[ya, yb], target_labels=yt, features=512, resamples=50
    )
    assert not alone.outside(0.01)
    assert joint.outside()
    assert joint.distance > 0.3


def test_classes_by_themselves_ignore_their_frequencies():
    draw = np.random.default_rng(0)
    y = np.arange(80) % 2
    rows = [3.0 * y[:, None] + draw.normal(size=(80, 2)) for _ in range(2)]
    rare = np.array([0] * 70 + [1] * 10)
    target = 3.0 * rare[:, None] + draw.normal(size=(80, 2))
    assert mixture_gap(rows, target).outside()
    found = mixture_gap_by_class(rows, target, source_labels=[y, y], target_labels=rare)
    assert not any(gap.outside(0.02) for gap in found.values())
    assert [row[0] for row in gaps_table(found).rows] == ["0", "1"]


def test_a_gap_is_saved_and_loaded(tmp_path):
    found = mixture_gap(four(9), mixed(9, [1, 0, 0, 0]), resamples=20)
    assert limen.load(limen.save(found, tmp_path / "gap")) == found
    assert "weight" in found.table().to_text()


def test_the_weights_are_certified():
    assert mixture_gap(four(10), mixed(10, [0.3, 0.3, 0.2, 0.2]), resamples=1).certificate < 1e-9


def test_the_same_seed_gives_the_same_answer():
    args = four(11), mixed(11, [0.3, 0.3, 0.2, 0.2])
    assert mixture_gap(*args, seed=3, resamples=30) == mixture_gap(*args, seed=3, resamples=30)


def test_one_source_and_few_rows_are_warned_of():
    draw = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="one source only"):
        mixture_gap([draw.normal(size=(30, 3))], draw.normal(size=(30, 3)), resamples=5)
    rows = [draw.normal(size=(30, 9)) for _ in range(2)]
    with pytest.warns(UserWarning, match="5 rows for 9 dimensions"):
        mixture_gap(rows, draw.normal(size=(5, 9)), resamples=5)


@pytest.mark.parametrize(
    ("sources", "target", "match"),
    [
        ([], np.ones((3, 2)), "sources must hold one environment"),
        ([np.empty((0, 2))], np.ones((3, 2)), "source '0' must be two rows"),
        ([np.ones((3, 2))], np.ones((3, 4)), "one width, got 2 in source '0' and 4"),
        ([np.full((3, 2), np.inf)], np.ones((3, 2)), "must be finite"),
        ([np.full((3, 2), np.nan)], np.ones((3, 2)), "must not hold NaN"),
        ([np.ones((3, 2))], np.ones((1, 2)), "target must be two rows"),
    ],
    ids=["none", "empty", "width", "infinite", "nan", "one row"],
)
def test_what_has_no_gap_is_refused(sources, target, match):
    with pytest.raises(UsageError, match=match):
        mixture_gap(sources, target)


def test_odd_options_and_labels_are_refused():
    rows = np.random.default_rng(0).normal(size=(5, 2))
    with pytest.raises(UsageError, match="bandwidth must be above 0"):
        mixture_gap([rows], rows, bandwidth=0.0)
    with pytest.raises(UsageError, match="features must be even"):
        mixture_gap([rows], rows, features=3)
    with pytest.raises(UsageError, match="give both or neither"):
        mixture_gap([rows], rows, target_labels=np.zeros(5, int))
    with pytest.raises(UsageError, match="labels of the target must be 5 integers"):
        mixture_gap([rows], rows, source_labels=[[0] * 5], target_labels=[0.5] * 5)
