"""`limen ood threshold` and `limen ood score`."""

import json

import numpy as np
import pytest

import limen as library
from limen.ood.detector import Detector


def threshold(pictures, *more, into="d", alpha=0.1):
    return ["ood", "threshold", "--model", pictures / "model", "--calibration",
            pictures / "calibration", "--alpha", alpha, "--into", into, *more]  # fmt: skip


def lines(ended):
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def test_the_level_the_count_and_the_rate_are_told(limen, pictures, tmp_path):
    ended = limen(*threshold(pictures, "--json"))
    (row,) = ended.data["rows"]
    detector = library.load(tmp_path / "d/detector.safetensors")
    assert isinstance(detector, Detector)
    assert row == ["all", detector.threshold.overall.level, 39, 4 / 40]


def test_calibration_pictures_are_flagged_at_the_promised_rate(limen, pictures):
    """Of 39 pictures at most 4 of 40 may be above the level, so 39 - 36 = 3 are."""
    assert limen(*threshold(pictures)).code == 0
    found = lines(limen("ood", "score", "--model", pictures / "model", "--detector", "d",
                        pictures / "calibration", "--json"))  # fmt: skip
    assert sum(row["flagged"] for row in found) == 3


def test_each_picture_has_a_line_with_its_path(limen, pictures, tmp_path):
    np.savez(tmp_path / "rows.npz", images=np.zeros((2, 16, 16), dtype=np.uint8))
    one = pictures / "noise/03.png"
    found = lines(limen("ood", "score", "--model", pictures / "model", "--json", one,
                        pictures / "crosses", "rows.npz"))  # fmt: skip
    names = [row["name"] for row in found]
    assert names[0] == str(one)
    assert names[1] == str(pictures / "crosses/00.png")
    assert names[-2:] == ["rows.npz:0", "rows.npz:1"]
    assert len(found) == 13
    assert {row["flagged"] for row in found} == {None}


def test_a_picture_has_the_same_score_alone_and_in_its_folder(limen, pictures):
    command = ["ood", "score", "--model", pictures / "model", "--score", "energy", "--json"]
    folder = {row["name"]: row["score"] for row in lines(limen(*command, pictures / "noise"))}
    one = str(pictures / "noise/04.png")
    (alone,) = lines(limen(*command, one))
    assert alone["score"] == pytest.approx(folder[one], abs=1e-5)


def test_plain_lines_hold_score_flag_class_and_name(limen, pictures):
    assert limen(*threshold(pictures)).code == 0
    ended = limen("ood", "score", "--model", pictures / "model", "--detector", "d",
                  pictures / "test")  # fmt: skip
    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert len(rows) == 24
    assert {row[1] for row in rows} <= {"inlier", "outlier"}
    assert sum(f"/{row[2]}/" in row[3] for row in rows) > 20


def test_a_fitted_score_is_stored_with_its_fit(limen, pictures):
    fitted = ["--score", "KNN(k=3)", "--train", pictures / "train"]
    assert limen(*threshold(pictures, *fitted, into="d/knn.safetensors")).code == 0
    command = ["ood", "score", "--model", pictures / "model", "--json", pictures / "noise"]
    stored = lines(limen(*command, "--detector", "d/knn.safetensors"))
    fresh = lines(limen(*command, *fitted))
    assert [row["score"] for row in stored] == pytest.approx([row["score"] for row in fresh])


def test_every_class_may_have_a_threshold_of_its_own(limen, pictures):
    ended = limen(*threshold(pictures, "--per-class", "--json", alpha=0.2))
    names = [row[0] for row in ended.data["rows"]]
    assert names == ["all", "low", "right", "top"]
    counts = [row[2] for row in ended.data["rows"]]
    assert counts[0] == sum(counts[1:]) == 39


def test_classes_with_too_few_pictures_are_told_or_take_the_threshold_of_all(limen, pictures):
    """13 pictures of each class: 0.05 needs 19."""
    short = limen(*threshold(pictures, "--per-class", alpha=0.05))
    assert short.code == 2
    assert "needs at least 19 calibration rows of each predicted class" in short.err
    assert "--fallback" in short.err
    both = limen(*threshold(pictures, "--per-class", "--fallback", "--json", alpha=0.05))
    assert [row[0] for row in both.data["rows"]] == ["all"]


def test_the_page_shows_what_the_promise_rests_on(limen, pictures, tmp_path):
    assert limen(*threshold(pictures, "--page", "shown")).code == 0
    page = (tmp_path / "shown/report.html").read_text()
    assert "A threshold that keeps a promise" in page
    assert "39 pictures" in page
    other = limen(*threshold(pictures, "--page", "shown", alpha=0.2))
    assert other.code == 2
    assert "alpha" in other.err


@pytest.mark.slow
def test_the_onnx_file_answers_as_the_detector_does(limen, pictures, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    ended = limen(*threshold(pictures, "--onnx", "whole.onnx"))
    assert ended.code == 0, ended.err
    from limen.ood.data import read_images

    session = runtime.InferenceSession(str(tmp_path / "whole.onnx"))
    pixels = read_images(pictures / "noise", size=16).inputs
    scores, flags = session.run(["scores", "flags"], {"inputs": pixels})
    found = lines(limen("ood", "score", "--model", pictures / "model", "--detector", "d",
                        "--json", pictures / "noise"))  # fmt: skip
    assert scores.tolist() == pytest.approx([row["score"] for row in found], abs=1e-4)
    assert flags.tolist() == [row["flagged"] for row in found]
