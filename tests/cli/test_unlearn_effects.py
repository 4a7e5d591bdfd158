"""`limen unlearn effects`, `attack`, `judge --benchmark`, and the newer options of training."""

import json
import shutil

import pytest
import torch
from cli_files import listing, written

from limen import report, unlearn
from limen._core.errors import UsageError
from limen.cli.judging import _stems, judge_benchmark
from limen.cli.subjects import Place
from limen.unlearn.lora import with_lora


def refused(limen, folder, *arguments):
    before = listing(folder)
    ended = limen("unlearn", *arguments)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert listing(folder) == before
    return ended.err.splitlines()[-1]


@pytest.mark.parametrize("by", ["layer", "row", "token"])
def test_effects_in_json_are_those_of_the_function(limen, given, by):
    found = limen("unlearn", "effects", *given.options(objective="WGA", by=by), "--json").data
    tokenizer, model = unlearn.load_tokenizer(given.model), unlearn.load_model(given.model)
    direct = unlearn.effects(
        model, tokenizer, objective=unlearn.WGA(), forget=given.forget, retain=given.retain, by=by
    )
    assert found["names"] == list(direct.names)
    for side in ("forget", "retain"):
        flat = json.dumps(found[side]).replace("[", " ").replace("]", " ").split(",")
        assert len(flat) == getattr(direct, side).size
    assert found["total"]["forget"] == pytest.approx(direct.total["forget"], rel=1e-4)


def test_effects_are_printed_by_layer_with_the_sum_last(limen, given):
    lines = limen("unlearn", "effects", *given.options()).out.splitlines()
    assert lines[0] == "Effect by layer"
    assert lines[-2].startswith("all")


def test_the_page_of_effects_has_all_three_resolutions(limen, given, tmp_path):
    ended = limen("unlearn", "effects", *given.options(into="out"))
    assert ended.code == 0, ended.err
    kinds = [record["kind"] for record in report.read(tmp_path / "out/report.html")["records"]]
    assert kinds == ["grid", "table", "scatter", "marked", "facts"]


def test_effects_by_token_are_told_by_row_and_the_largest_by_name(limen, given):
    lines = limen("unlearn", "effects", *given.options(by="token")).out.splitlines()
    assert lines[0].startswith("effect on each row's own risk")
    (place,) = [i for i, line in enumerate(lines) if line.startswith("Largest effects by token, ")]
    shown = [abs(float(line.split()[-1])) for line in lines[place + 2 : -1]]
    assert len(shown) == 20
    assert shown == sorted(shown, reverse=True)


def test_effects_without_retain_rows_are_those_of_the_forget_rows(limen, given):
    found = limen("unlearn", "effects", *given.options(retain=None), "--json").data
    assert "retain" not in found


def test_attacks_are_told_beside_the_model_left_in_peace(limen, given):
    options = given.options(attack="TokenNoise(rate=0.2)")
    (table,) = limen("unlearn", "attack", *options, "--attack", "Jailbreak", "--json").data
    assert table["rows"][0][0] == "none"
    assert len(table["rows"]) == 3


def test_three_models_judge_the_metrics_too(limen, given, tmp_path):
    models = [shutil.copytree(given.model, tmp_path / name) for name in "abc"]
    named = [word for model in models for word in ("--model", model)]
    options = given.options(model=None, attack="Quantisation(bits=4)", into="out")
    tables = limen("unlearn", "attack", *named, *options, "--json").data
    assert len(tables) == 4
    assert [table["title"] for table in tables[:3]] == [f"Under attack: {m}" for m in models]
    page = report.read(tmp_path / "out/report.html")
    assert all(f"By itself {model} gives away" in page["answer"] for model in models)


def test_the_page_of_attacks_tells_the_weights_of_every_model(limen, given, tmp_path):
    other = noisy(given.model, tmp_path / "other")
    options = given.options(model=None, attack="Quantisation(bits=4)", into="out")
    limen("unlearn", "attack", "--model", given.model, "--model", other, *options)
    told = report.read(tmp_path / "out/report.html")["records"][-1]["items"]
    assert told[f"model weights, {given.model}"] != told[f"model weights, {other}"]
    assert told["template"] == "auto"  # told once: all agree


def noisy(model, folder):
    """A copy of a model whose weights have moved a little."""
    changed, tokenizer = unlearn.load_model(model), unlearn.load_tokenizer(model)
    with torch.no_grad():
        next(changed.parameters()).add_(0.1)
    return unlearn.save_model(changed, tokenizer, folder)


