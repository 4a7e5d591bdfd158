"""`limen unlearn forget` and `train`: guards, early stops, and errors in the command's words."""

import json
from dataclasses import fields

import numpy as np
import pytest
import typer
from cli_files import written

from limen import report, unlearn
from limen._core.errors import WorkError
from limen.cli.app import _options, app
from limen.cli.named import in_options, named
from limen.unlearn.objectives import NPO, Temperature
from limen.unlearn.toy import toy_model, toy_tokenizer
from limen.unlearn.training import Training

RUN = {"steps": 6, "lr": 3e-3}
OBJECTIVES = "limen.unlearn.objectives"


@pytest.fixture
def sets(given, tmp_path):
    """Words that name two further sets to keep."""
    rows = [json.loads(line) for line in given.retain.read_text().splitlines()]
    files = {
        name: written(tmp_path / f"{name}.jsonl", rows[i:]) for i, name in ((1, "sea"), (2, "sky"))
    }
    return [word for name, file in files.items() for word in ("--guard", f"{name}={file}")]


@pytest.mark.parametrize("verb", ["train", "forget"])
def test_every_guard_is_named_and_scored_at_every_moment(limen, given, tmp_path, sets, verb):
    told = limen("unlearn", verb, *given.options(into="out", **RUN), *sets, "--json").data
    spec = json.loads((tmp_path / "out/spec.json").read_text())
    page = report.read(tmp_path / "out/report.html")
    assert "guard=('retain', 'sea', 'sky')" in spec["combine"]
    assert "to keep as sea" in page["subtitle"]
    (facts,) = (r["items"] for r in page["records"] if r["kind"] == "facts")
    assert facts["combine"] == spec["combine"]
    (table,) = (r for r in page["records"] if r.get("title") == "What the guards kept")
    moments = ["before", "after", *(["calibrated"] if verb == "forget" else [])]
    assert table["columns"] == ["guard", *moments]
    model = tmp_path / "out" / "model"
    for name, *cells in table["rows"]:
        assert [cell["value"] for cell in cells] == [
            pytest.approx(told[f"{name} extraction strength {when}"]) for when in moments
        ]
        now = unlearn.extraction_strength(
            unlearn.load_model(model), unlearn.load_tokenizer(model), f"{name}.jsonl"
        )
        assert cells[-1]["value"] == pytest.approx(now.mean())


def test_without_guards_nothing_is_said_of_them(limen, given, tmp_path):
    limen("unlearn", "train", *given.options(into="out", steps=1))
    assert "What the guards kept" not in json.dumps(report.read(tmp_path / "out/report.html"))


def test_the_page_of_train_says_what_was_forgotten_and_what_it_cost(limen, given, tmp_path):
    told = limen("unlearn", "train", *given.options(into="out", **RUN), "--json").data
    answer = report.read(tmp_path / "out/report.html")["answer"]
    forget, retain = (told[f"{side} extraction strength after"] for side in ("forget", "retain"))
    assert f"from 1.00 to {forget:.2f} on the rows to forget" in answer
    assert f"from 1.00 to {retain:.2f} on those to keep" in answer


def test_the_page_of_train_says_where_nothing_was_to_be_kept(limen, given, tmp_path):
    options = given.options(into="out", retain=None, steps=1)
    assert limen("unlearn", "train", *options, "--no-rectify").code == 0
    assert "there were no rows to keep" in report.read(tmp_path / "out/report.html")["answer"]


