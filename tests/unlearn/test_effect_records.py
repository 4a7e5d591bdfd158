"""What a page shows of effects."""

import dataclasses

import numpy as np
import pytest
import torch

import limen
from limen import Loop
from limen.report.records import records_from_dict
from limen.unlearn import EffectTrace, effects
from limen.unlearn.effect_records import row_records, token_records, token_table, trace_records
from limen.unlearn.effects import PGEffects
from limen.unlearn.objectives import GA, WGA
from limen.unlearn.retain import NLL
from limen.unlearn.step import Step
from limen.unlearn.task import Task


@pytest.fixture(scope="module")
def found(toy, tokenizer, rows):
    """By token, of five rows; one of them has characters of several tokens."""
    odd = dataclasses.replace(rows[0], response=" na\u00efve \u20ac \u2603")
    task = Task(tokenizer, forget=[odd, *rows[1:5]], retain=rows[5:7])
    return effects(toy("llama"), None, objective=GA(), forget=task, by="token")


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:3], retain=rows[3:6])


def trace(toy, task, on):
    watched = EffectTrace(task.probes(3), every=2, on=on)
    limen.fit(
        toy("llama"), Step(WGA(), NLL()), task.batches(3), steps=3,
        optimizer=lambda params: torch.optim.SGD(params, 1e-2),
        callbacks=[watched], loop=Loop(label=""),
    )  # fmt: skip
    return watched


def test_pieces_of_a_row_are_its_text_and_hold_all_of_its_effect(found):
    (marked,) = token_records(found, shown=9)
    texts = dict(zip(marked.names, marked.texts, strict=True))
    assert "".join(texts["forget 1"]) == " na\u00efve \u20ac \u2603"
    assert "" not in texts["forget 1"]
    for name, values in zip(marked.names, marked.values, strict=True):
        row = found.forget[found.names.index(name)]
        assert sum(values) == pytest.approx(np.nansum(row))


def test_the_caption_says_how_many_rows_are_left_out(found):
    (some,), (every,) = token_records(found), token_records(found, shown=5)
    assert "the 4 rows of largest effect, of 5 to forget" in some.caption
    assert "all rows to forget" in every.caption
    assert len(some.texts) == 4


def test_the_largest_tokens_come_first_from_both_sets(found):
    table = token_table(found, shown=10_000)
    sizes = [abs(row[2]) for row in table.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert {row[0].split()[0] for row in table.rows} == {"forget", "retain"}
    total = np.nansum(found.forget) + np.nansum(found.retain)
    assert sum(row[2] for row in table.rows) == pytest.approx(total)
    assert token_table(found, shown=3).rows == table.rows[:3]


def test_points_of_rows_are_numbered_and_named_and_their_objective_is_told():
    (scatter,) = row_records(PGEffects(np.array([-1.0, 2.0]), np.array([1.0, -1.0])), ["a", "b"])
    assert scatter.marks == ["1", "2"]
    assert scatter.names == ["1: a", "2: b"]
    assert "plain ascent (GA)" in scatter.caption


def test_very_many_points_are_not_numbered():
    many = PGEffects(np.arange(500.0), np.arange(500.0))
    assert row_records(many, ["row"] * 500)[0].marks == []


def test_a_trace_of_updates_draws_what_the_first_order_leaves_out(toy, task):
    watched = trace(toy, task, "update")
    drawn = {r.title: r for r in trace_records(watched) if r.kind == "trace"}
    for side, words in (("forget", "forget"), ("retain", "keep")):
        series = drawn[f"Change of risk on the rows to {words}"].series
        np.testing.assert_allclose(series["residual"], watched.residual[side])
        np.testing.assert_allclose(series["measured"], watched.actual[side])
        predicted = -getattr(watched, side).sum(1)
        np.testing.assert_allclose(series["predicted"], predicted, atol=1e-12)


def test_a_trace_of_gradients_has_no_residual_to_draw(toy, task):
    made = trace_records(trace(toy, task, "gradient"))
    assert [r.kind for r in made] == ["grid", "grid", "trace", "table"]


def test_the_totals_over_the_steps_have_intervals(toy, task):
    watched = trace(toy, task, "gradient")
    table = trace_records(watched)[-1]
    assert [row[0] for row in table.rows] == [0, 2]
    for i, row in enumerate(table.rows):
        for cell, side in zip(row[1:], ("forget", "retain"), strict=True):
            assert cell.value == pytest.approx(watched.total[side][i])
            assert cell.low <= cell.value <= cell.high


def test_records_of_a_trace_come_back(toy, task):
    made = trace_records(trace(toy, task, "update"))
    back = records_from_dict([record.to_dict() for record in made])
    assert [r.to_dict() for r in back] == [r.to_dict() for r in made]
