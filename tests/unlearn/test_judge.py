"""Models side by side."""

import copy

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.unlearn import calibrate, judge, recall
from limen.unlearn.task import Task


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:2], retain=rows[2:5])


@pytest.fixture(scope="module")
def models(learnt):
    """Three stages of forgetting."""
    found = {}
    for name, by in (("none", 0.0), ("some", 0.05), ("much", 0.1)):
        draw = torch.Generator().manual_seed(3)
        found[name] = copy.deepcopy(learnt)
        with torch.no_grad():
            for p in found[name].parameters():
                p.add_(torch.randn(p.shape, generator=draw), alpha=by)
    return found


@pytest.fixture(scope="module")
def table(models, learnt, task):
    return judge(models, task, before=learnt)


def column(table, name):
    return [row[table.columns.index(name)] for row in table.rows]


def test_there_is_one_row_for_each_model_in_order(table, models):
    assert column(table, "model") == list(models)


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ("extraction strength", "extraction_strength"),
        ("exact memorisation", "exact_memorisation"),
        ("probability", "probability"),
    ],
)
@pytest.mark.parametrize("side", ["forget", "retain"])
def test_scores_are_means_over_rows(side, words, score, table, models, task):
    for found, model in zip(column(table, f"{side}: {words}"), models.values(), strict=True):
        values = getattr(recall(model, None, getattr(task, side)), score)
        assert found.value == pytest.approx(values.mean())
        assert found.low <= found.value <= found.high


def test_curves_are_those_of_calibration(table, models, learnt, task):
    for curve, (name, model) in zip(table.tradeoffs, models.items(), strict=True):
        assert curve == calibrate(learnt, model, task, name=name)


def test_models_are_compared_at_equal_price(table):
    for row, (found, price, knob) in enumerate(
        zip(*(column(table, n) for n in table.columns[-3:]), strict=True)
    ):
        point = table.tradeoffs[row].at(price=0.05)
        assert (found.value, price, knob) == (point.gain, point.price, point.knob)
        assert price <= 0.05 + 1e-9
    assert table.columns[-3:] == ["forgotten at 95% kept", "price paid", "mixing weight"]


def test_a_model_that_did_not_change_forgot_nothing(table):
    found, price = (column(table, table.columns[k])[0] for k in (-3, -2))
    assert (found.value, price) == (0.0, 0.0)


def test_without_the_model_before_nothing_is_calibrated(models, task):
    table = judge(models, task)
    assert table.tradeoffs == []
    assert len(table.columns) == 7


def test_judging_leaves_the_models_alone(models, learnt, task):
    model = copy.deepcopy(models["some"])
    judge({"some": model}, task, before=learnt)
    named = dict(models["some"].named_parameters())
    assert all(torch.equal(p, named[n]) for n, p in model.named_parameters())


def test_the_seed_moves_the_intervals_alone(models, learnt, task):
    (one,), (other,) = (
        judge({"much": models["much"]}, task, before=learnt, seed=s).tradeoffs for s in (0, 1)
    )
    np.testing.assert_array_equal(one.gain, other.gain)
    assert one.price.tolist() == other.price.tolist()


def test_no_model_is_refused(task):
    with pytest.raises(UsageError, match="at least one model"):
        judge({}, task)


def test_no_rows_to_keep_are_refused(models, tokenizer, rows):
    with pytest.raises(UsageError, match="needs retain rows"):
        judge(models, Task(tokenizer, forget=rows[:2]))
