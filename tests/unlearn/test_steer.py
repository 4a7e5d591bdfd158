"""Steering by effects: which rows and layers are left out, and that training heeds it."""

import copy

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector
from limen.unlearn import GA, Steer, Task, Training, effects, pg_effects
from limen.unlearn.steer import course, held_still


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:4], retain=rows[4:])


def found(*pairs):
    """PG-effects from (use, harm) of each row: both raise a risk, so both are negative effects."""
    return -np.array(pairs, dtype=float)


def test_the_most_harmful_rows_are_dropped():
    weights = Steer("drop", share=0.5).rows(found((1, 3), (1, 0), (1, 5), (1, 1)))
    assert weights.tolist() == [0.0, 1.0, 0.0, 1.0]


def test_a_row_that_does_no_harm_is_never_dropped():
    weights = Steer("drop", share=0.75).rows(found((1, -2), (1, 0), (1, 5), (0, -1)))
    assert weights.tolist() == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(("share", "count"), [(0.001, 1), (0.25, 1), (0.29, 29), (0.999, 99)])
def test_a_share_is_rounded_down_but_to_one_at_least_and_never_to_all(share, count):
    rows = 4 if share == 0.25 else 100
    harm = found(*((1, i + 1) for i in range(rows)))
    assert Steer("drop", share).rows(harm).sum() == rows - count
    names = [str(i) for i in range(rows)]
    assert len(Steer("freeze", share).layers(names, harm[:, 1])) == count


def test_the_only_layer_is_not_frozen():
    with pytest.raises(UsageError, match="how='freeze' needs two layers that train"):
        Steer("freeze").layers(["a"], np.array([-1.0]))


def test_weights_fall_with_harm_and_rise_with_use():
    weights = Steer("weigh").rows(found((1, 1), (1, 3), (3, 1), (0, 1), (2, -1)))
    assert weights[1] < weights[0] < weights[2] < weights[4]
    assert weights[3] == 0
    assert weights.mean() == pytest.approx(1)


def test_rows_that_are_of_no_use_at_all_keep_equal_weights():
    assert Steer("weigh").rows(found((0, 1), (-1, 1))).tolist() == [1.0, 1.0]


def test_the_most_harmful_layers_are_frozen():
    steer = Steer("freeze", share=0.5)
    assert steer.layers(["a", "b", "c", "d"], np.array([-1.0, -3.0, 2.0, -2.0])) == ["b", "d"]
    assert steer.layers(["a", "b"], np.array([1.0, 0.0])) == []


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_lies_between_none_and_all(share):
    with pytest.raises(UsageError, match=r"share=.* must lie between 0 and 1"):
        Steer("drop", share)


def test_an_unknown_way_is_refused():
    with pytest.raises(UsageError, match="how='burn' must be one of drop, weigh, freeze"):
        Steer("burn")


def test_harm_needs_retain_rows(llama, tokenizer, rows):
    alone = Task(tokenizer, forget=rows[:2])
    with pytest.raises(UsageError, match="needs retain rows, to measure harm"):
        course(Steer(), llama, alone, objective=GA())


def test_dropping_leaves_out_what_the_effects_say(learnt, task):
    steer = Steer("drop", share=0.5)
    point = pg_effects(learnt, None, forget=task)
    kept = np.flatnonzero(steer.rows(np.stack(point, 1)))
    got = course(steer, learnt, task, objective=GA())
    assert [item.ids for item in got.task.forget] == [task.forget[i].ids for i in kept]


def test_weighing_gives_every_row_its_weight(learnt, task):
    got = course(Steer("weigh"), learnt, task, objective=GA())
    assert len(got.row_weight) == len(task.forget)
    assert np.mean(got.row_weight) == pytest.approx(1)


def test_frozen_layers_are_those_of_greatest_harm_and_do_not_move(llama, task):
    steer = Steer("freeze", share=0.4)
    by_layer = effects(llama, None, objective=GA(), forget=task, by="layer")
    wanted = steer.layers(list(by_layer.names), by_layer.retain)
    assert wanted
    model = copy.deepcopy(llama)
    Training(GA(), rectify=False, steer=steer, steps=2, lr=1e-3, batch=2).run(model, task, label="")
    still = {n for layer in wanted for n in ParamVector.of(llama).grouped("layer")[layer]}
    for name, p in model.named_parameters():
        assert torch.equal(p, llama.get_parameter(name)) == (name in still), name
        assert p.requires_grad


def test_held_layers_train_again_after_an_error(llama):
    def broken():
        with held_still(llama, ("layers.0",)):
            assert not llama.model.layers[0].mlp.up_proj.weight.requires_grad
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert all(p.requires_grad for p in llama.parameters())


@pytest.mark.parametrize("how", ["drop", "weigh", "freeze"])
def test_a_steered_run_cut_short_continues_to_the_same_bits(how, learnt, task, tmp_path):
    def run(steps, model, into):
        plan = Training(GA(), steer=Steer(how, 0.5), steps=steps, lr=1e-3, batch=2)
        return plan.run(model, task, label="", into=into)

    whole, first, second = (copy.deepcopy(learnt) for _ in range(3))
    state = run(4, whole, tmp_path / "whole")
    run(2, first, tmp_path / "parts")
    assert run(4, second, tmp_path / "parts").history == state.history
    for name, p in second.named_parameters():
        assert torch.equal(p, whole.get_parameter(name))
