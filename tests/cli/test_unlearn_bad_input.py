"""Bad input: one clear sentence, exit code 2, nothing written."""

import fcntl
import json
import re
import shutil

import datasets
import huggingface_hub
import pytest
import tokenizers
import torch
import transformers
from cli_files import listing, written
from safetensors.torch import load_file, save_file

from limen import unlearn
from limen.unlearn.toy import toy_tokenizer

ROW = {"prompt": "the colour of grass is", "response": " green"}


def refused(limen, folder, *arguments, code=2):
    """The one sentence with which a command is refused; nothing may have been written."""
    before = listing(folder)
    ended = limen(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert listing(folder) == before
    (sentence,) = ended.err.splitlines()
    assert sentence.startswith("limen: ")
    return sentence


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, r"rows.jsonl must be a file or folder here.*: no such file"),
        ([ROW, {"prompt": "why"}], r"rows.jsonl:2: a row needs a response"),
        ([ROW, {**ROW, "response": "  "}], r"rows.jsonl:2: a row needs a response"),
        ([ROW, {**ROW, "response": 5}], r"rows.jsonl:2: response must be text, got 5"),
        ([ROW, "green"], r"rows.jsonl:2: a row must have named columns"),
        ([], r"rows.jsonl must hold at least one row; it is empty"),
    ],
    ids=["no file", "no response", "blank response", "a number", "no columns", "empty"],
)
@pytest.mark.parametrize("side", ["forget", "retain"])
def test_rows_that_cannot_be_read(limen, given, tmp_path, side, rows, said):
    if rows is not None:
        written(tmp_path / "rows.jsonl", rows)
    options = given.options(**{side: "rows.jsonl"}, into="out")
    assert re.search(said, refused(limen, tmp_path, "unlearn", "forget", *options))


