"""`limen shift`: line, hull, select, and what they refuse."""

import signal

import numpy as np
import pytest

from limen._core.streams import numpy_stream
from limen.report import Page, read


@pytest.fixture
def files(tmp_path):
    """Three kinds of rows, and accuracies of twelve models."""
    draw = numpy_stream(0, "shift", "files")
    np.savez(
        tmp_path / "rows.npz",
        low=draw.normal(0, 1, (80, 3)), high=draw.normal(3, 1, (80, 3)),
        beyond=draw.normal(9, 1, (80, 3)), few=draw.normal(size=(2, 3)), narrow=np.zeros((5, 2)),
        broken=np.full((4, 3), np.nan), once=np.diag([np.inf, 1.0]),
        labels=np.arange(80) % 2, losses=draw.random(80),
    )  # fmt: skip
    models = "\n".join(f"m{i},{60 + 2 * i},{40 + 2.5 * i}" for i in range(12))
    (tmp_path / "twice.csv").write_text("model,home,home\na,1,2\n")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    (tmp_path / "models.csv").write_text(f"model,home,away\n{models}\nhalf,70,\n")
    return tmp_path


def test_a_target_beyond_the_sources_is_no_mixture_and_one_of_them_may_be(limen, files):
    ended = limen(
        "shift", "hull", "--source", f"low={files}/rows.npz/low",
        "--source", f"high={files}/rows.npz/high", "--target", f"far={files}/rows.npz/beyond",
        "--target", f"near={files}/rows.npz/low", "--resamples", 40, "--json",
    )  # fmt: skip
    assert ended.data["gaps"]["far"]["p_value"] < 0.05
    assert "3 principal components (effectively 1.4)" in ended.data["tables"][1]["protocol"]
    assert ended.data["gaps"]["far"]["distance"] > 10 * ended.data["gaps"]["near"]["distance"]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("sources", "target", "said"),
    [
        (["low"], "high", "there is one source only"),
        (["low", "high", "low"], "low", "source s2 repeats another"),
        (["low", "high"], "few", "the target has 2 rows for 3 dimensions"),
    ],
)
def test_what_weakens_a_gap_is_a_sentence_and_no_failure(limen, files, sources, target, said):
    given = [f"--source=s{i}={files}/rows.npz/{name}" for i, name in enumerate(sources)]
    ended = limen("shift", "hull", *given, "--target", f"t={files}/rows.npz/{target}",
                  "--resamples", 20)  # fmt: skip
    assert ended.code == 0
    assert ended.err.startswith(f"warning: {said}")
    assert ended.err.count("\n") == 1
    assert f"{said[0].upper()}{said[1:]}" in ended.out
    assert "UserWarning" not in ended.err


def test_the_rows_chosen_are_printed_and_kept(limen, files):
    ended = limen("shift", "select", "--pool", f"{files}/rows.npz/low", "--budget", 6,
                  "--labels", f"{files}/rows.npz/labels", "--quotas", 3,
                  "--into", "chosen")  # fmt: skip
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "row,weight"
    rows = [int(line.split(",")[0]) for line in lines[1:]]
    assert sorted(row % 2 for row in rows) == [0, 0, 0, 1, 1, 1]
    assert (files / "chosen/rows.csv").read_text() == ended.out
    assert (files / "chosen/report.html").is_file()


@pytest.mark.parametrize("rule", ["kcenter", "herding", "loss", "random"])
def test_every_rule_goes_by_its_name(limen, files, rule):
    ended = limen("shift", "select", "--pool", f"{files}/rows.npz/low", "--budget", 0.1,
                  "--by", rule, "--losses", f"{files}/rows.npz/losses", "--json")  # fmt: skip
    assert len(set(ended.data["rows"])) == 8


def test_a_line_tells_the_excess_of_a_model_in_per_cent_or_shares(limen, files):
    found = [
        limen("shift", "line", "--table", files / "models.csv", "--common", "home",
              "--counter", "away", "--model", f"mine={pair}", "--json").data
        for pair in ("70,60", "0.7,0.6")
    ]  # fmt: skip
    assert found[0] == found[1]
    rows = {row[0]: row for row in found[0]["table"]["rows"]}
    assert rows["mine (yours)"][3]["value"] > 5
    assert len(rows) == 13  # twelve models, and mine; the one without a number is left out