@pytest.mark.parametrize("verb", ["train", "forget"])
def test_an_early_stop_tells_when_and_why_everywhere(limen, given, tmp_path, verb):
    chosen = {"objective": "GA", "stop_forget": 0.5, "check_every": 2, "steps": 40, "lr": 3e-3}
    ended = limen("unlearn", verb, *given.options(into="out", **chosen), "--json")
    taken, reason = ended.data["steps taken"], ended.data["stopped early"]
    assert taken < 40
    assert taken % 2 == 0
    assert reason.startswith(f"step {taken}: the forget rows' extraction strength is ")
    assert f"stopped early, at step {taken} of 40: the forget rows'" in ended.err
    page = report.read(tmp_path / "out/report.html")
    (looks,) = (r for r in page["records"] if r.get("title") == "Extraction strength on the way")
    assert reason in looks["caption"]
    assert looks["steps"] == list(range(0, taken + 1, 2))
    assert looks["series"]["forget"][-1] <= 0.5 < looks["series"]["forget"][-2]
    assert len((tmp_path / "out/log.jsonl").read_text().splitlines()) == taken


def test_a_run_that_is_not_stopped_says_so(limen, given):
    chosen = {"stop_retain": 0, "check_every": 1, "steps": 2}
    options = given.options(into="out", **chosen)
    ended = limen("unlearn", "train", *options)
    assert "steps taken: 2\nstopped early: no\n" in ended.out
    assert "stopped early, at" not in ended.err


def test_a_short_run_is_looked_at_once_where_nothing_else_is_said(limen, given, tmp_path):
    options = given.options(into="out", stop_retain=0, steps=2)
    assert limen("unlearn", "train", *options).code == 0
    assert json.loads((tmp_path / "out/spec.json").read_text())["check every"] == 2


def test_a_single_row_to_steer_by_is_refused_before_a_model_is_loaded(
    limen, given, tmp_path, monkeypatch
):
    monkeypatch.setattr(unlearn, "load_model", None)
    first = tmp_path / "first.jsonl"
    first.write_text(given.forget.read_text().splitlines(keepends=True)[0])
    options = given.options(forget=first, into="out", steer="drop")
    ended = limen("unlearn", "train", *options)
    assert ended.code == 2
    assert "--steer 'drop' needs two rows to forget" in ended.err


@pytest.mark.parametrize(("harm", "said"), [(1.0, "1 of 3 rows dropped"), (-1.0, "0 of 3 rows")])
def test_a_share_that_rounds_to_nothing_still_steers_what_does_harm(
    limen, given, monkeypatch, harm, said
):
    effects = (np.full(3, -1.0), np.array([-harm, 0.0, 0.0]))
    monkeypatch.setattr("limen.unlearn.steer.pg_effects", lambda *_, **__: effects)
    options = given.options(into="out", steer="drop", steer_share=0.01, steps=1)
    ended = limen("unlearn", "train", *options)
    assert said in ended.err
    assert ("; nothing does harm" in ended.err) == (harm < 0)


@pytest.mark.parametrize("bound", ["0", "-1", "nan", "inf"])
def test_a_bound_that_can_never_be_held_is_refused(limen, given, tmp_path, bound):
    options = given.options(into="out", bound=bound)
    ended = limen("unlearn", "train", *options, "--no-rectify")
    assert ended.code == 2
    assert f"--bound {float(bound)} must be finite and above 0" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bound", 1, "--no-rectify"], "--retain is needed for --bound"),
        (["--steer", "drop", "--no-rectify"], "--retain is needed for --steer"),
        (["--stop-forget", 0.1, "--no-rectify"], "--retain is needed for --stop-forget and"),
        (["--no-rectify", "--no-merge"], "--no-merge leaves the adapter of --lora alone"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(map(str, value)),
)
def test_what_lacks_its_counterpart_is_refused(limen, given, words, said):
    ended = limen("unlearn", "train", *given.options(into="out", retain=None), *words)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert said in ended.err


def test_guards_without_anything_that_heeds_them_are_refused(limen, given, sets):
    ended = limen("unlearn", "train", *given.options(into="out"), *sets, "--no-rectify")
    assert ended.code == 2
    assert "--guard sea,sky: further sets to keep go with rectify or a bound" in ended.err


def test_a_guard_given_twice_is_refused(limen, given, sets):
    ended = limen("unlearn", "train", *given.options(into="out"), *sets, *sets)
    assert ended.code == 2
    assert "must have a name of its own; 'sea' is taken" in ended.err


