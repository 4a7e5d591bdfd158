"""The learned sampler: an unbiased gradient, a budget that is met, rewards that mean something."""

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.shift.rules.policy import policy
from limen.shift.rules.pool import Pool
from limen.shift.rules.reward import Reward
from limen.shift.rules.sampler import Sampler


def pool(seed=0, *, rows=60, places=3):
    draw = np.random.default_rng(seed)
    labels = draw.integers(2, size=rows)
    features = draw.normal(size=(rows, 3)) + 3.0 * labels[:, None]
    return Pool.of(features, labels=labels, environments=draw.integers(places, size=rows))


def test_without_a_reward_nothing_is_learned():
    sampler = Sampler(pool(), 20)
    before = sampler.keep()
    reward = Reward(pool(), 20, spread=0.0, held_out=0.0, size=0.0)
    np.testing.assert_array_equal(sampler.train(reward, 10, entropy=0.0), before)


def test_the_gradient_of_a_constant_reward_is_zero_on_average():
    sampler = Sampler(pool(), 20)
    stream = torch.Generator().manual_seed(0)
    found = []
    for _ in range(1000):
        kept = torch.bernoulli(sampler.logits().sigmoid().detach(), generator=stream)
        found.append(torch.autograd.grad(sampler.surrogate(kept, 1.0), sampler.bias)[0].item())
    # four standard errors
    assert abs(np.mean(found)) < 4 * np.std(found) / 1000**0.5
    assert np.std(found) > 1


def test_the_gradient_is_that_of_the_expected_reward():
    given = Pool.of([[0.0], [1.0], [5.0]])
    sampler = Sampler(given, 1)
    worth = {0: 0.0, 1: 1.0, 2: 3.0, 3: 7.0}  # by rows kept
    logits = sampler.logits()
    keep = logits.sigmoid()
    expected = torch.zeros(())
    estimate = 0.0
    for bits in np.ndindex(2, 2, 2):
        kept = torch.tensor(bits, dtype=torch.float32)
        chance = (keep * kept + (1 - keep) * (1 - kept)).prod()
        expected = expected + chance * worth[sum(bits)]
        step = torch.autograd.grad(sampler.surrogate(kept, worth[sum(bits)]), sampler.bias)[0]
        estimate += chance.item() * step.item()
    exact = torch.autograd.grad(expected, sampler.bias)[0].item()
    assert -estimate == pytest.approx(exact, rel=1e-4)  # float32


def test_rewarded_for_its_size_alone_it_meets_the_budget():
    given = pool(rows=100)
    reward = Reward(given, 40, spread=0.0, held_out=0.0, size=1.0)
    sampler = Sampler(given, 40, start=0.6)  # 20 rows too many
    keep = sampler.train(reward, 400, lr=0.01, entropy=0.0)
    assert keep.sum() == pytest.approx(40, rel=0.05)


def test_rewarded_for_spread_it_prefers_rows_far_out():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(80, 2))
    features[:20] *= 10
    given = Pool.of(features)
    found = policy(given, 20, held_out=0.0, steps=150, lr=0.04)
    assert (found.rows < 20).sum() >= 10  # at random: 5


def test_the_probabilities_start_at_the_budget():
    assert Sampler(pool(), 15).keep() == pytest.approx(np.full(60, 0.25))


def test_spread_compares_with_as_many_random_rows():
    given = pool(rows=200)
    reward = Reward(given, 100, spread=1.0, held_out=0.0, size=0.0)
    draw = np.random.default_rng(1)
    worths = [reward(draw.permutation(200) < 100, step) for step in range(60)]
    assert np.mean(worths) == pytest.approx(0, abs=4 * np.std(worths) / 60**0.5)
    far = np.linalg.norm(given.features - given.features.mean(0), axis=1)
    assert reward(far > np.median(far), 0) > max(worths)


def test_the_held_out_loss_is_lower_for_rows_that_teach():
    given = pool(rows=200)
    reward = Reward(given, 100, spread=0.0, held_out=1.0, size=0.0)
    both = np.arange(200) < 100
    one_class = given.labels == 0
    assert reward(both, 0) > reward(one_class, 0)


@pytest.mark.parametrize("kept", [0, 1], ids=["no row", "one row"])
def test_the_smallest_subsets_have_a_finite_reward(kept):
    reward = Reward(pool(), 20, spread=1.0, held_out=1.0, size=1.0)
    assert np.isfinite(reward(np.arange(60) < kept, 0))


def test_without_labels_that_part_is_left_out_and_told():
    found = policy(Pool.of(np.random.default_rng(0).normal(size=(20, 2))), 5, steps=3)
    assert found.told == (
        "policy is a reconstruction: the published sampler is not public",
        "no labels, so no held-out loss in its reward",
    )


@pytest.mark.parametrize("wrong", [{"spread": -1.0}, {"size": -0.1}, {"steps": 0}], ids=str)
def test_wrong_options_of_the_sampler_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        policy(pool(), 5, **wrong)