def test_without_a_table_a_model_stands_beside_the_published_ones(limen):
    ended = limen("shift", "line", "--model", "mine=80,70", "--json")
    assert ended.data["mine"]["over ImageNet"] == pytest.approx(0.0446, abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["select", "--pool", "{}/rows.npz/low", "--budget", 81], "above the pool's 80 rows"),
        (["select", "--pool", "{}/rows.npz/low", "--budget", 1.5], "--budget 1.5 must be"),
        (["select", "--pool", "{}/rows.npz/low", "--budget", 5, "--by", "kcentre"], "kcenter"),
        (["select", "--pool", "{}/rows.npz", "--budget", 5], "name one"),
        (["select", "--pool", "{}/none.npz", "--budget", 5], "there is no such file"),
        (["select", "--pool", "{}/rows.npz/broken", "--budget", 2], "4 rows do not"),
        (["hull", "--source", "a={}/rows.npz/low", "--target", "b={}/rows.npz/narrow"],
         "must have 3 features"),
        (["hull", "--source", "a={}/rows.npz/low", "--target", "a={}/rows.npz/high"],
         "another name"),
        (["hull", "--source", "{}/rows.npz/low", "--target", "b={}/rows.npz/high"], "NAME=PATH"),
        (["line"], "--table or --model must be given"),
        (["line", "--model", "mine=eighty,66"], "NAME=HOME,SHIFT"),
        (["line", "--model", "mine=800,66"], "as shares or in per cent"),
        (["line", "--table", "{}/models.csv"], "nearest"),
        (["line", "--table", "{}/models.csv", "--common", "model", "--counter", "away"],
         "must hold numbers"),
        (["line", "--table", "{}/models.csv", "--common", "home", "--counter", "away",
          "--exclude", "m13"], "got 'm13'; nearest"),
        (["line", "--model", "mine=100,66"], "take --transform linear"),
        (["line", "--table", "{}/rows.npz"], "must be a .csv, .tsv or .jsonl"),
        (["line", "--table", "{}/twice.csv"], "must name each column once; 'home' stands twice"),
        (["select", "--pool", "{}/ragged.csv", "--budget", 1], "ragged.csv must have 2 cells"),
        (["select", "--pool", "{}/rows.npz/once", "--budget", 2], "1 row does not: drop it"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence_and_nothing_is_written(limen, files, asked, sentence):
    before = sorted(path.name for path in files.iterdir())
    said = [str(one).replace("{}", str(files)) for one in asked]
    ended = limen("shift", *said, "--into", "new")
    assert ended.code == 2
    assert sentence in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert sorted(path.name for path in files.iterdir()) == before


@pytest.fixture
def photos(tmp_path):
    """Two classes, four photos each, and embeddings in which one class leans on its background."""
    image = pytest.importorskip("PIL.Image")
    names = []
    for place, name in enumerate(("0 hen", "1 cock")):
        for group in ("common-farm", "counter-snow"):
            for number in range(2):
                file = tmp_path / "photos" / name / group / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                image.new("RGB", (8, 8), (40 * place, 9 * number, 0)).save(file)
                names.append(str(file.relative_to(tmp_path / "photos")))
    seen = np.array([[0, 0, 1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0, 0, 0]])  # cock always known
    rows = np.stack([1.0 - seen[0], seen[0]], axis=1)
    np.savez(tmp_path / "saved.npz", images=rows, texts=np.eye(2), names=np.array(names))
    np.savez(tmp_path / "good.npz", images=np.repeat(np.eye(2), 4, axis=0), texts=np.eye(2),
             names=np.array(names))  # fmt: skip
    kept = {"texts": np.eye(2), "names": np.array(names)}
    np.savez(tmp_path / "flat.npz", images=np.zeros((8, 2)), **kept)
    np.savez(tmp_path / "endless.npz", images=np.full((8, 2), np.inf), **kept)
    np.savez(tmp_path / "uneven.npz", images=np.ones((8, 3)), **kept)
    (tmp_path / "one.txt").write_text("hen\n")
    (tmp_path / "three.txt").write_text("hen\ncock\nfox\n")
    return tmp_path


def test_a_model_that_leans_on_a_background_drops(limen, photos):
    ended = limen("shift", "counter", photos / "photos", "--model", photos / "saved.npz",
                  "--into", "page", "--json")  # fmt: skip
    assert ended.code == 0
    assert ended.data[0]["right"] == [[2, 0], [2, 2]]
    assert (photos / "page/report.html").read_text().count("data:image/png") >= 4
    shown = Page.from_dict(read(photos / "page/report.html"))
    lost = shown.records[0]
    assert (lost.title, lost.beside) == ("What each class loses", True)
    bars, gallery = lost.records
    assert bars.names == ["hen", "cock"]  # the one that falls most stands on top
    assert [one.value for one in bars.series["saved"]] == [100.0, 0.0]
    assert [one.caption for one in gallery.items][:2] == ["hen, farm", "hen, snow"]


def test_two_models_are_compared_over_classes(limen, photos):
    ended = limen("shift", "counter", photos / "photos", "--model", photos / "saved.npz",
                  "--compare", photos / "good.npz")  # fmt: skip
    assert ended.code == 0
    assert "drop of 50.0 points" in ended.err
    assert "drop of 0.0 points" in ended.err
    assert "saved against good" in ended.out
    assert "good falls by 50.0 points less [0.0, 100.0] than saved" in ended.err


def test_two_models_of_one_name_are_told_apart(limen, photos):
    (photos / "other").mkdir()
    (photos / "good.npz").rename(photos / "other/saved.npz")
    ended = limen("shift", "counter", "photos", "--model", "saved.npz", "--compare",
                  "other/saved.npz", "--into", "page")  # fmt: skip
    assert "saved against saved (compared)" in ended.out
    shown = Page.from_dict(read(photos / "page/report.html"))
    assert list(shown.records[0].records[0].series) == ["saved", "saved (compared)"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "saved.np"], "is not known; nearest"),
        (["--model", "lite-pair"], "needs --labels"),
        (["--model", "saved.npz", "--reference", "rows.npz"], "--reference rows.npz must be"),
        (["--model", "saved.npz", "--reference", "saved.npz"], "--candidates 20 must be at most"),
        (["--model", "flat.npz"], "--model flat.npz: images must have a direction"),
        (
            ["--model", "saved.npz", "--compare", "endless.npz"],
            "--compare endless.npz: images must",
        ),
        (["--model", "uneven.npz"], "--model uneven.npz: images and texts must have one width"),
        (["--model", "saved.npz", "--labels", "one.txt"], "as 1 names are given"),
        (["--model", "saved.npz", "--labels", "three.txt"], "2 columns, got 3 names"),
    ],
)
def test_what_counter_cannot_use_is_refused_before_a_page(limen, photos, options, said):
    ended = limen("shift", "counter", "photos", *options, "--into", "page")
    assert ended.code == 2
    assert said in ended.err
    assert not (photos / "page").exists()


