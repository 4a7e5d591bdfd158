"""A folder with a page belongs to one command with its settings; an interruption takes nothing."""

import signal

import pytest
import torch
from cli_files import listing, written

from limen import report, unlearn

VERBS = {"effects": {}, "attack": {"attack": "Quantisation(bits=8)"}, "judge": {}}


def contents(folder):
    return {path: path.read_bytes() for path in listing(folder) if path.is_file()}


@pytest.fixture
def paged(limen, given, tmp_path):
    """Writes the page of a verb into `out`."""

    def write(verb, **changes):
        return limen("unlearn", verb, *given.options(**VERBS[verb], **changes, into="out"))

    return write


@pytest.mark.parametrize(("first", "then"), [("effects", "attack"), ("attack", "judge"),
                                             ("judge", "effects")])  # fmt: skip
def test_the_page_of_another_command_is_left_alone(paged, tmp_path, first, then):
    assert paged(first).code == 0
    before = contents(tmp_path)
    ended = paged(then)
    assert (ended.code, ended.out, contents(tmp_path)) == (2, "", before)
    said = f'kind was "unlearn {first}" there and is "unlearn {then}" now'
    assert f"--into out belongs to another configuration: {said}" in ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_with_other_settings_is_left_alone_and_the_same_written_again(paged, tmp_path, verb):
    assert paged(verb).code == paged(verb, batch=3).code == 0
    before = contents(tmp_path)
    ended = paged(verb, dtype="float64")
    assert (ended.code, ended.out, contents(tmp_path)) == (2, "", before)
    assert 'dtype was "float32" there and is "float64" now' in ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_with_other_files_is_left_alone(paged, tmp_path, verb):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/report.html").write_text("mine")
    ended = paged(verb)
    assert ended.code == 2
    assert "--into out must be empty or a limen run; it holds other files" in ended.err
    assert (tmp_path / "out/report.html").read_text() == "mine"


def test_a_run_does_not_begin_where_a_page_lies(limen, given, paged):
    assert paged("effects").code == 0
    ended = limen("unlearn", "train", *given.options(into="out", steps=1))
    assert ended.code == 2
    assert 'kind was "unlearn effects" there' in ended.err


@pytest.mark.parametrize("verb", ["judge", "attack"])
@pytest.mark.parametrize("option", ["model", "before"])
def test_a_folder_without_a_model_is_refused_before_another_is_loaded(
    limen, given, tmp_path, monkeypatch, verb, option
):
    if (verb, option) == ("attack", "before"):
        option = "model"
    monkeypatch.setattr(unlearn, "load_model", None)
    unlearn.load_tokenizer(given.model).save_pretrained(tmp_path / "bare")
    ended = limen("unlearn", verb, *given.options(), f"--{option}", "bare")
    assert ended.code == 2
    assert f"--{option} bare must hold a model; its config.json is not there" in ended.err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_attack_ends_with_130_and_leaves_the_earlier_page(
    limen, given, tmp_path, monkeypatch, name
):
    monkeypatch.setitem(VERBS, "attack", {"attack": "Relearning(steps=3)"})
    options = given.options(**VERBS["attack"], into="out")
    usual_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        assert limen("unlearn", "attack", *options).code == 0
        before = contents(tmp_path)
        taken, usual = [], torch.optim.AdamW.step

        def signal_and_step(self, *args, **kwargs):
            taken.append(self)
            if len(taken) == 2:
                signal.raise_signal(getattr(signal, name))
            return usual(self, *args, **kwargs)

        monkeypatch.setattr(torch.optim.AdamW, "step", signal_and_step)
        ended = limen("unlearn", "attack", *options)
    finally:
        signal.signal(signal.SIGTERM, usual_handler)
    assert (ended.code, ended.out, contents(tmp_path)) == (130, "", before)
    assert ended.err.splitlines()[-1] == "limen: interrupted"
    assert len(taken) == 2


def test_rows_that_changed_under_the_same_name_make_a_new_page(limen, given, tmp_path):
    mine = written(tmp_path / "mine.jsonl", [{"prompt": "the sea is", "response": " wide"}])
    command = ["unlearn", "effects", *given.options(forget=mine, into="out")]
    assert limen(*command).code == 0
    written(mine, [{"prompt": "the sea is", "response": " deep and blue"}])
    assert limen(*command).code == 0
    (marked,) = [
        record
        for record in report.read(tmp_path / "out/report.html")["records"]
        if record["kind"] == "marked"
    ]
    assert "".join(marked["texts"][0]) == " deep and blue"


def test_a_page_of_another_resolution_is_another_page(paged):
    assert paged("effects").code == 0
    ended = paged("effects", by="token")
    assert ended.code == 2
    assert 'by was "layer" there and is "token" now' in ended.err


def test_a_specification_that_is_none_is_refused(paged, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "spec.json").write_text("[]")
    ended = paged("judge")
    assert ended.code == 2
    assert "must not be a run's folder" in ended.err
