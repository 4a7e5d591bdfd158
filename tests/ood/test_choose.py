"""Settings are chosen by outliers that were held out, by class where classes are known."""

import copy

import pytest
import torch
from outlier_toys import net, rows, strange
from torch.utils.data import DataLoader

from limen._core.errors import UsageError
from limen.ood.choose import choose
from limen.ood.objectives import NTOM
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.msp import msp
from limen.ood.train import Training

IDLE, BUSY = Training(steps=1, lr=1e-6), Training(steps=40, lr=0.1)


def test_the_one_that_mistakes_fewest_outliers_is_chosen():
    found = choose([IDLE, BUSY], net(), rows(240), outliers=strange(200))
    assert found.best is BUSY
    assert found.fpr[1] < found.fpr[0]


def test_the_first_of_equals_is_chosen():
    assert choose([IDLE, copy.copy(IDLE)], net(), rows(), outliers=strange()).best is IDLE


def test_the_network_and_the_global_generator_are_left_as_they_were():
    model = net()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    choose([IDLE], model, rows(), outliers=strange())
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_classes_of_outliers_are_held_out_whole():
    taught: list[set[int]] = []

    class Spy(Training):
        def run(self, net, inliers, outliers=None, **named):
            taught.append(set(outliers[:, 0].int().tolist()))
            return super().run(net, inliers, outliers, **named)

    outliers, labels = strange(40), torch.arange(40) % 5
    outliers[:, 0] = labels
    found = choose([Spy(steps=1)], net(), rows(), outliers=(outliers, labels), held_out=0.3)
    assert len(taught[0]) == 3
    assert "2 of 5 classes" in found.held_out


def test_what_is_held_out_is_never_taught():
    seen: list[torch.Tensor] = []

    class Spy(Training):
        def run(self, net, inliers, outliers=None, **named):
            seen.extend([inliers[0], outliers])
            return super().run(net, inliers, outliers, **named)

    choose([Spy(steps=1)], net(), rows(40), outliers=strange(40), held_out=0.25)
    assert [len(x) for x in seen] == [30, 30]


def test_the_same_seed_holds_out_the_same():
    one, again = (
        choose([Training(steps=3, lr=0.1)], net(), rows(), outliers=strange(), seed=2)
        for _ in range(2)
    )
    assert one.fpr == again.fpr


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"candidates": []}, "at least one"),
        ({"held_out": 0.0}, "held_out=0.0"),
        ({"held_out": 0.99}, "must leave some"),
        ({"outliers": DataLoader(strange())}, "in memory"),
    ],
)
def test_what_cannot_be_chosen_is_refused(named, said):
    asked = {"candidates": [IDLE], "net": net(), "inliers": rows(), "outliers": strange(), **named}
    with pytest.raises(UsageError, match=said):
        choose(**asked)


def test_an_extra_class_is_judged_by_its_own_score():
    candidate = Training(NTOM(), steps=40, lr=0.1, weight=1.0)
    model, known, others = net(extra=1), rows(240), strange(200)
    usual = choose([candidate], model, known, outliers=others)
    named = choose([candidate], model, known, outliers=others, score=extra_class)
    blind = choose([candidate], model, known, outliers=others, score=msp)
    assert usual.fpr == named.fpr
    assert usual.fpr[0] < blind.fpr[0]