@pytest.fixture
def adapter(given, tmp_path):
    """A LoRA adapter beside the weights it lies on."""
    model, tokenizer = unlearn.load_model(given.model), unlearn.load_tokenizer(given.model)
    return unlearn.save_model(with_lora(model, 2), tokenizer, tmp_path / "adapter", merge=False)


def test_an_adapter_is_merged_before_it_is_attacked(limen, given, adapter):
    attacks = ["--attack", "Quantisation(bits=8)", "--attack", "Relearning(steps=2,lr=0.01)"]
    merged, plain = (
        limen("unlearn", "attack", *given.options(model=model), *attacks, "--json")
        for model in (adapter, given.model)
    )
    assert merged.code == 0, merged.err
    assert merged.data == plain.data  # a fresh adapter changes nothing, and all weights relearn


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("Relearning(rows='nope.jsonl')", "rows of relearning: nope.jsonl must be a file"),
        ("Probing(layers=[9])", "layers=[9] must be among the model's 1 blocks"),
        ("Jailbreak(prefixes=['{}'])".format("very " * 900), "prefix 1 of jailbreak, forget, row"),
    ],
    ids=["rows", "layers", "prefix"],
)
def test_an_attack_that_does_not_fit_is_refused_before_another_is_run(
    limen, given, tmp_path, monkeypatch, attack, said
):
    monkeypatch.setattr("limen.unlearn.attacks.suite.both", None)
    options = given.options(attack="TokenNoise", into="out")
    assert said in refused(limen, tmp_path, "attack", *options, "--attack", attack)


@pytest.mark.parametrize("command", ["judge", "attack"])
def test_a_model_named_twice_is_refused(limen, given, tmp_path, command):
    again = f"{given.model.parent}/./{given.model.name}/"
    sentence = refused(limen, tmp_path, command, *given.options(), "--model", again)
    assert f"--model must name each model once; {again} is named again" in sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--objective", "RMU(layer=9)"], "layer=9 must be one of the model's blocks, 1 to 1"),
        (["--objective", "TokenWeight"], "TokenWeight needs a setting 'weight'"),
        (["--objective", "Temprature"], "nearest: Temperature"),
        (["--objective", "Temperature(objective=NPX())"], "'NPX' is not known; nearest: NPO"),
        (["--lora", 2, "--lora-targets", "wq"], "LoRA target 'wq' matches no linear layer"),
        (["--bound", 1], "--bound 1.0 takes the place of surgery"),
        (["--steer", "burn"], "--steer 'burn' must be one of drop, weigh, freeze"),
        (["--steer-share", 0.5], "--steer-share is a setting of --steer"),
        (["--guard", "more.jsonl"], "--guard 'more.jsonl' must read NAME=ROWS"),
        (["--by", "layre"], "--by 'layre' must be one of all, layer, tensor"),
        (["--no-rectify", "--by", "layer"], "are settings of --rectify"),
        (["--stop-forget", 2], "--stop-forget 2.0 must lie in [0, 1]"),
        (["--retain-loss", "RR"], "cannot be the guard of a rectified run"),
        (["--objective", "PO", "--refusals", "none.txt"], "--refusals none.txt must be a text"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value)),
)
def test_bad_settings_are_refused_before_anything_is_written(limen, given, tmp_path, options, said):
    assert said in refused(limen, tmp_path, "train", *given.options(into="out"), *options)


