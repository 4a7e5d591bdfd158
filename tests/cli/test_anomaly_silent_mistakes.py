"""Mistakes of `limen anomaly` that would give a number all the same, or a half-written folder."""

import warnings

import numpy as np
import pytest
from cli_files import listing


@pytest.fixture
def waves(tmp_path):
    time = np.arange(300)
    values = np.stack([np.sin(time / 4), np.cos(time / 6)], 1)
    rows = [f"{t},{a},{b},{int(100 < t < 110)}" for t, (a, b) in zip(time, values, strict=True)]
    (tmp_path / "waves.csv").write_text("\n".join(["time,load,heat,label", *rows]) + "\n")
    return tmp_path / "waves.csv"


def refused(limen, tmp_path, *command):
    before = listing(tmp_path)
    ended = limen("anomaly", *command)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert listing(tmp_path) == before
    return ended.err.splitlines()[-1]


def train(*more, data="waves.csv", detector="RMSZ"):
    return ["train", "--data", data, "--detector", detector, "--into", "run", *more]


@pytest.mark.parametrize(
    "threshold", ["Threshold", "Threshold(alpha=0.1)", "POT(tail=0.1)", "quantile(0.1)"]
)
def test_every_threshold_that_help_names_is_known(limen, waves, threshold):
    assert limen("anomaly", *train("--threshold", threshold)).code == 0


@pytest.mark.parametrize("threshold", ["Treshold", "RMSZ", "0.5", "chance"])
def test_another_threshold_is_answered_with_those_there_are(limen, waves, tmp_path, threshold):
    said = refused(limen, tmp_path, *train("--threshold", threshold))
    assert f"--threshold '{threshold}' must be Quantile, POT or Threshold" in said


@pytest.mark.parametrize(
    ("detector", "sentence"),
    [
        ("KNN(window=2.5)", "'KNN': window must be a whole number or None, got 2.5"),
        ("KNN(window='a')", "'KNN': window must be a whole number or None, got 'a'"),
        ("KNN(k=True)", "'KNN': k must be a whole number, got True"),
        ("AutoEncoder(steps=2.5)", "'AutoEncoder': steps must be a whole number, got 2.5"),
        ("AutoEncoder(rate='a')", "'AutoEncoder': rate must be a number, got 'a'"),
        ("KNN(", "--detector 'KNN(' must be a name, or a name with settings: 'KNN(window=100)'"),
    ],
)
def test_a_setting_of_another_kind_is_refused_first(limen, waves, tmp_path, detector, sentence):
    assert sentence in refused(limen, tmp_path, *train(detector=detector))


def test_a_setting_that_the_makers_code_would_trip_over_is_refused(limen, waves, tmp_path):
    command = ["make", "--data", "waves.csv", "--into", "made", "--maker", "Spike(points=2.5)"]
    assert "points must be a whole number, got 2.5" in refused(limen, tmp_path, *command)


def test_an_event_without_end_is_refused(limen, waves, tmp_path):
    command = ["make", "--data", "waves.csv", "--into", "made", "--maker", "Spike(window=40)"]
    said = refused(limen, tmp_path, *command, "--size", "inf")
    assert "--size inf must be above 0 and finite" in said


def test_labels_that_make_leaves_behind_are_told(limen, waves):
    ended = limen("anomaly", "make", "--data", "waves.csv", "--maker", "Spike(window=40)",
                  "--events", 2, "--into", "made")  # fmt: skip
    assert ended.code == 0
    assert "9 points of waves.csv are labelled abnormal" in ended.err


def test_rows_of_an_array_are_points_and_a_wide_one_is_told(limen, tmp_path):
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).normal(size=(30, 80)))
    ended = limen("anomaly", *train(data="wide.npy"))
    assert "wide.npy is read as 30 points of 80 channels, one row a point" in ended.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--start", 5000], "--start 5000 must be below the points of every series"),
        (["--window", 5000], "--window 5000 must be below the points of every series"),
    ],
)
def test_judging_beyond_the_series_is_refused_first(limen, waves, tmp_path, options, sentence):
    np.save(tmp_path / "scores.npy", np.arange(300.0))
    command = ["judge", "--data", "waves.csv", "--scores", "mine=scores.npy", *options]
    assert sentence in refused(limen, tmp_path, *command)


def test_no_policy_is_offered_for_scores_which_none_fills(limen, waves, tmp_path):
    np.save(tmp_path / "scores.npy", np.where(np.arange(300) == 3, np.nan, 1.0))
    said = refused(limen, tmp_path, "judge", "--data", "waves.csv", "--scores", "mine=scores.npy")
    assert said.startswith("limen: --scores scores.npy must not have missing values")
    assert "--missing" not in said


def test_judging_again_writes_the_page_again(limen, waves, tmp_path):
    assert limen("anomaly", *train("--end", 60)).code == 0
    command = ["judge", "--data", "waves.csv", "--detector", "run", "--into", "page"]
    for _ in range(2):
        ended = limen("anomaly", *command, "--window", 5)
        assert ended.code == 0, ended.err
    page = (tmp_path / "page/report.html").read_text()
    assert "PosixPath" not in page


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_without_the_code_that_gave_it(limen, waves, monkeypatch):
    from limen.cli import detecting

    def warned(*_, **__):
        warnings.warn("the maker\ncollapsed", stacklevel=1)

    monkeypatch.setattr(detecting, "train", warned)
    assert limen("anomaly", *train()).err.endswith("\nwarning: the maker collapsed\n")
