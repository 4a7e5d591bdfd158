"""`limen ood train`: what it writes, prints, resumes and starts from."""

import json
import re

import pytest
import torch
from ood_files import SIZE, page_at

from limen.ood.models import load_classifier

QUICK = ("--steps", 3, "--batch", 8, "--size", SIZE, "--no-flip", "--held-out", 0.2)
FRESH = ("--net", "LeNet", *QUICK)
PRODUCTS = ("model/model.safetensors", "model/classifier.json", "result.json", "log.jsonl")


def products(folder):
    return [(folder / file).read_bytes() for file in PRODUCTS]


def options(pictures, *more, outliers="aux", into="out"):
    given = ["ood", "train", "--inliers", pictures / "train", "--into", into, *more]
    return given if outliers is None else [*given, "--outliers", pictures / outliers]


@pytest.mark.parametrize(
    "objective", ["OutlierExposure", "DAL(radius=0.1)", "ATOL(width=4)", "VOS(queue=8)", "none"]
)
def test_every_objective_leaves_a_classifier_that_loads(limen, pictures, tmp_path, objective):
    ended = limen(*options(pictures, *FRESH, "--objective", objective))
    assert ended.code == 0, ended.err
    model = load_classifier(tmp_path / "out")
    assert model.about.classes == ("low", "right", "top")
    assert model(torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)).shape == (2, 3)
    assert (tmp_path / "out/report.html").is_file()


def test_the_page_holds_curve_losses_hardest_pictures_and_facts(limen, pictures, tmp_path):
    assert limen(*options(pictures, *FRESH)).code == 0
    page = page_at(tmp_path / "out/report.html")
    kinds = [record.kind for record in page.records]
    assert kinds == ["curves", "gallery", "table", "trace", "facts"]
    assert page.records[0].at == 0.05
    assert set(page.records[3].series) == {"inlier", "outlier"}
    captions = [item.caption for item in page.records[1].items]
    assert captions[0].startswith("inlier, ")
    assert captions[-1].startswith("held-out outliers, named ")
    facts = page.records[-1].items
    assert re.search(r"36 pictures, 3 classes, hash [0-9a-f]{16}$", facts["inliers pictures"])


def test_going_on_tells_the_held_out_pictures_before_and_after(limen, pictures):
    ended = limen(*options(pictures, "--from", pictures / "model", *QUICK, "--json"))
    rows = ended.data["table"]["rows"]
    assert [row[0] for row in rows] == ["before", "after"]
    assert ended.data["table"]["columns"][1:] == [
        "accuracy", "AUROC", "FPR95, 95 % of inliers kept",
    ]  # fmt: skip
    assert all(0 <= cell["low"] <= cell["value"] <= cell["high"] <= 1 for cell in rows[0][1:])
    assert rows[0][1]["value"] > 0.9


def test_without_outliers_the_accuracy_alone_is_told(limen, pictures):
    command = options(pictures, *FRESH, "--objective", "none", "--json", outliers=None)
    ended = limen(*command)
    assert ended.data["table"]["columns"] == ["held-out pictures", "accuracy"]


def test_the_same_pictures_are_held_out_whatever_the_objective(limen, pictures, tmp_path):
    protocols = []
    for objective in ("none", "OutlierExposure"):
        ended = limen(*options(pictures, *FRESH, "--objective", objective, into=objective))
        assert ended.code == 0
        protocols.append(ended.out.splitlines()[-3])
    assert protocols[0] == protocols[1]
    assert protocols[0].startswith("Protocol: 9 inliers and 10 outliers, kept apart")


def test_a_held_out_class_of_outliers_is_held_out_whole(pictures):
    from limen.cli.held_out import apart
    from limen.ood.data import read_images

    images = read_images(pictures / "aux", size=SIZE)
    learnt, kept = apart(images, 0.1, seed=0)
    assert set(images.labels[learnt]).isdisjoint(images.labels[kept])
    assert sorted([*learnt, *kept]) == list(range(20))


