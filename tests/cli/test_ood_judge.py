"""`limen ood judge`: tables, pages, banks, two models."""

import json

import pytest
from cli_files import listing
from ood_files import page_at

from limen.bank import FeatureBank

SETS = ("crosses", "noise")


def command(pictures, *more, model="model", sets=SETS):
    outliers = [word for name in sets for word in ("--outliers", f"{name}={pictures / name}")]
    models = ["--model", pictures / model]
    return ["ood", "judge", *models, "--inliers", pictures / "test", *outliers, *more]


def test_every_score_is_judged_on_every_set_and_on_all(limen, pictures):
    scores = ["--score", "msp", "--score", "energy(temperature=2)", "--score", "KNN(k=3)"]
    ended = limen(*command(pictures, *scores, "--train", pictures / "train", "--json"))
    (found,) = ended.data["models"].values()
    rows = found["table"]["rows"]
    names = ("msp", "energy(temperature=2)", "KNN(k=3)")
    assert [tuple(row[:2]) for row in rows] == [
        (name, group) for name in names for group in (*SETS, "all")
    ]
    assert "Outliers: crosses (10), noise (10)" in found["table"]["protocol"]
    assert "fitted once on train (36)" in found["table"]["protocol"]
    assert len(found["paired"]["rows"]) == 9
    assert ended.data["compared"] is None


def test_the_numbers_are_those_of_the_library(limen, pictures):
    import torch

    from limen.ood.data import read_images
    from limen.ood.judge import judge
    from limen.ood.models import load_classifier

    test, crosses = (read_images(pictures / name, size=16) for name in ("test", "crosses"))
    model = load_classifier(pictures / "model")
    bank = FeatureBank.extract(
        model,
        {"id": (torch.from_numpy(test.inputs), torch.from_numpy(test.labels)),
         "crosses": torch.from_numpy(crosses.inputs)},
    )  # fmt: skip
    wanted = judge(bank, outliers=["crosses"])
    ended = limen(*command(pictures, "--json", sets=["crosses"]))
    (found,) = ended.data["models"].values()
    assert found["table"]["rows"] == json.loads(json.dumps(wanted.to_dict()["rows"]))


def test_a_set_without_a_name_goes_by_its_last_part(limen, pictures):
    more = ["--outliers", pictures / "noise"]
    ended = limen(*command(pictures, *more, sets=["crosses"]))
    assert "noise" in ended.out
    assert "Outliers: crosses (10), noise (10); all" not in ended.out


def test_near_sets_and_far_ones_are_pooled(limen, pictures):
    sets = [
        "--outliers",
        f"a={pictures / 'aux/cross'}",
        "--outliers",
        f"b={pictures / 'aux/noise'}",
    ]
    ended = limen(*command(pictures, *sets, "--near", "crosses", "--near", "a", "--json"))
    (found,) = ended.data["models"].values()
    groups = [row[1] for row in found["table"]["rows"]]
    assert groups == [*SETS, "a", "b", "near", "far", "all"]
    assert "near = crosses + a; far = noise + b" in found["table"]["protocol"]


def test_classes_are_matched_by_name(limen, pictures, tmp_path):
    """Two of the model's three classes: their numbers in the folder are others than the model's."""
    for name in ("right", "top"):
        (tmp_path / "some" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "some" / name).symlink_to(pictures / "test" / name)
    import shutil

    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "some", whole)
    options = ["--inliers", whole, "--outliers", pictures / "noise", "--json"]
    ended = limen("ood", "judge", "--model", pictures / "model", *options)
    (found,) = ended.data["models"].values()
    assert found["table"]["rows"][0][-1] > 0.9


def test_a_bank_is_kept_and_read_again_with_the_same_numbers(limen, pictures, tmp_path):
    first = limen(*command(pictures, "--bank", "bank"))
    assert "forwarding inliers" in first.err
    assert FeatureBank.open(tmp_path / "bank").names == ["inliers", *SETS]
    again = limen(*command(pictures, "--bank", "bank"))
    assert "forwarding" not in again.err
    assert again.out == first.out