def test_a_guard_that_the_model_cannot_take_is_named(limen, given, tmp_path):
    tokenizer = toy_tokenizer([" ".join(f"green{n}" for n in range(400))] * 4, vocabulary=900)
    small = toy_model(tokenizer, width=32, layers=1)
    small.resize_token_embeddings(270)
    unlearn.save_model(small, tokenizer, tmp_path / "small")
    for name, word in (("a", "a"), ("b", "b"), ("c", "green399")):
        written(tmp_path / f"{name}.jsonl", [{"prompt": word, "response": word}])
    options = given.options(model="small", forget="a.jsonl", retain="b.jsonl", into="out")
    ended = limen("unlearn", "train", *options, "--guard", "sea=c.jsonl")
    assert ended.code == 2
    assert "--guard sea: row 1" in ended.err


def test_rows_of_a_hub_that_is_away_may_lie_in_a_folder(limen, given, monkeypatch):
    def away(*_, **__):
        raise WorkError("no-one/rows could not be loaded as a data set")

    monkeypatch.setattr(unlearn, "read_rows", away)
    ended = limen("unlearn", "train", *given.options(forget="no-one/rows", into="out"))
    assert ended.code == 1
    assert "could not be loaded as a data set; a file or folder here needs no network" in ended.err


@pytest.mark.parametrize(
    "text",
    [
        "Temperature(NPO(beta=0.1), temperature=2)",
        "Temperature(NPO(0.1), 2)",
        "temperature(objective=npo(0.1), temperature=2)",
    ],
)
def test_settings_may_be_given_by_place_as_in_python(text):
    wanted = Temperature(NPO(beta=0.1), temperature=2)
    assert named(text, OBJECTIVES, option="--objective") == wanted


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("lr=0.0 must lie between 0 and 1", "--lr 0.0 must lie between 0 and 1"),
        ("set rectify=False and retain=None", "set --no-rectify and no --retain-loss"),
        ("take rectify=True", "take --rectify"),
        ("Rectify(on='update', lr=1) and lr=1", "Rectify(on='update', lr=1) and --lr 1"),
        ("into=a/lr=3 holds lr-lr=2", "--into a/lr=3 holds lr-lr=2"),
        ("beta=1 stays", "beta=1 stays"),
        ("--objective 'NPO': lr=1 is its own", "--objective 'NPO': lr=1 is its own"),
    ],
)
def test_a_sentence_about_arguments_is_told_in_options(sentence, told):
    known = _options(typer.main.get_command(app), ["unlearn", "train"])
    assert in_options(sentence, known) == told


@pytest.mark.parametrize("verb", ["train", "forget"])
def test_every_setting_of_a_training_has_an_option(verb):
    known = _options(typer.main.get_command(app), ["unlearn", verb])
    assert {field.name for field in fields(Training)} <= known.keys()
    assert known["retain"][0] == "--retain-loss"


@pytest.mark.parametrize("typed", ["batch=8.jsonl", "runs/dir batch=8"])
def test_what_the_user_typed_is_left_as_it_is(typed):
    said = in_options(f"{typed} must fit batch=3", {"batch": ("--batch", "")}, typed=[typed])
    assert said == f"{typed} must fit --batch 3"


def test_blank_targets_are_refused(limen, given, tmp_path):
    ended = limen("unlearn", "train", *given.options(into="out", lora=2), "--lora-targets", " ")
    assert ended.code == 2
    assert "--lora-targets ' ' must name layers" in ended.err
    assert not (tmp_path / "out").exists()


def test_an_adapter_alone_and_a_whole_model_are_two_runs(limen, given):
    options = given.options(into="out", lora=2, steps=1)
    assert limen("unlearn", "train", *options, "--no-merge").code == 0
    assert limen("unlearn", "train", *options, "--no-merge").code == 0
    ended = limen("unlearn", "train", *options)
    assert ended.code == 2
    assert "merge was false there" in ended.err
