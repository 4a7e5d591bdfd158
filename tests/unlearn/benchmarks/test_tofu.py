"""TOFU as data, as a task and as scores, each score beside its obvious version."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import hmean, ks_2samp
from torch import nn

from limen._core.errors import UsageError
from limen.unlearn.benchmarks.judgement import Judgement
from limen.unlearn.benchmarks.tofu import TOFU
from limen.unlearn.data import Row
from limen.unlearn.scores.extraction_strength import extraction_strength
from limen.unlearn.scores.one_pass import recall


@pytest.fixture
def judged(tofu_folder: Path, toy, tokenizer) -> Judgement:
    return TOFU("forget01", data=tofu_folder).judge(toy(), tokenizer, generation=False)


def test_what_is_kept_and_held_out_follows_from_what_is_forgotten(tofu_folder: Path):
    tofu = TOFU("forget01", data=tofu_folder)
    assert [len(part) for part in (tofu.forget, tofu.retain, tofu.holdout)] == [2, 3, 2]
    assert tofu.forget[0].prompt == "Where does Ada live?"


def test_the_form_splits_before_the_space_that_leads_the_answer(tofu_folder: Path):
    phi = TOFU(data=tofu_folder, form="Question: {question}\nAnswer: {answer}").forget[0]
    assert phi.prompt == "Question: Where does Ada live?\nAnswer:"
    assert phi.response == " Ada lives in Oslo."
    llama = TOFU(data=tofu_folder, form="[INST] {question} [/INST]{answer}").forget[0]
    assert (llama.prompt[-7:], llama.response[:3]) == ("[/INST]", "Ada")


def test_the_hub_has_three_splits_and_a_folder_may_have_others(tmp_path: Path):
    with pytest.raises(UsageError, match="must be one of forget01, forget05, forget10 on the hub"):
        TOFU("forget99")
    assert TOFU("forget99", data=tmp_path).split == "forget99"


def test_braces_in_a_question_are_left_alone(tmp_path: Path, write):
    write(tmp_path, {"forget05": [{"question": "What is {answer}?", "answer": "{x}"}]})
    row = TOFU("forget05", data=tmp_path, form="Q: {question} {answer}").forget[0]
    assert (row.prompt, row.response) == ("Q: What is {answer}?", " {x}")


def test_parts_are_read_once_and_only_when_asked_for(tofu_folder: Path):
    tofu = TOFU(data=tofu_folder)
    assert tofu.forget is tofu.forget
    with pytest.raises(UsageError, match=r"real_authors\.json"):
        _ = tofu.real_authors  # this folder has the perturbed ones alone


def test_the_task_forgets_and_keeps_the_right_rows(tofu_folder: Path, tokenizer):
    task = TOFU(data=tofu_folder, form="{question} {answer}").task(tokenizer, eos=True)
    assert (len(task.forget), len(task.retain)) == (2, 3)
    assert task.forget[0].ids[-1] == tokenizer.eos_token_id


def test_probability_is_of_the_answer_and_of_facts_its_share(
    judged: Judgement, tofu_parts, toy, tokenizer
):
    forget = [Row(r["question"], r["answer"]) for r in tofu_parts["forget01_perturbed"]]
    known = recall(toy(), tokenizer, forget).probability
    assert judged.values["forget: probability"] == pytest.approx(known.mean())
    fact = tofu_parts["world_facts_perturbed"][0]
    choices = [Row(fact["question"], text) for text in (fact["answer"], *fact["perturbed_answer"])]
    p = recall(toy(), tokenizer, choices).probability
    assert judged.values["world facts: probability"] == pytest.approx(p[0] / p.sum())


def test_truth_ratio_is_of_the_paraphrase_on_fiction_and_of_the_answer_on_facts(
    judged: Judgement, tofu_parts, toy, tokenizer
):
    for part, name, true in (
        ("forget01_perturbed", "forget", "paraphrased_answer"),
        ("real_authors_perturbed", "real authors", "answer"),
    ):
        expected = []
        for r in tofu_parts[part]:  # rows with unlike numbers of wrong answers among them
            answers = (r[true], *r["perturbed_answer"])
            p = recall(toy(), tokenizer, [Row(r["question"], a) for a in answers]).probability
            expected.append(p[1:].mean() / p[0])
        assert judged.rows[f"{name}: R, arithmetic"] == pytest.approx(np.array(expected))
    ratio = judged.rows["forget: R, arithmetic"]
    assert judged.values["forget: truth ratio, arithmetic"] == pytest.approx(
        np.minimum(ratio, 1 / ratio).mean()
    )
    ratio = judged.rows["real authors: R, geometric"]
    assert judged.values["real authors: truth ratio, geometric"] == pytest.approx(
        np.maximum(0, 1 - ratio).mean()
    )


def test_rephrased_extraction_strength_asks_differently_for_the_same_answer(
    judged: Judgement, tofu_parts, toy, tokenizer
):
    rows = [Row(r["paraphrased_question"], r["answer"]) for r in tofu_parts["retain_perturbed"]]
    strength = extraction_strength(toy(), tokenizer, rows)
    assert judged.rows["retain: extraction strength, rephrased"].tolist() == strength.tolist()


def test_the_end_counts_in_probabilities_alone(tofu_folder: Path, toy, tokenizer, judged):
    ended = TOFU(data=tofu_folder).judge(toy(), tokenizer, generation=False, eos=True)
    changed = {name for name, value in judged.values.items() if ended.values[name] != value}
    assert "forget: probability" in changed
    assert not any("strength" in name or "memorisation" in name for name in changed)


def test_model_utility_is_the_harmonic_mean_of_the_nine(tofu_folder: Path, learnt, tokenizer):
    found = TOFU(data=tofu_folder).judge(learnt, tokenizer, mean="geometric")
    nine = [
        found.values[f"{name}: {score}"]
        for name in ("retain", "real authors", "world facts")
        for score in ("probability", "ROUGE-L recall", "truth ratio, geometric")
    ]
    utility = 0.0 if min(nine) == 0 else float(hmean(nine))
    assert found.values["model utility"] == pytest.approx(utility)


def test_beside_itself_a_model_is_retrained_without_a_trace(tofu_folder: Path, toy, tokenizer):
    found = TOFU(data=tofu_folder).judge(toy(), tokenizer, generation=False, retrained=toy())
    assert found.values["forget quality"] == 1.0
    assert found.values["PrivLeak"] == pytest.approx(0.0)


def test_forget_quality_compares_the_truth_ratios_of_two_models(
    tofu_folder: Path, toy, tokenizer, judged: Judgement
):
    tofu = TOFU(data=tofu_folder)
    found = tofu.judge(toy(seed=5), tokenizer, generation=False, retrained=judged)
    name = "forget: R, arithmetic"
    expected = ks_2samp(found.rows[name], judged.rows[name]).pvalue
    assert found.values["forget quality"] == pytest.approx(expected)


def test_a_saved_judgement_stands_in_for_the_retrained_model(
    tofu_folder: Path, tmp_path: Path, toy, tokenizer, judged: Judgement
):
    tofu, path = TOFU(data=tofu_folder), judged.save(tmp_path / "retrained.json")
    told = [
        tofu.judge(toy(seed=5), tokenizer, generation=False, retrained=other).values
        for other in (judged, path, toy())
    ]
    assert told[0] == told[1] == told[2]


def test_limit_cuts_every_set(tofu_folder: Path, toy, tokenizer):
    found = TOFU(data=tofu_folder).judge(toy(), tokenizer, generation=False, limit=1)
    assert {len(values) for values in found.rows.values()} == {1}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.pop("holdout01"), r"must hold holdout01.json or holdout01.jsonl"),
        (lambda p: p["retain_perturbed"][1].pop("perturbed_answer"), "the column perturbed_answer"),
        (
            lambda p: p["forget01_perturbed"][0].update(perturbed_answer=[]),
            "must be a list of texts",
        ),
        (lambda p: p["forget01_perturbed"][0].update(paraphrased_answer=" "), "must be text"),
    ],
)
def test_a_missing_or_broken_part_is_one_sentence_before_any_work(
    tmp_path: Path, tofu_parts, write, tokenizer, change, sentence: str
):
    change(tofu_parts)
    tofu = TOFU(data=write(tmp_path, tofu_parts))
    with pytest.raises(UsageError, match=sentence):
        tofu.judge(nn.Identity(), tokenizer)  # no model is needed to see it


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "forget"}, "forget01"),
        ({"form": "{question}"}, "end with {answer}"),
        ({"data": "/nowhere"}, "must be a folder"),
    ],
)
def test_wrong_use_is_one_sentence(options, sentence: str):
    with pytest.raises(UsageError, match=sentence):
        _ = TOFU(**options).forget


def test_a_limit_below_one_is_refused(tofu_folder: Path, toy, tokenizer):
    with pytest.raises(UsageError, match="limit=0"):
        TOFU(data=tofu_folder).judge(toy(), tokenizer, limit=0)


def test_another_mean_is_refused(tofu_folder: Path, toy, tokenizer):
    with pytest.raises(UsageError, match="arithmetic"):
        TOFU(data=tofu_folder).judge(toy(), tokenizer, mean="harmonic")


def test_a_retrained_model_must_be_judged_on_the_same(tofu_folder: Path, toy, tokenizer, judged):
    other = Judgement("TOFU forget05", judged.values, judged.rows)
    bare = Judgement("TOFU forget01", judged.values)
    tofu = TOFU(data=tofu_folder)
    with pytest.raises(UsageError, match="it was on TOFU forget05"):
        tofu.judge(toy(), tokenizer, retrained=other)
    with pytest.raises(UsageError, match="must hold the rows"):
        tofu.judge(toy(), tokenizer, retrained=bare)


@pytest.mark.data
@pytest.mark.parametrize(
    ("split", "rows"), [("forget01", 40), ("forget05", 200), ("forget10", 400)]
)
def test_the_published_parts_are_whole_and_fit_together(split: str, rows: int):
    folder = os.environ.get("LIMEN_DATA")
    if not folder:
        pytest.skip("LIMEN_DATA names no folder")
    tofu = TOFU(split, data=Path(folder) / "tofu")
    assert len(tofu.forget) == len(tofu.holdout) == len(tofu.forget_perturbed) == rows
    assert len(tofu.forget) + len(tofu.retain) == 4000
    assert tofu.rows(tofu.forget_perturbed)[-1].prompt == tofu.forget[-1].prompt
    assert not {row.prompt for row in tofu.forget} & {row.prompt for row in tofu.retain}
    assert len(tofu.real_authors) == len(tofu.real_authors_perturbed) == 100
    assert len(tofu.world_facts) == len(tofu.world_facts_perturbed) == 117
    assert len(tofu.retain_perturbed) == 400


@pytest.mark.parametrize(
    ("options", "form", "setting"),
    [
        ({"eos": True}, "{question}{answer}", "eos, True; it was with False"),
        ({"limit": 1}, "{question}{answer}", "number of forget rows, 1; it was with 2"),
        ({}, "{question} {answer}", "form, "),
    ],
)
def test_a_retrained_model_must_be_judged_in_the_same_way(
    tofu_folder: Path, toy, tokenizer, judged, options, form, setting
):
    tofu = TOFU(data=tofu_folder, form=form)
    with pytest.raises(UsageError, match=f"must be judged with the same {setting}"):
        tofu.judge(toy(), tokenizer, generation=False, retrained=judged, **options)


def test_a_retrained_model_must_be_judged_on_the_same_rows(
    tmp_path, tofu_parts, write, toy, tokenizer, judged
):
    tofu_parts["forget01_perturbed"][0]["answer"] = "Nobody knows."
    tofu = TOFU(data=write(tmp_path / "other", tofu_parts))
    with pytest.raises(UsageError, match="the same content"):
        tofu.judge(toy(), tokenizer, generation=False, retrained=judged)


def test_a_saved_judgement_made_in_the_same_way_is_taken(
    tofu_folder: Path, tmp_path, toy, tokenizer, judged
):
    path = judged.save(tmp_path / "retrained.json")
    tofu = TOFU(data=tofu_folder)
    found = tofu.judge(toy(), tokenizer, generation=False, template="plain", retrained=path)
    assert found.values["forget quality"] == 1.0


def test_checking_needs_no_model_to_find_what_is_missing(tofu_folder: Path, tmp_path, judged):
    tofu = TOFU(data=tofu_folder)
    tofu.check()
    tofu.check(retrained=judged.save(tmp_path / "retrained.json"))
    with pytest.raises(UsageError, match="must be a file"):
        tofu.check(retrained=tmp_path)
    with pytest.raises(UsageError, match="it was on TOFU forget05"):
        tofu.check(retrained=Judgement("TOFU forget05", {}))
    with pytest.raises(UsageError, match="must hold the rows of 'forget: R, geometric'"):
        tofu.check(retrained=Judgement("TOFU forget01", {}), mean="geometric")
    next(tofu_folder.glob("world_facts_perturbed.*")).unlink()
    with pytest.raises(UsageError, match="must hold world_facts_perturbed"):
        TOFU(data=tofu_folder).check()
