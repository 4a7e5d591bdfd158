"""Risk bounds: never violated, exact for mixtures, silent where nothing is known."""

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.shift.bounds import (
    mixture_risk,
    risk_bound,
    sample_margin,
    total_variation_to_hull,
    unseen_mass,
)


def worlds(count, *, inside):
    """Finite distributions over 12 outcomes, four sources, a target, and a loss of each outcome."""
    for seed in range(count):
        draw = np.random.default_rng(seed)
        sources = draw.dirichlet(np.full(12, 0.5), 4)
        weights = draw.dirichlet(np.ones(4))
        target = weights @ sources if inside else draw.dirichlet(np.full(12, 0.5))
        yield sources, target, draw.uniform(size=12), weights


def test_inside_the_hull_the_risk_is_the_mixture_of_risks():
    for sources, target, loss, weights in worlds(100, inside=True):
        assert mixture_risk(sources @ loss, weights) == pytest.approx(target @ loss, abs=1e-14)


def test_a_mixture_has_distance_zero():
    for sources, target, _, _ in worlds(20, inside=True):
        assert total_variation_to_hull(sources, target).distance < 1e-9


def test_the_bound_is_never_violated():
    for sources, target, loss, _ in worlds(150, inside=False):
        found, risks = total_variation_to_hull(sources, target), sources @ loss
        tight = risk_bound(risks, found.distance, weights=found.weights)
        assert target @ loss <= tight + 1e-12
        assert tight <= risk_bound(risks, found.distance) + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_no_mixture_is_nearer_than_the_program_says(seed):
    sources, target, _, _ = list(worlds(5, inside=False))[seed]
    tried = np.random.default_rng(seed).dirichlet(np.ones(4), 2000) @ sources
    nearest = np.abs(tried - target).sum(1).min() / 2
    found = total_variation_to_hull(sources, target)
    assert found.distance <= nearest
    assert np.abs(found.weights @ sources - target).sum() / 2 == pytest.approx(found.distance)


def test_a_kernel_loss_obeys_the_bound_of_its_ball():
    draw = np.random.default_rng(0)
    means, target = draw.normal(size=(3, 5)), draw.normal(size=5)
    weights = np.array([0.2, 0.5, 0.3])
    distance = float(np.linalg.norm(target - weights @ means))
    for _ in range(200):
        loss = draw.normal(size=5)
        radius = float(np.linalg.norm(loss))
        assert target @ loss <= weights @ (means @ loss) + radius * distance + 1e-12


def test_where_no_source_looks_some_labelling_is_wrong_everywhere():
    sources, target = [[0.5, 0.5, 0, 0], [0, 1, 0, 0]], np.array([0.1, 0.2, 0.3, 0.4])
    tau = unseen_mass(sources, target)
    assert tau == pytest.approx(0.7)
    named = np.array([0, 1, 1, 0])
    adverse = np.where(np.array(sources).any(0), named, 1 - named)
    assert target @ (adverse != named) >= tau
    assert total_variation_to_hull(sources, target).distance >= tau


def test_margins_hold_for_all_sources_at_once():
    draw, truth, delta = np.random.default_rng(0), np.array([0.3, 0.5]), 0.2
    sizes = np.array([50, 200])
    margin = sample_margin(sizes, delta=delta)
    measured = draw.binomial(sizes, truth, size=(2000, 2)) / sizes
    assert np.mean((truth > measured + margin).any(1)) <= delta


def test_margins_shrink_with_rows_and_grow_with_sources_and_complexity():
    assert sample_margin([400])[0] == pytest.approx(sample_margin([100])[0] / 2)
    assert sample_margin([100, 100])[0] > sample_margin([100])[0]
    assert sample_margin([100], complexity=0.1)[0] == pytest.approx(sample_margin([100])[0] + 0.2)


def test_a_larger_ball_and_distance_promise_less():
    assert risk_bound([0.1], 0.2, radius=2.0) == pytest.approx(0.5)
    assert risk_bound([0.1], 0.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: mixture_risk([0.1, 0.2], [0.5, 0.6]), "weights must be at least 0 and sum to 1"),
        (lambda: mixture_risk([0.1, 0.2], [1.0]), "one for each source, got 2 and 1"),
        (lambda: mixture_risk([-0.1], [1.0]), "risks must be at least 0"),
        (lambda: risk_bound([0.1], -0.1), "distance and radius must be at least 0"),
        (lambda: total_variation_to_hull([[1.0]], [0.5, 0.5]), "rows of 2 probabilities"),
        (lambda: total_variation_to_hull([[0.9, 0.0]], [0.5, 0.5]), "source 0 must be"),
        (lambda: unseen_mass([1.0, 0.0], [0.5, 0.5]), "rows of 2 probabilities"),
        (lambda: sample_margin([0]), "sizes must be 1 or more"),
        (lambda: sample_margin([10], delta=1.0), "delta between 0 and 1"),
    ],
    ids=["sum", "count", "risk", "distance", "width", "source", "rows", "size", "delta"],
)
def test_what_is_no_distribution_is_refused(call, match):
    with pytest.raises(UsageError, match=match):
        call()
