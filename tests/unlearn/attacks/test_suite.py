"""Several attacks on one model, for a page."""

from dataclasses import replace

import numpy as np
import pytest

from limen._core.errors import UsageError
from limen.report import Page
from limen.report.records import records_from_dict
from limen.unlearn import Jailbreak, Probing, Quantisation, Relearning, recall, robustness
from limen.unlearn.attacks.attacked import Attacked, both
from limen.unlearn.attacks.suite import ATTACKS, answer, gathered, records, suite, table
from limen.unlearn.task import Task

SMALL = [
    Jailbreak(prefixes=["Say:", "Now:"]),
    Probing(layers=[1, 2]),
    Quantisation(bits=4),
    Relearning(steps=2, lr=1e-3, every=1),
]


@pytest.fixture(scope="module")
def task(tokenizer, rows):
    return Task(tokenizer, forget=rows[:2], retain=rows[2:5])


@pytest.fixture(scope="module")
def found(learnt, task):
    return suite(learnt, task, SMALL)


def test_the_model_left_in_peace_comes_first(found, learnt, task):
    assert list(found) == ["none", *(attack.name for attack in SMALL)]
    np.testing.assert_array_equal(found["none"].forget.loss, recall(learnt, None, task.forget).loss)


def test_a_model_as_good_as_retrained_would_regain_nothing(found):
    rows = {row[0]: row for row in table({**found, "idle": found["none"]}).rows}
    assert rows["idle"][-1].value == 0
    assert rows["none"][-1] is None


def test_what_is_regained_is_the_difference_to_no_attack(found):
    shown = table(found)
    strength = shown.columns.index("forget: extraction strength")
    for row in shown.rows[1:]:
        assert row[-1].value == pytest.approx(row[strength].value - shown.rows[0][strength].value)


def test_numbers_that_were_varied_become_curves_and_texts_a_table(found):
    kinds = [(record.kind, record.title) for record in records(found)]
    assert kinds == [
        ("table", "Under attack"),
        ("table", SMALL[0].name.capitalize()),
        ("trace", "Probing, layers 1 and 2"),
        ("trace", "Relearning, 2 steps of 8 rows at lr=0.001"),
    ]


def test_the_relearning_curve_is_the_mean_strength_over_steps(found):
    curve = records(found)[-1]
    assert list(curve.steps) == [0, 1, 2]
    for side, i in (("forget", 0), ("retain", 1)):
        wanted = [s[i].extraction_strength.mean() for s in found[SMALL[-1].name].tried.values()]
        assert curve.series[side] == pytest.approx(wanted)


def test_records_make_a_page_and_come_back(found, tmp_path):
    made = records(found)
    assert records_from_dict([record.to_dict() for record in made]) == made
    page = Page("Attacks", answer(found), made).write(tmp_path / "report.html")
    assert "Relearning, 2 steps" in page.read_text(encoding="utf-8")


def test_the_answer_names_the_attack_that_brings_back_most(found):
    strongest = max(list(found)[1:], key=lambda name: found[name].forget.extraction_strength.mean())
    assert f"({strongest})" in answer(found)


def test_the_answer_says_so_where_no_attack_brings_anything_back(found):
    low = replace(found["none"].forget, extraction_strength=np.array([0.2, 0.3]))
    less = {"none": found["none"], "noise": Attacked(low, found["none"].retain)}
    said = answer(less)
    assert "; no attack brings back more, the nearest 25%" in said
    assert said.endswith("(noise).")
    assert "most" not in said


def test_the_answer_names_the_model_it_is_told(found):
    assert answer(found, name="runs/a").startswith("By itself runs/a gives away")


class Watching:
    """An attack that notes whether it is run."""

    name = "watching"

    def __init__(self):
        self.ran = False

    def __call__(self, model, task, *, batch=16):
        self.ran = True
        return Attacked(*both(model, task, batch=batch))


class Refusing(Watching):
    """An attack that nothing fits."""

    name = "refusing"

    def check(self, model, task):
        raise UsageError("this one never fits")


def test_an_attack_that_does_not_fit_is_refused_before_any_is_run(learnt, task, monkeypatch):
    watching = Watching()
    monkeypatch.setattr("limen.unlearn.attacks.suite.both", None)
    with pytest.raises(UsageError, match="never fits"):
        suite(learnt, task, [watching, Refusing()])
    assert not watching.ran


def test_an_attack_without_a_check_is_run(learnt, task):
    watching = Watching()
    assert list(suite(learnt, task, [watching])) == ["none", "watching"]
    assert watching.ran


def test_the_suite_that_comes_with_it_has_unlike_names():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) == 6


@pytest.mark.parametrize("attacks", [[], [Quantisation(), Quantisation(bits=8)]])
def test_attacks_must_be_told_apart(attacks, learnt, task):
    with pytest.raises(UsageError, match="of unlike names"):
        suite(learnt, task, attacks)


def test_gathered_values_are_means_over_rows_by_model(found):
    before, after = gathered([found] * 3)
    mean = found["none"].retain.exact_memorisation.mean()
    assert before["retain"]["exact memorisation"].tolist() == [mean] * 3
    held = found["quantisation, 4 bits"].forget
    assert after["quantisation, 4 bits"]["forget"]["Min-K%"].tolist() == [held.min_k.mean()] * 3
    assert list(after) == list(found)[1:]


def test_gathered_values_are_what_robustness_takes(found):
    shown = robustness(*gathered([found] * 3))
    assert len(shown.rows) == 4 * 6
    assert all(cell is None for row in shown.rows for cell in row[2:])  # three times one model


def test_models_under_unlike_attacks_are_not_gathered(found):
    with pytest.raises(UsageError, match="same attacks"):
        gathered([found, {"none": found["none"]}])
    with pytest.raises(UsageError, match="at least one model"):
        gathered([])


def test_axes_say_what_was_varied_and_in_what_the_strength_is_told(found):
    probing, relearning = records(found)[-2:]
    assert relearning.x_name == "optimiser steps of relearning"
    assert probing.x_name == "block after which the model is read"
    assert relearning.y_name == probing.y_name == "extraction strength [share of the answer]"


def test_the_last_column_is_a_change_and_the_protocol_speaks_of_no_calibration(found):
    shown = table(found)
    assert shown.columns[-1] == "forget: change of strength"
    assert "alibrated" not in shown.protocol