def test_a_broken_line_is_named(limen, given, tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n{broken\n")
    options = given.options(forget="rows.jsonl", into="out")
    assert "rows.jsonl:2: not JSON" in refused(limen, tmp_path, "unlearn", "forget", *options)


def test_a_file_of_another_kind(limen, given, tmp_path):
    (tmp_path / "rows.txt").write_text("green")
    options = given.options(forget="rows.txt", into="out")
    assert ".jsonl, .json or .csv" in refused(limen, tmp_path, "unlearn", "forget", *options)


@pytest.mark.parametrize("verb", ["forget", "train"])
def test_rows_in_both_sets_are_counted(limen, given, tmp_path, verb):
    both = tmp_path / "both.jsonl"
    first_two = given.forget.read_text().splitlines(keepends=True)[:2]
    both.write_text(given.retain.read_text() + "".join(first_two))
    options = given.options(retain="both.jsonl", into="out")
    sentence = refused(limen, tmp_path, "unlearn", verb, *options)
    assert "2 stand in both" in sentence
    assert "the first at forget.jsonl:1" in sentence
    assert "--allow-overlap" in sentence


def test_a_text_longer_than_the_context(limen, given, tmp_path):
    written(tmp_path / "rows.jsonl", [ROW, {"prompt": "a", "response": " green" * 300}])
    options = given.options(forget="rows.jsonl", into="out")
    sentence = refused(limen, tmp_path, "unlearn", "forget", *options)
    assert "--forget: row 2 must fit the model's context of 256 tokens and has 301" in sentence


def no_model(folder):
    shutil.rmtree(folder)


def no_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def no_weights(folder):
    (folder / "model.safetensors").unlink()


def pickled(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    no_weights(folder)


def cut_short(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:999])


def not_all_weights(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def other_shapes(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))


def broken_configuration(folder):
    (folder / "config.json").write_text("{")


def not_causal(folder):
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    config = transformers.BertConfig(vocab_size=340, num_hidden_layers=1, **shape)
    transformers.BertForMaskedLM(config).save_pretrained(folder)


def too_large_a_tokenizer(folder):
    text = " ".join(f"green{n}" for n in range(400))
    toy_tokenizer([text] * 4, vocabulary=900).save_pretrained(folder)


def ignorant_tokenizer(folder):
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "why": 1}, "?"))
    no_tokenizer(folder)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
    fast.save_pretrained(folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_model, "broken must be a folder, a .gguf file or a hub id org/name: nothing there"),
        (no_tokenizer, "broken must hold a tokenizer beside the model; there is none"),
        (no_weights, "broken must hold the model's weights as safetensors; there are none"),
        (pickled, "broken must hold safetensors; its weights are pickled, and pickle check"),
        (cut_short, "broken cannot be loaded: .*header"),
        (not_all_weights, "broken must hold all weights of the model; 1 are missing, model.norm"),
        (other_shapes, "broken must hold weights of the shapes .*; 3 have others, model.layers.0"),
        (broken_configuration, "broken cannot be loaded: .*not a valid JSON file"),
        (not_causal, "broken must be a causal language model; it is a BertForMaskedLM"),
        (
            too_large_a_tokenizer,
            r"--forget: row 1: token \d+ must be one of the model's \d+ tokens",
        ),
        (ignorant_tokenizer, r"row 1 .*the tokenizer must know the response"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_model_that_cannot_be_used(limen, given, tmp_path, spoil, said):
    shutil.copytree(given.model, tmp_path / "broken")
    spoil(tmp_path / "broken")
    written(tmp_path / "rows.jsonl", [{"prompt": "why", "response": " green399"}])
    options = given.options(model="broken", forget="rows.jsonl", into="out")
    assert re.search(said, refused(limen, tmp_path, "unlearn", "forget", *options))


def test_a_model_that_knows_nothing_of_the_rows(limen, given, tmp_path):
    written(tmp_path / "rows.jsonl", [{"prompt": "why", "response": "xyzzy plugh"}])
    options = given.options(forget="rows.jsonl", into="out")
    sentence = refused(limen, tmp_path, "unlearn", "forget", *options)
    assert "the model before must know the forget rows to some degree" in sentence


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keep": 0}, r"--keep 0.0 must lie in \(0, 1\]"),
        ({"keep": 1.5}, r"--keep 1.5 must lie in \(0, 1\]"),
        ({"keep": "nan"}, r"--keep nan must lie in \(0, 1\]"),
        ({"objective": "NOP"}, r"--objective 'NOP' is not known; nearest: NPO, TNPO, WTNPO$"),
        ({"objective": "NPO(alpha=1)"}, r"NPO has no setting 'alpha'; it takes beta"),
        ({"objective": "ga(alpha=1)"}, r"GA has no setting 'alpha'; it takes none"),
        ({"objective": "NPO(beta='a')"}, r"--objective .* beta must be a number, got 'a'"),
        ({"objective": "NPO(beta=-1)"}, r"--objective 'NPO': beta=-1 must be positive"),
        ({"objective": "NPO(0.1, 2)"}, r"'NPO\(0.1, 2\)': NPO has no more settings than beta"),
        ({"objective": "NPO(1, beta=1)"}, r"'NPO\(1, beta=1\)' gives beta twice"),
        ({"objective": "NPO(1/2)"}, r"with settings: 'NPO\(beta=0.1\)', 'Temperature\(NPO\("),
        ({"objective": "print(open('x'))"}, r"--objective 'print' is not known"),
        ({"objective": "GradDiff"}, r"it is --objective GA with --retain-loss NLL and --no-rec"),
        ({"objective": "GRU"}, r"it is --rectify, which goes with any"),
        ({"retain_loss": "NL"}, r"--retain-loss 'NL' is not known; nearest: NLL, KL, RR$"),
        ({"retain_loss": "KL(mask='some')"}, r"mask='some' must be one of answer, attended, all"),
        ({"retain_loss": "KL"}, r"KL\(\) cannot be the guard of a rectified run"),
        ({"device": "gpu"}, r"--device 'gpu' must be one of cpu, cuda, mps, xpu"),
        ({"device": "xpu:99"}, r"--device 'xpu:99' must be a device that is here: "),
        ({"dtype": "int8"}, r"--dtype 'int8' must be one of float32, bfloat16, float64"),
        ({"precision": "fp16"}, r"--precision 'fp16' must be 'no' or 'bf16'"),
        ({"on": "step"}, r"--on 'step' must be 'gradient' or 'update'"),
        ({"ema": 0}, r"--ema 0.0 must lie in \(0, 1\]"),
        ({"lr": 0}, r"--lr 0.0 must lie between 0 and 1"),
        ({"lr": "nan"}, r"--lr nan must lie between 0 and 1"),
        ({"retain_loss": "NLL", "weight": "inf"}, r"--weight inf must be finite"),
        ({"weight": 2}, r"--weight is the factor of a retain loss"),
        ({"weight_decay": 2}, r"--weight-decay 2.0 must lie between 0 and 1"),
        ({"retain": None}, r"--retain is needed to know what was kept"),
        ({"lora_targets": "q_proj"}, r"--lora-targets says where the adapters of --lora go"),
        (
            {"refusals": "none.txt"},
            r"--refusals is for objectives that .*; WGA\(alpha=1.0\) does not",
        ),
        (
            {"refusals": "none.txt", "objective": "PO"},
            r"--refusals none.txt must be a text file here: no such file or directory$",
        ),
        (
            {"bound": 0.5},
            r"--bound 0.5 takes the place of .*; set --no-rectify and no --retain-loss",
        ),
        ({"steer": "burn"}, r"--steer 'burn' must be one of drop, weigh, freeze"),
        ({"steer": "drop", "steer_share": 2}, r"--steer-share 2.0 must lie between 0 and 1"),
        ({"check_every": 2}, r"--check-every is a setting of --stop-forget and --stop-retain"),
        (
            {"check_every": 90, "stop_forget": 0.1},
            r"--check-every 90 must be at most --steps 60; nobody would look",
        ),
        ({"guard": "retain=retain.jsonl"}, r"--guard .* must have a name of its own; 'retain'"),
        ({"forget": "locuslab/TOFU:forget99"}, r"are forget01, forget05, forget10$"),
        ({"template": "chatty"}, r"--template 'chatty' must be one of chat, "),
        ({"template": "chat"}, r"--template 'chat' needs a tokenizer with a chat template"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_an_option_out_of_range_is_refused_before_a_model_is_loaded(
    limen, given, tmp_path, monkeypatch, changes, said
):
    monkeypatch.setattr(unlearn, "load_model", None)
    command = ["unlearn", "forget", *given.options(**changes, into="out")]
    assert re.search(said, refused(limen, tmp_path, *command))


@pytest.mark.parametrize(
    "words", [[], ["--no-rectify", "--retain-loss", "KL"]], ids=["guard", "retain loss"]
)
def test_training_without_rows_to_keep_where_they_are_needed(limen, given, tmp_path, words):
    options = given.options(retain=None, into="out")
    sentence = refused(limen, tmp_path, "unlearn", "train", *options, *words)
    assert "--retain is needed as a guard" in sentence
    assert "--no-rectify" in sentence


def test_settings_of_a_switched_off_surgery(limen, given, tmp_path):
    options = given.options(into="out", ema=0.5)
    sentence = refused(limen, tmp_path, "unlearn", "train", *options, "--no-rectify")
    assert "--on, --ema and --by are settings of --rectify" in sentence


def test_train_has_nothing_to_keep_a_share_of(limen, given, tmp_path):
    options = given.options(into="out", keep=0.9)
    sentence = refused(limen, tmp_path, "unlearn", "train", *options)
    assert "--keep is for 'limen unlearn forget'" in sentence


@pytest.mark.parametrize("verb", ["forget", "train", "calibrate"])
def test_a_folder_that_holds_something_else(limen, given, tmp_path, verb):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    models = {"model": None, "before": given.model, "after": given.model}
    options = given.options(into="out", **(models if verb == "calibrate" else {}))
    sentence = refused(limen, tmp_path, "unlearn", verb, *options)
    assert "--into out must be empty or a limen run; it holds other files" in sentence


@pytest.mark.parametrize("into", ["file", "file/out"])
def test_a_folder_that_cannot_be_made(limen, given, tmp_path, into):
    (tmp_path / "file").write_text("")
    options = given.options(into=into)
    assert f"--into {into} must be a folder" in refused(
        limen, tmp_path, "unlearn", "train", *options
    )


@pytest.fixture
def begun(limen, given, tmp_path):
    """A run folder of `limen unlearn train --steps 1`."""
    assert limen("unlearn", "train", *given.options(into="out", steps=1)).code == 0
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("verb", "changes", "key"),
    [
        ("train", {"steps": 2}, "steps was 1 there and is 2 now"),
        ("train", {"steps": 1, "seed": 7}, "seed was 0 there and is 7 now"),
        ("train", {"steps": 1, "objective": "GA"}, 'objective was "WGA(alpha=1.0)" there and is'),
        ("train", {"steps": 1, "dtype": "float64"}, "model weights was"),
        ("train", {"steps": 1, "forget": "other.jsonl"}, "rows was"),
        ("forget", {"steps": 1}, 'kind was "unlearn train" there and is "unlearn forget" now'),
    ],
    ids=["steps", "seed", "objective", "dtype", "rows", "command"],
)
@pytest.mark.usefixtures("begun")
def test_a_run_of_another_configuration_is_left_alone(limen, given, tmp_path, verb, changes, key):
    written(tmp_path / "other.jsonl", [ROW])
    options = given.options(**changes, into="out")
    sentence = refused(limen, tmp_path, "unlearn", verb, *options)
    assert f"--into out belongs to another configuration: {key}" in sentence


def test_a_run_that_another_process_uses_is_left_alone(limen, given, tmp_path, begun):
    (begun / "result.json").unlink()
    with (begun / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another open file: another user, as far as locks go
        options = given.options(into="out", steps=1)
        sentence = refused(limen, tmp_path, "unlearn", "train", *options)
    assert "--into out is in use by another run; wait or name another" in sentence


def test_the_page_of_a_run_is_not_replaced_by_a_judgement(limen, given, tmp_path, begun):
    page = (begun / "report.html").read_bytes()
    sentence = refused(limen, tmp_path, "unlearn", "judge", *given.options(into="out"))
    assert "--into out must not be a run's folder" in sentence
    assert (begun / "report.html").read_bytes() == page


def test_all_models_to_judge_are_looked_for_before_one_is_judged(
    limen, given, tmp_path, monkeypatch
):
    monkeypatch.setattr(unlearn, "load_model", None)
    models = ["--model", given.model, "--model", "nowhere"]
    command = ["unlearn", "judge", *models, *given.options(model=None)]
    assert "nowhere must be a folder" in refused(limen, tmp_path, *command)


def test_models_that_do_not_belong_together_are_not_mixed(limen, given, tmp_path):
    shutil.copytree(given.model, tmp_path / "before")
    not_causal(tmp_path / "before")
    options = given.options(model=None, before="before", after=given.model, into="out")
    sentence = refused(limen, tmp_path, "unlearn", "calibrate", *options)
    assert "before must be a causal language model" in sentence


@pytest.mark.parametrize("option", ["model", "forget"])
def test_a_hub_that_cannot_be_reached_is_failed_work(limen, given, tmp_path, monkeypatch, option):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    command = ["unlearn", "train", *given.options(**{option: "no-one/nothing"}, into="out")]
    assert "no-one/nothing" in refused(limen, tmp_path, *command, code=1)