def test_a_score_of_feature_maps_is_judged_too(limen, pictures):
    ended = limen(*command(pictures, "--score", "Gram", "--train", pictures / "train"))
    assert ended.code == 0, ended.err
    assert "Gram" in ended.out


def test_two_models_are_compared_on_the_same_rows(limen, pictures, tmp_path):
    more = ["--model", pictures / "other", "--into", "page", "--json"]
    ended = limen(*command(pictures, *more))
    assert list(ended.data["models"]) == [str(pictures / "model"), str(pictures / "other")]
    assert [row[1] for row in ended.data["compared"]["rows"]] == [*SETS, "all"]
    kinds = [record.kind for record in page_at(tmp_path / "page/report.html").records]
    assert kinds == ["table", "section", "section", "facts"]


def test_the_page_shows_histograms_curves_classes_and_pictures(limen, pictures, tmp_path):
    scores = ["--score", "msp", "--score", "energy"]
    assert limen(*command(pictures, *scores, "--into", "page")).code == 0
    page = page_at(tmp_path / "page/report.html")
    kinds = [record.kind for record in page.records]
    assert kinds == [
        "curves", "curves", "curves", "table", "histogram", "histogram", "gallery", "table",
        "table", "facts",
    ]  # fmt: skip
    histogram, gallery, by_class = page.records[4], page.records[6], page.records[7]
    assert {name: sum(counts) for name, counts in histogram.counts.items()} == {
        "inliers": 24, "crosses": 10, "noise": 10,
    }  # fmt: skip
    assert [item.caption.split(",")[0] for item in gallery.items[:6]] == ["inlier"] * 6
    assert {row[1] for row in by_class.rows} == {"low", "right", "top"}
    assert page.answer.startswith("Outliers told from inliers, all outliers: AUROC ")


def test_right_of_the_line_lies_one_inlier_in_twenty(limen, pictures, tmp_path):
    assert limen(*command(pictures, "--into", "page", "--bank", "bank")).code == 0
    from limen.ood.scores.msp import msp

    values = msp(FeatureBank.open(tmp_path / "bank")["inliers"].logits)
    at = page_at(tmp_path / "page/report.html").records[4].at
    assert (values > at).sum() == 1


def test_a_page_is_written_over_by_the_same_command_alone(limen, pictures, tmp_path):
    assert limen(*command(pictures, "--into", "page")).code == 0
    assert limen(*command(pictures, "--into", "page")).code == 0
    before = listing(tmp_path)
    other = limen(*command(pictures, "--into", "page", "--score", "energy"))
    assert other.code == 2
    assert "page belongs to another configuration" in other.err
    assert listing(tmp_path) == before


@pytest.mark.parametrize("size", [2, 400])
def test_a_curve_is_thinned_and_keeps_what_it_is_compared_by(size):
    import numpy as np

    from limen.cli.separating_records import replaced
    from limen.measure.separation import roc

    draw = np.random.default_rng(0)
    whole = roc(draw.normal(size=size), draw.normal(1, 1, size=5 * size))
    thin = replaced(whole, "thin")
    assert len(thin.price) <= 301
    assert thin.at(price=0.05) == whole.at(price=0.05)


@pytest.mark.slow
def test_an_onnx_file_is_judged_as_its_network_is(limen, pictures, tmp_path):
    import torch

    from limen.ood.models import load_classifier

    pytest.importorskip("onnxruntime")
    model = load_classifier(pictures / "model")
    torch.onnx.export(
        model, (torch.zeros(2, 3, 16, 16),), tmp_path / "net.onnx", dynamo=True, verbose=False,
        external_data=False, dynamic_shapes={"images": {0: torch.export.Dim("rows")}},
    )  # fmt: skip
    ended = limen(*command(pictures, "--json", model=tmp_path / "net.onnx"))
    wanted = limen(*command(pictures, "--json"))
    (mine,), (theirs,) = ended.data["models"].values(), wanted.data["models"].values()
    assert mine["table"]["rows"][0][:2] == ["msp", "crosses"]
    for row, other in zip(mine["table"]["rows"], theirs["table"]["rows"], strict=True):
        assert row[2]["value"] == pytest.approx(other[2]["value"], abs=0.05)
