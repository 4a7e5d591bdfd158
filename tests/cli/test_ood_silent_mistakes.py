"""Mistakes of `limen ood` that would give a number all the same, or a half-written folder."""

import numpy as np
import pytest
from cli_files import listing
from ood_files import SIZE

from limen.cli.scoring import objective, score
from limen.ood.scores.protocol import name_of

QUICK = ("--steps", 2, "--size", SIZE)


def train(pictures, *more, into="out", inliers=None, net="LeNet"):
    return ["ood", "train", "--into", into, *QUICK, "--inliers", inliers or pictures / "train",
            "--outliers", pictures / "aux", "--net", net, *more]  # fmt: skip


def threshold(model, calibration, *more, into="d.safetensors"):
    return ["ood", "threshold", "--model", model, "--calibration", calibration, "--into", into,
            *more]  # fmt: skip


def refused(limen, tmp_path, *command):
    before = listing(tmp_path)
    ended = limen(*command)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert listing(tmp_path) == before
    assert "forwarding" not in ended.err
    return ended.err.splitlines()[-1]


def test_a_score_takes_its_settings_by_place_too():
    assert name_of(score("energy(2)")) == name_of(score("energy(temperature=2)"))


def test_a_generator_takes_its_settings_by_place_too():
    assert objective("ATOL(8)") == objective("ATOL(width=8)")


@pytest.mark.parametrize("text", ["energy(2, 3)", "energy(2, temperature=2)"])
def test_settings_by_place_are_counted(limen, pictures, tmp_path, text):
    command = ["ood", "judge", "--model", pictures / "model", "--inliers", pictures / "test",
               "--outliers", pictures / "noise", "--score", text]  # fmt: skip
    assert f"--score '{text}' " in refused(limen, tmp_path, *command)


def test_a_folder_of_another_generator_names_it_as_it_was_typed():
    assert repr(objective("ATOL(width=8, ratio=2.0)")) == "ATOL(width=8, ratio=2.0)"


def test_a_score_that_the_network_cannot_give_is_refused_before_training(limen, pictures, tmp_path):
    said = refused(limen, tmp_path, *train(pictures, "--score", "extra_class"))
    assert "--score extra_class is for --objective NTOM, got OutlierExposure" in said


def test_the_pictures_of_training_may_not_calibrate(limen, pictures, tmp_path):
    assert limen(*train(pictures, into="run")).code == 0
    said = refused(limen, tmp_path, *threshold("run", pictures / "train", "--alpha", 0.1))
    assert "holds the pictures that --model run was trained on" in said
    assert limen(*threshold("run/model", pictures / "calibration", "--alpha", 0.1)).code == 0


def test_judging_the_pictures_of_training_is_told(limen, pictures, tmp_path):
    assert limen(*train(pictures, into="run")).code == 0
    command = ["ood", "judge", "--model", "run", "--outliers", pictures / "noise", "--inliers"]
    assert "was trained on, which flatters it" in limen(*command, pictures / "train").err
    assert "flatters" not in limen(*command, pictures / "test").err


@pytest.mark.parametrize("into", ["file", "file/deep", "file/deep/d.safetensors"])
def test_a_detector_below_a_file_is_refused_first(limen, pictures, tmp_path, into):
    (tmp_path / "file").write_text("mine")
    said = refused(
        limen, tmp_path, *threshold(pictures / "model", pictures / "calibration", into=into)
    )
    assert f"--into {into}" in said
    assert "file stands in its way" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--onnx", "file/a.onnx"], "--onnx file/a.onnx must be a file that can be written"),
        (["--onnx", "a.onnx", "--score", "KNN(k=3)", "--train", "train"], "KNN(k=3) does not"),
    ],
)
def test_what_cannot_be_written_as_onnx_writes_no_detector(
    limen, pictures, tmp_path, options, sentence
):
    (tmp_path / "file").write_text("mine")
    options = [pictures / "train" if word == "train" else word for word in options]
    command = threshold(pictures / "model", pictures / "calibration", *options)
    assert sentence in refused(limen, tmp_path, *command)


def test_a_page_of_other_settings_is_refused_by_the_name_of_its_option(limen, pictures, tmp_path):
    command = threshold(pictures / "model", pictures / "calibration", "--page", "page")
    assert limen(*command, "--alpha", 0.1).code == 0
    said = refused(limen, tmp_path, *command, "--alpha", 0.2)
    assert said.startswith("limen: --page page belongs to another configuration: alpha was 0.1")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (
            {"labels": np.array([2**63, 1], dtype=np.uint64)},
            "labels must lie in 0 to 99,999, got 9",
        ),
        ({"labels": np.array([-1, 1])}, "labels must lie in 0 to 99,999, got -1"),
        ({"images": np.zeros((2, 0, 0), np.uint8)}, "must hold a picture, of a pixel at least"),
        ({"images": np.zeros((0, 4, 4), np.uint8)}, "must hold a picture, of a pixel at least"),
    ],
)
def test_arrays_that_hold_no_classes_are_refused(limen, pictures, tmp_path, arrays, sentence):
    whole = {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0, 1])}
    np.savez(tmp_path / "set.npz", **{**whole, **arrays})
    command = train(pictures, inliers=tmp_path / "set.npz")
    assert sentence in refused(limen, tmp_path, *command)


def test_a_text_that_ends_in_npz_gets_no_advice_about_pickles(limen, pictures, tmp_path):
    (tmp_path / "set.npz").write_text("hello")
    said = refused(limen, tmp_path, *train(pictures, inliers=tmp_path / "set.npz"))
    assert "pickle" not in said
    assert said.endswith("must be an npz file of plain arrays: it is none")


def test_a_set_that_is_not_there_is_answered_with_its_neighbours(limen, pictures, tmp_path):
    said = refused(limen, tmp_path, *train(pictures, inliers=pictures / "trian"))
    assert "there is nothing there; nearest: train" in said
    (tmp_path / "set.npz").write_text("hello")
    said = refused(limen, tmp_path, *train(pictures, inliers=tmp_path / "sets.npz"))
    assert "there is nothing there; nearest: set.npz" in said


def test_a_name_that_is_not_utf8_is_refused(limen, pictures, tmp_path):
    odd = tmp_path / "set" / "a\udce9"
    odd.mkdir(parents=True)
    (odd / "a.png").write_bytes((pictures / "noise/01.png").read_bytes())
    said = refused(limen, tmp_path, *train(pictures, inliers=tmp_path / "set"))
    assert "names of pictures and folders must be UTF-8, got a\ufffd/a.png" in said


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--size", "100000000", "limen: --size 100000000 must be at least 1 and at most 10,000"),
        ("--lr", "nan", "limen: --lr nan must be positive and finite"),
        ("--weight", "-1", "limen: --weight -1.0 must be at least 0 and finite"),
    ],
)
def test_a_wrong_number_is_told_without_the_others(
    limen, pictures, tmp_path, option, value, sentence
):
    assert refused(limen, tmp_path, *train(pictures, option, value)) == sentence


def test_a_network_of_pictures_of_another_size_is_refused(limen, pictures, tmp_path):
    pytest.importorskip("timm")
    said = refused(limen, tmp_path, *train(pictures, net="timm:vit_tiny_patch16_224"))
    assert "must take pictures of size 16" in said
