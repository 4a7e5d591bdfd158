"""`limen anomaly`: train, make, score, judge on files of numbers; what is refused."""

import csv
import io
import json

import numpy as np
import pytest

import limen as library
from limen.report import read

START, END = 140, 152


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A normal series, and one with twelve labelled points that are off in the second channel."""
    folder = tmp_path_factory.mktemp("series")
    rng, time = np.random.default_rng(0), np.arange(300)
    waves = np.stack([np.sin(time / 4), np.cos(time / 6)], 1) + 0.02 * rng.normal(size=(300, 2))
    broken = waves.copy()
    broken[START:END, 1] += 4.0
    for name, values in (("normal", waves), ("broken", broken)):
        label = (time >= START) & (time < END) & (name == "broken")
        rows = [
            [t, *map(float, row), int(flag)]
            for t, row, flag in zip(time, values, label, strict=True)
        ]
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["time", "load", "heat", "label"], *rows])
    return folder


@pytest.fixture
def trained(limen, files):
    ended = limen("anomaly", "train", "--data", files / "normal.csv", "--detector", "RMSZ",
                  "--into", "run")  # fmt: skip
    assert ended.code == 0, ended.err
    return ended


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_trained_detector_lies_beside_its_page(trained, tmp_path):
    assert {p.name for p in (tmp_path / "run").iterdir() if p.name[0] != "."} >= {
        "detector.safetensors", "report.html", "spec.json", "result.json",
    }  # fmt: skip
    found = library.load(tmp_path / "run" / "detector.safetensors")
    assert (type(found).__name__, found.channels) == ("RMSZ", 2)
    assert "flagged in training" in trained.out


def test_the_same_command_again_does_nothing_and_another_is_refused(limen, trained, files):
    again = ["anomaly", "train", "--data", files / "normal.csv", "--into", "run", "--detector"]
    ended = limen(*again, "RMSZ")
    assert ended.code == 0
    assert "finished before" in ended.err
    ended = limen(*again, "MaxZ")
    assert ended.code == 2
    assert "belongs to another configuration" in ended.err


def test_the_planted_stretch_is_printed_with_its_channel(limen, trained, files):
    ended = limen("anomaly", "score", files / "broken.csv", "--detector", "run", "--join", 3)
    rows = table(ended.out)
    worst = max(rows, key=lambda row: float(row["severity"]))
    assert START - 1 <= int(worst["start"]) < int(worst["end"]) <= END + 1
    assert worst["channels"] == "heat"
    assert float(worst["severity"]) > 1


def test_scores_alarms_and_page_are_written(limen, trained, files, tmp_path):
    ended = limen("anomaly", "score", files / "broken.csv", "--detector", "run", "--into", "out")
    assert ended.code == 0, ended.err
    rows = table((tmp_path / "out" / "scores.csv").read_text())
    assert len(rows) == 300
    detector = library.load(tmp_path / "run" / "detector.safetensors")
    flagged = [float(row["score"]) > detector.threshold_ for row in rows]
    assert [row["flag"] == "1" for row in rows] == flagged
    kinds = [record["kind"] for record in read(tmp_path / "out" / "report.html")["records"]]
    assert {"timeline", "grid", "table", "histogram", "facts"} <= set(kinds)


def test_json_has_an_object_for_each_alarm(limen, trained, files):
    ended = limen("anomaly", "score", files / "broken.csv", "--detector", "run", "--json")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert found
    assert {"start", "end", "peak", "severity", "channels", "from", "to"} <= set(found[0])


def test_judging_lays_detectors_and_foreign_scores_beside_chance(limen, trained, files, tmp_path):
    np.save(tmp_path / "mine.npy", np.arange(300) == START)
    ended = limen(
        "anomaly", "judge", "--data", files / "broken.csv", "--detector", "run",
        "--scores", "mine=mine.npy", "--window", 10, "--into", "judged",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    names = [line.split()[0] for line in ended.out.splitlines()[2:5]]
    assert names == ["run", "mine", "chance"]
    assert "Protocol: " in ended.out
    assert (tmp_path / "judged" / "report.html").is_file()


def test_a_made_series_differs_where_its_label_says_so(limen, files, tmp_path):
    ended = limen(
        "anomaly", "make", "--data", files / "normal.csv", "--maker", "LevelShift(window=40)",
        "--events", 2, "--size", 3, "--into", "made",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    before = np.loadtxt(files / "normal.csv", delimiter=",", skiprows=1)
    after = np.loadtxt(tmp_path / "made" / "series.csv", delimiter=",", skiprows=1)
    changed = (before[:, 1:3] != after[:, 1:3]).any(1)
    assert np.array_equal(changed, after[:, 3] == 1)
    rows = table((tmp_path / "made" / "events.csv").read_text())
    assert [float(row["size [sd]"]) for row in rows] == pytest.approx([3.0, 3.0])
    assert library.load(tmp_path / "made" / "maker.safetensors").window == 40


def test_what_was_made_can_be_scored_and_judged(limen, trained, files):
    limen("anomaly", "make", "--data", files / "normal.csv", "--maker", "Spike(window=40, size=8)",
          "--into", "made")  # fmt: skip
    ended = limen("anomaly", "judge", "--data", "made/series.csv", "--detector", "run",
                  "--window", 5, "--json")  # fmt: skip
    row = next(row for row in ended.data["rows"] if row[0] == "run")
    assert row[ended.data["columns"].index("VUS-PR")] > 0.5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("train", "--data", "normal.csv", "--detector", "RMSX", "--into", "x"), "RMSZ"),
        (("train", "--data", "none.csv", "--into", "x"), "there is no such file"),
        (("train", "--data", "normal.csv", "--detector", "RMSZ", "--maker", "Spike", "--into", "x"),
         "--maker is for detectors that learn"),
        (("train", "--data", "normal.csv", "--end", 999, "--into", "x"), "--end 999 must lie"),
        (("train", "--data", "normal.csv", "--detector", "KNN(window=900)", "--into", "x"),
         "at least as long as the window of 900"),
        (("train", "--data", "normal.csv", "--missing", "guess", "--into", "x"),
         "--missing 'guess'"),
        (("train", "--data", "normal.csv", "--threshold", "RMSZ", "--into", "x"), "--threshold"),
        (("make", "--data", "normal.csv", "--maker", "Spike", "--shortest", 3, "--into", "x"),
         "--shortest and --longest are one range"),
        (("make", "--data", "normal.csv", "--maker", "Spike", "--size", 0, "--into", "x"),
         "--size 0.0 must be above 0"),
        (("make", "--data", "normal.csv", "--maker", "Spike(window=40)", "--events", 99,
          "--into", "x"), "events of up to"),
        (("score", "normal.csv", "--detector", "nowhere"), "there is no such file"),
        (("judge", "--data", "normal.csv"), "--detector or --scores must name"),
        (("judge", "--data", "normal.csv", "--scores", "a"), "must read NAME=PATH"),
        (("judge", "--data", "normal.csv", "--scores", "a=b.npy", "--variant", "new"), "--variant"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_sentence_and_writes_nothing(limen, files, tmp_path, words, told):
    given = [files / word if str(word).endswith("normal.csv") else word for word in words]
    ended = limen("anomaly", *given)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "x" / "report.html").exists()


@pytest.fixture
def halves(limen, files):
    """A detector of the first 100 points of broken.csv, whose labelled stretch lies later."""
    ended = limen("anomaly", "train", "--data", files / "broken.csv", "--end", 100, "--detector",
                  "RMSZ", "--into", "half")  # fmt: skip
    assert ended.code == 0, ended.err


def test_judge_leaves_out_what_the_detector_was_trained_on_and_says_so(limen, halves, files):
    ended = limen("anomaly", "judge", "--data", files / "broken.csv", "--detector", "half",
                  "--window", 5)  # fmt: skip
    assert "trained on the first 100 of 300 points" in ended.err
    assert "100 points of training left out" in ended.out


def test_judge_knows_from_a_file_of_scores_what_was_trained_on(limen, halves, files):
    limen("anomaly", "score", files / "broken.csv", "--detector", "half", "--into", "out")
    ended = limen("anomaly", "judge", "--data", files / "broken.csv", "--scores",
                  "mine=out/scores.csv", "--window", 5)  # fmt: skip
    assert ended.code == 0, ended.err
    assert "100 points of training left out" in ended.out


def test_judging_on_nothing_but_training_points_is_refused(limen, files):
    limen("anomaly", "train", "--data", files / "broken.csv", "--detector", "RMSZ", "--into", "all")
    ended = limen("anomaly", "judge", "--data", files / "broken.csv", "--detector", "all")
    assert ended.code == 2
    assert "must have points that all was not trained on" in ended.err


def test_columns_in_another_order_are_the_same_channels(limen, trained, files, tmp_path):
    lines = [line.split(",") for line in (files / "broken.csv").read_text().splitlines()]
    turned = [[row[0], row[2], row[1], *row[3:]] for row in lines]
    (tmp_path / "turned.csv").write_text("\n".join(map(",".join, turned)))
    asked = ["--detector", "run", "--join", 3]
    assert (
        limen("anomaly", "score", "turned.csv", *asked).out
        == limen("anomaly", "score", files / "broken.csv", *asked).out
    )


def test_other_channels_than_those_of_training_are_refused(limen, trained, files, tmp_path):
    text = (files / "broken.csv").read_text().replace("heat", "cold", 1)
    (tmp_path / "other.csv").write_text(text)
    ended = limen("anomaly", "score", "other.csv", "--detector", "run")
    assert ended.code == 2
    assert "heat missing and cold not among them" in ended.err


def test_a_part_without_any_labelled_point_is_told_in_one_line(limen, trained, files):
    ended = limen("anomaly", "judge", "--data", files / "broken.csv", "--detector", "run",
                  "--window", 5, "--start", 250)  # fmt: skip
    assert ended.code == 0, ended.err
    assert "have no labelled point, or no other: their metrics are nan" in ended.err
    assert "Warning" not in ended.err


def test_a_policy_for_nan_is_offered_in_the_commands_own_words(limen, trained, tmp_path):
    (tmp_path / "holes.csv").write_text("time,load,heat\n1,0.5,0.1\n2,,0.2\n")
    ended = limen("anomaly", "score", "holes.csv", "--detector", "run")
    assert ended.code == 2
    assert "fill them by --missing linear, forward or mean" in ended.err


@pytest.mark.parametrize("base", ["Pointwise", "Windowed"])
def test_a_base_that_detects_nothing_is_no_name_to_train(limen, files, base):
    ended = limen("anomaly", "train", "--data", files / "normal.csv", "--detector", base,
                  "--into", "x")  # fmt: skip
    assert ended.code == 2
    assert "is not known" in ended.err