def test_a_folder_that_names_no_class_is_answered_with_the_nearest(limen, photos):
    (photos / "photos/0 hen").rename(photos / "photos/strauss")
    ended = limen("shift", "counter", "photos", "--model", "saved.npz")
    assert ended.code == 2
    assert "'strauss' must begin with a class index or be a class's name; nearest" in ended.err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stopped_count_leaves_no_page_and_runs_again(limen, photos, monkeypatch, name):
    told = ["shift", "counter", "photos", "--model", "saved.npz", "--into", "page"]
    usual = Page.html
    monkeypatch.setattr(Page, "html", lambda page: signal.raise_signal(getattr(signal, name)))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stopped = limen(*told)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.code == 130
    assert stopped.err.splitlines()[-1] == "limen: interrupted"
    assert not list((photos / "page").glob("*report*"))
    monkeypatch.setattr(Page, "html", usual)
    assert limen(*told).code == 0


def test_a_class_without_one_of_the_groups_is_named(limen, photos):
    for file in (photos / "photos/1 cock/counter-snow").iterdir():
        file.unlink()
    ended = limen("shift", "counter", "photos", "--model", "saved.npz")
    assert ended.code == 2
    assert "1 cock" in ended.err


@pytest.fixture
def answers(tmp_path):
    """900 predictions: hens are known on sand and not on grass, all else is known everywhere."""
    draw = numpy_stream(0, "shift", "answers")
    lines = ["correct,label,attribute"]
    for number in range(900):
        label, place = ("hen", "cock", "fox")[number % 3], ("sand", "grass")[number // 3 % 2]
        share = 0.3 if (label, place) == ("hen", "grass") else 0.9
        lines.append(f"{int(draw.random() < share)},{label},{place}")
    (tmp_path / "answers.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_planted_background_is_found_and_no_other(limen, answers):
    ended = limen("shift", "discover", "--table", answers / "answers.csv", "--into", "page")
    assert ended.code == 0
    found = [line.split()[0] for line in ended.out.splitlines() if line.rstrip().endswith("yes")]
    assert found == ["hen"]
    assert "1 of 3 classes" in (answers / "page/report.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--correct", "label"], "must hold numbers"),
        (["--attribute", "place"], "place"),
        (["--correction", "none"], "correction"),
        (["--min-gap", "-1"], "--min-gap -1.0 must be"),
        (["--min-n", "500"], "of --min-n 500 rows or more"),
    ],
)
def test_what_discover_cannot_read_is_refused(limen, answers, options, said):
    ended = limen("shift", "discover", "--table", "answers.csv", *options, "--into", "page")
    assert ended.code == 2
    assert said in ended.err
    assert not (answers / "page").exists()
