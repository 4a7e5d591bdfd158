"""What the page tells of a run."""

import pytest

from limen.unlearn import demo
from limen.unlearn.calibrate import mixed
from limen.unlearn.evidence import origin, records
from limen.unlearn.outcome import outcome
from limen.unlearn.task import Task
from limen.unlearn.training import Training

GRADIENT = [{"rectified": 1.0, "angle": 100.0, "coefficient": 0.1}]
UPDATE = [{**GRADIENT[0], "update_angle": 120.0}]


@pytest.fixture(scope="module")
def found(learnt, tokenizer, rows):
    """Makes the outcome of a run with a given history."""
    task = Task(tokenizer, forget=rows[:2], retain=rows[2:5])
    mixing = mixed(learnt, learnt, task, keep=0.95)
    return lambda name, history: outcome(mixing, name=name, keep=0.95, history=history, shown=1)


def conflict(outcomes):
    told = [r for r in records(outcomes, keep=0.95, facts={}) if r.kind == "trace"]
    return told[0]


def test_a_run_on_the_update_traces_the_angle_of_the_step(found):
    trace = conflict([found("WGA", UPDATE)])
    assert list(trace.series["WGA"]) == [120.0]
    assert "the step is bent" in trace.caption


def test_a_run_on_the_gradient_traces_the_angle_of_the_gradients(found):
    trace = conflict([found("WGA", GRADIENT)])
    assert list(trace.series["WGA"]) == [100.0]
    assert "the gradient is bent" in trace.caption


def test_both_kinds_on_one_page_are_both_named(found):
    trace = conflict([found("one", GRADIENT), found("other", UPDATE)])
    assert "the gradient or the step is bent" in trace.caption


def test_the_origin_names_the_versions():
    assert "torch" in origin()["versions"]


def test_the_demo_tells_how_each_of_its_runs_combines():
    plans = [Training(rectify=on) for on in (False, True)]
    told = demo._settings(plans)
    assert told["combine, WGA"] == repr(plans[0].combine())
    assert told["combine, WGA rectified"] == repr(plans[1].combine())
    assert "combine" not in told