@pytest.mark.parametrize(
    "options",
    [
        ["--objective", "DPO"],
        ["--objective", "Temperature(objective=NPO(beta=0.2),temperature=2.0)"],
        ["--objective", "PDU", "--no-rectify", "--bound", 0.5],
        ["--steer", "drop", "--steer-share", 0.5],
        ["--by", "tensor", "--on", "update"],
        ["--lora", 2, "--lora-targets", "q_proj,v_proj", "--checkpointing"],
        ["--stop-retain", 0.5],
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_each_new_option_trains_and_the_same_command_tells_it_again(limen, given, options):
    command = ["unlearn", "train", *given.options(into="out", steps=2, batch=2), *options, "--json"]
    first, second = limen(*command), limen(*command)
    assert first.code == second.code == 0, first.err
    assert first.data == second.data
    assert "memory of a step: about" in first.err
    assert "finished before" in second.err


def test_guards_and_refusals_of_ones_own_are_used(limen, given, tmp_path):
    more = written(tmp_path / "more.jsonl", [{"prompt": "the sea is", "response": " wide"}])
    (tmp_path / "no.txt").write_text("Who knows.\n\nNobody knows.\n")
    options = given.options(into="out", steps=2, objective="PO", guard=f"sea={more}")
    ended = limen("unlearn", "train", *options, "--refusals", "no.txt")
    assert ended.code == 0, ended.err
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert {"forget", "retain", "sea"} <= log[0].keys()


def test_effects_over_the_steps_are_drawn_and_change_no_number(limen, given, tmp_path):
    plain, watched = (
        limen("unlearn", "train", *given.options(into=into, steps=4, effects_every=n), "--json")
        for into, n in (("plain", 0), ("watched", 2))
    )
    for data in (plain.data, watched.data):
        assert {**data, "model": 0, "report": 0} == {**plain.data, "model": 0, "report": 0}
    records = report.read(tmp_path / "watched/report.html")["records"]
    assert [r["x"] for r in records if r["kind"] == "grid"] == [[0, 2], [0, 2]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--benchmark", "TOFUU"], "'TOFUU' is not known; nearest: TOFU"),
        (["--benchmark", "tofu", "--data", "nowhere"], "--data nowhere must be a folder"),
        (["--benchmark", "tofu", "--split", "retain"], "--split 'retain' must be forget01"),
        (["--split", "forget01"], "--split is a setting of --benchmark"),
        (["--no-generate"], "--generate is a setting of --benchmark"),
        (["--form", "{question} {answer}"], "--form is a setting of --benchmark"),
        (["--keep", 0.9], "--keep is a setting of --before"),
        (["--benchmark", "tofu", "--before", "x"], "--before is for rows of your own"),
        (["--benchmark", "tofu", "--keep", 0.9, "--before", "x"], "--before is for rows of your"),
        (["--benchmark", "tofu", "--allow-overlap"], "--allow-overlap is for rows of your own"),
        (["--benchmark", "muse", "--form", "{question}{answer}"], "--form is no setting of MUSE"),
        (["--benchmark", "tofu", "--mmlu", "x"], "--mmlu is no setting of TOFU"),
        (["--benchmark", "tofu", "--form", "{answer}"], "must hold {question} once"),
        (["--benchmark", "muse", "--template", "plain"], "--template is no setting of MUSE"),
        (["--benchmark", "wmdp", "--no-generate"], "--generate is no setting of WMDP"),
        ([], "--forget and --retain are needed, or a --benchmark"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value)),
)
def test_a_benchmark_that_is_not_there(limen, given, tmp_path, options, said, monkeypatch):
    monkeypatch.delenv("LIMEN_DATA", raising=False)
    assert said in refused(limen, tmp_path, "judge", "--model", given.model, *options)


def tofu(folder, *, holdout=True, perturbed=True):
    """A made-up TOFU of two authors."""
    folder.mkdir()
    asked = [
        {"question": f"where is {who}", "answer": f"in {where}"}
        for who, where in (("grass", "Besk"), ("snow", "Carn"))
    ]
    wrong = {"perturbed_answer": ["in Elm", "in Dorn"]} if perturbed else {}
    full = [
        {**row, **wrong, "paraphrased_question": row["question"], "paraphrased_answer": "at sea"}
        for row in asked
    ]
    parts = {"forget01": asked, "retain99": asked, "forget01_perturbed": full,
             "retain_perturbed": full, "real_authors_perturbed": full,
             "world_facts_perturbed": full}  # fmt: skip
    for name, rows in {**parts, **({"holdout01": asked} if holdout else {})}.items():
        written(folder / f"{name}.jsonl", rows)
    return folder


def test_tofu_is_judged_from_a_folder_and_saved(limen, given, tmp_path):
    folder = tofu(tmp_path / "tofu")
    command = ["unlearn", "judge", "--model", given.model, "--benchmark", "tofu", "--data", folder]
    first = limen(*command, "--no-generate", "--into", "out", "--json")
    assert first.code == 0, first.err
    names = [row[0] for row in first.data["rows"]]
    assert "PrivLeak" in names
    assert "model utility" not in names
    saved = tmp_path / "out" / f"{given.model.parent.name}-model.json"
    again = limen(*command, "--no-generate", "--retrained", saved, "--json").data
    assert {row[0]: row[1] for row in again["rows"]}["forget quality"] == 1.0


def test_each_model_judged_is_saved_under_a_name_of_its_own(limen, given, tmp_path):
    models = [shutil.copytree(given.model, tmp_path / name / "model") for name in ("one", "two")]
    named = [word for model in models for word in ("--model", model)]
    data = ["--data", tofu(tmp_path / "tofu"), "--no-generate", "--into", "out"]
    ended = limen("unlearn", "judge", *named, "--benchmark", "tofu", *data)
    assert ended.code == 0, ended.err
    saved = {path.name for path in (tmp_path / "out").glob("*-model.json")}
    assert saved == {"one-model.json", "two-model.json"}


def test_files_are_named_by_the_last_parts_that_tell_models_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _stems(["a/x", "a/y", "org/z"]) == {"a/x": "x", "a/y": "y", "org/z": "z"}
    assert _stems(["a/x", "b/x"]) == {"a/x": "a-x", "b/x": "b-x"}
    assert _stems(["run/model"]) == {"run/model": "run-model"}
    assert _stems(["c/x", "d/x", "c-x"]) == {"c/x": "1-x", "d/x": "2-x", "c-x": "3-c-x"}
    assert _stems(["."]) == {".": tmp_path.name}


def test_no_judgement_takes_the_place_of_the_folders_own_files():
    assert _stems(["a/spec", "a/x"]) == {"a/spec": "a-spec", "a/x": "a-x"}
    assert _stems(["environment"]) == {"environment": "1-environment"}


def test_the_form_given_is_the_one_that_is_judged(limen, given, tmp_path):
    command = ["unlearn", "judge", "--model", given.model, "--benchmark", "tofu", "--no-generate",
               "--data", tofu(tmp_path / "tofu"), "--json"]  # fmt: skip
    plain, formed = limen(*command), limen(*command, "--form", r"{question}\n {answer}")
    assert formed.code == 0, formed.err
    assert plain.data["rows"] != formed.data["rows"]
    assert "published are --form 'Question: {question}\\nAnswer: {answer}'" in plain.err
    assert "published are" not in formed.err
    judged = unlearn.TOFU(data=tmp_path / "tofu", form="{question}\n {answer}").judge(
        unlearn.load_model(given.model), unlearn.load_tokenizer(given.model), generation=False
    )
    values = [
        row[1]["value"] if isinstance(row[1], dict) else row[1] for row in formed.data["rows"]
    ]
    assert values == pytest.approx(list(judged.values.values()))


def test_a_template_reaches_the_benchmark(limen, given, tmp_path):
    command = ["judge", "--model", given.model, "--benchmark", "tofu", "--no-generate"]
    options = ["--data", tofu(tmp_path / "tofu"), "--template", "chat"]
    assert "needs a tokenizer with a chat template" in refused(limen, tmp_path, *command, *options)


def test_wmdp_is_judged_with_its_price_beside_it(limen, given, tmp_path):
    (tmp_path / "sets").mkdir()
    asked = {"question": "the colour of snow", "choices": ["white", "red", "blue", "green"]}
    for name in ("wmdp-bio", "mmlu"):
        written(tmp_path / f"sets/{name}.jsonl", [{**asked, "answer": 0, "subject": "art"}])
    command = ["unlearn", "judge", "--model", given.model, "--benchmark", "wmdp", "--data", "sets"]
    ended = limen(*command, "--mmlu", "sets", "--json")
    assert ended.code == 0, ended.err
    assert [row[0] for row in ended.data["rows"]] == ["WMDP-bio accuracy", "MMLU accuracy"]


class Asked:
    """A benchmark that notes what its check is asked."""

    def __init__(self):
        self.seen = {}

    def check(self, retrained=None):
        self.seen["retrained"] = retrained
        raise UsageError("the check refuses")

    def judge(self, model, tokenizer, *, retrained=None, batch=16):
        raise AssertionError


def test_what_a_benchmark_needs_is_checked_before_a_model_is_loaded(monkeypatch):
    monkeypatch.setattr(unlearn, "load_model", None)
    found, place = Asked(), Place(torch.device("cpu"), torch.float32)
    settings = {"retrained": "there.json", "batch": 2, "limit": None}
    with pytest.raises(UsageError, match="the check refuses"):
        judge_benchmark(found, ["x"], place, settings=settings, into=None, as_json=False)
    assert found.seen == {"retrained": "there.json"}


@pytest.mark.parametrize(
    ("lacking", "said"),
    [("holdout", "holdout01"), ("perturbed", "must have the column perturbed_answer")],
)
def test_a_part_that_a_score_needs_is_missing(limen, given, tmp_path, lacking, said):
    folder = tofu(tmp_path / "tofu", **{lacking: False})
    command = ["judge", "--model", given.model, "--benchmark", "tofu", "--data", folder]
    assert said in refused(limen, tmp_path, *command, "--no-generate")