def test_every_class_of_inliers_has_the_same_share_held_out(pictures):
    from limen.cli.held_out import by_class
    from limen.ood.data import read_images

    images = read_images(pictures / "train", size=SIZE)
    learnt, kept = by_class(images, 0.25, seed=0)
    assert [int((images.labels[kept] == c).sum()) for c in range(3)] == [3, 3, 3]
    assert sorted([*learnt, *kept]) == list(range(36))


def test_a_finished_run_is_told_again_without_another_step(limen, pictures, tmp_path):
    first = limen(*options(pictures, *FRESH))
    kept = products(tmp_path / "out")
    again = limen(*options(pictures, *FRESH))
    assert (again.code, again.out) == (0, first.out)
    assert "out was finished before; nothing to do" in again.err
    assert products(tmp_path / "out") == kept


def test_other_settings_do_not_take_a_runs_folder(limen, pictures, tmp_path):
    assert limen(*options(pictures, *FRESH)).code == 0
    kept = products(tmp_path / "out")
    ended = limen(*options(pictures, *FRESH, "--lr", 0.02))
    assert ended.code == 2
    assert "lr was 0.03 there and is 0.02 now" in ended.err
    assert products(tmp_path / "out") == kept


@pytest.mark.parametrize("objective", ["DOE", "ATOL(width=4)", "VOS(queue=8)"])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    limen, pictures, tmp_path, monkeypatch, objective
):
    import signal

    settings = [*FRESH, "--steps", 4, "--save-every", 2, "--objective", objective]
    assert limen(*options(pictures, *settings, into="whole")).code == 0
    usual, taken = torch.optim.SGD.step, []

    def signal_and_step(self, *args, **kwargs):
        taken.append(self)
        if len(taken) == 3:
            signal.raise_signal(signal.SIGINT)
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", signal_and_step)
    stopped = limen(*options(pictures, *settings))
    assert (stopped.code, stopped.out) == (130, "")
    assert "stopped after step 3 of 4, checkpoint saved" in stopped.err.splitlines()[-1]
    assert not (tmp_path / "out/model").exists()
    assert limen(*options(pictures, *settings)).code == 0
    assert len(taken) == 4
    assert products(tmp_path / "out") == products(tmp_path / "whole")


def test_a_classifier_with_a_class_for_outliers_is_asked_for_the_known_ones(
    limen, pictures, tmp_path
):
    from limen.cli.classifiers import knowing

    assert limen(*options(pictures, *FRESH, "--objective", "NTOM")).code == 0
    model = load_classifier(tmp_path / "out")
    rows = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    assert model.about.extra == 1
    assert torch.allclose(knowing(model)(rows), model(rows)[:, :3], atol=1e-6)
    assert model(rows).shape == (2, 4)


def test_the_result_is_json_and_talk_stays_on_stderr(limen, pictures):
    ended = limen(*options(pictures, *FRESH, "--json"))
    assert json.loads(ended.out)["model"] == "out/model"
    assert "training, OutlierExposure: 3 in" in ended.err


def test_an_extra_class_is_scored_by_all_logits_and_others_by_those_of_the_known(limen, pictures):
    assert limen(*options(pictures, *FRESH, "--objective", "NTOM")).code == 0
    asked = ["ood", "judge", "--model", "out", "--inliers", pictures / "test",
             "--outliers", f"noise={pictures / 'noise'}"]  # fmt: skip
    assert limen(*asked, "--score", "extra_class", "--json").code == 0
    alone = limen(*asked, "--score", "msp", "--json")
    mixed = limen(*asked, "--score", "extra_class", "--score", "msp", "--json")
    row, other = (next(iter(json.loads(one.out)["models"].values()))["table"]["rows"][-1]
                  for one in (alone, mixed))  # fmt: skip
    assert other[0] == "msp"
    assert row[2]["value"] == pytest.approx(other[2]["value"], abs=1e-6)
    plain = limen("ood", "judge", "--model", pictures / "model", *asked[4:],
                  "--score", "extra_class")  # fmt: skip
    assert (plain.code, "has no class for outliers" in plain.err) == (2, True)
