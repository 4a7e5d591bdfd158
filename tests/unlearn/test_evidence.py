"""What the page tells of a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.unlearn import demo
from limen.unlearn.calibrate import mixed
from limen.unlearn.early_stop import EarlyStop
from limen.unlearn.encode import Encoded
from limen.unlearn.evidence import origin, records, stop_record
from limen.unlearn.outcome import continued, outcome
from limen.unlearn.scores.one_pass import recall
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


@pytest.fixture(scope="module")
def guarded(learnt, tokenizer, rows):
    """A task with two further sets to keep, one of which the model knows by heart."""
    sets = {"known": rows[3:5], "unknown": rows[5:]}
    return Task(tokenizer, forget=rows[:2], retain=rows[2:3], guards=sets)


def test_guards_are_scored_before_after_and_calibrated(learnt, guarded):
    told = outcome(mixed(learnt, learnt, guarded, keep=0.95), name="WGA", keep=0.95, history=[])
    assert list(told.guards) == ["before", "after", "calibrated"]
    for kept in told.guards.values():
        for name, scores in kept.items():
            again = recall(learnt, None, guarded.guards[name]).extraction_strength
            assert scores.extraction_strength.tolist() == again.tolist()
    (table,) = [
        r for r in records([told], keep=0.95, facts={}) if r.title == "What the guards kept"
    ]
    assert [row[0] for row in table.rows] == ["known", "unknown"]
    assert table.rows[0][1].value == 1.0 > table.rows[1][1].value


def test_guards_of_several_runs_stand_in_tables_of_their_own(learnt, guarded):
    mixing = mixed(learnt, learnt, guarded, keep=0.95)
    both = [outcome(mixing, name=n, keep=0.95, history=[]) for n in ("one", "other")]
    titles = [r.title for r in records(both, keep=0.95, facts={})]
    assert {"What the guards kept, one", "What the guards kept, other"} <= set(titles)


def test_a_task_without_guards_has_no_table_of_them(found):
    told = found("WGA", [])
    assert told.guards == {}
    assert not any("guards" in r.title for r in records([told], keep=0.95, facts={}))


def test_a_stop_is_drawn_with_its_reason():
    stop = EarlyStop(([Encoded([1, 2], 1)], [Encoded([3, 4], 1)]))
    stop.steps, stop.forget, stop.retain = [0, 5], [1.0, 0.2], [1.0, 0.7]
    assert stop_record(stop, title="").caption == "Not stopped early."
    stop.stopped = "step 5: enough"
    assert stop_record(stop, title="").caption == "Stopped early, at step 5: enough."


READ = lambda ids: bytes(ids).decode(errors="replace")  # noqa: E731  a tokenizer of bytes


@pytest.mark.parametrize(
    ("prompt", "said", "text"),
    [
        ("a", b"bc", "bc"),
        ("a", "né".encode()[:-1], "n"),
        ("a", "日本".encode()[:-2], "日"),
    ],
)
def test_a_character_cut_off_at_the_end_is_not_shown(prompt, said, text):
    assert continued(READ, list(prompt.encode()), list(said)) == text


@given(st.text(min_size=1), st.data())
def test_texts_cut_anywhere_are_shown_in_whole_characters(text, data):
    ids = list(text.replace("\ufffd", "").encode())
    cut = data.draw(st.integers(0, len(ids)))
    assert READ(ids[:cut]).rstrip("\ufffd") + continued(READ, ids[:cut], ids[cut:]) == READ(ids)
