"""Wrong use of `limen ood`: one sentence, exit code 2, nothing written, no picture forwarded."""

import shutil

import numpy as np
import pytest
from cli_files import listing
from ood_files import SIZE

QUICK = ("--steps", 3, "--size", SIZE)


def refused(limen, tmp_path, *command, forwarded=False):
    """The one sentence that a refused command said."""
    before = listing(tmp_path)
    ended = limen(*command)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert forwarded or "forwarding" not in ended.err
    assert "training" not in ended.err.rpartition("limen: ")[0]
    assert listing(tmp_path) == before
    return ended.err.splitlines()[-1]


def train(pictures, *more, inliers="train", outliers="aux", net="LeNet"):
    found = ["ood", "train", "--into", "out", *QUICK, "--inliers", pictures / inliers]
    found += [] if outliers is None else ["--outliers", pictures / outliers]
    return [*found, *([] if net is None else ["--net", net]), *more]


def judge(pictures, *more, inliers="test", outliers="noise", model="model"):
    return ["ood", "judge", "--model", pictures / model, "--inliers", pictures / inliers,
            "--outliers", pictures / outliers, *more]  # fmt: skip


def threshold(pictures, *more, calibration="calibration"):
    return ["ood", "threshold", "--model", pictures / "model", "--calibration",
            pictures / calibration, "--into", "d.safetensors", *more]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"inliers": "train/low"}, "must hold one folder for each class, or labels; it has none"),
        ({"inliers": "nowhere"}, "a .zip archive or an .npz file; there is nothing there"),
        ({"outliers": None}, "--outliers is needed: OutlierExposure learns from them"),
        ({"outliers": "train/low"}, "--inliers and --outliers must not share files; they share 12"),
        ({"net": None}, "--net, a fresh network, or --from, a classifier to go on from: give one"),
        ({"net": "LeNett"}, "network 'LeNett' is not known; nearest: LeNet, ResNet, WRN"),
        ({"net": "timm:resnet1"}, "timm has no network 'resnet1'; nearest: resnet1"),
    ],
)
def test_train_refuses_what_it_cannot_learn_from(limen, pictures, tmp_path, settings, sentence):
    assert sentence in refused(limen, tmp_path, *train(pictures, **settings))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--objective", "DALL"], "--objective 'DALL' is not known; nearest: DAL"),
        (["--objective", "DAL(radios=1)"], "DAL has no setting 'radios'"),
        (["--objective", "ATOL(wide=3)"], "ATOL has no setting 'wide' here; it takes width"),
        (["--objective", "ATOL(width=0)"], "width=0 must be a whole number above 0"),
        (["--objective", "ATOL(ratio=-1)"], "ratio=-1 must be positive"),
        (["--objective", "none", "--weight", "1"], "--weight is the factor of an objective's loss"),
        (["--lr", "0"], "--lr 0.0 must be positive"),
        (["--bn", "mean"], "--bn 'mean' must be one of joint, id_stats, frozen"),
        (["--held-out", "1"], "--held-out 1.0 must lie between 0 and 1"),
        (["--held-out", "0.95"], "of the 12 pictures of class 'low' must leave some to learn from"),
        (["--size", "0"], "--size 0 must be at least 1"),
        (["--score", "KNN"], "--score KNN is fitted; held-out pictures are judged by others"),
        (["--from", "m"], "--net, a fresh network, or --from"),
        (["--device", "tpu"], "--device 'tpu' must be one of cpu, cuda"),
    ],
)
def test_train_refuses_wrong_settings(limen, pictures, tmp_path, options, sentence):
    assert sentence in refused(limen, tmp_path, *train(pictures, *options))


def test_going_on_needs_the_same_classes_and_size(limen, pictures, tmp_path):
    begun = ["--from", pictures / "model"]
    other = refused(limen, tmp_path, *train(pictures, *begun, "--size", 8, net=None))
    assert "--size 8 must be that of --from, 16; leave it out" in other
    said = refused(
        limen, tmp_path, *train(pictures, *begun, inliers="aux", outliers="noise", net=None)
    )
    assert "--from knows the classes low, right, top, and --inliers holds cross, noise" in said
    extra = train(pictures, *begun, "--objective", "NTOM", net=None)
    assert "has 0 logits behind its classes' and NTOM needs 1" in refused(limen, tmp_path, *extra)


def test_labels_of_an_npz_file_must_leave_no_class_out(limen, pictures, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (12, SIZE, SIZE), dtype=np.uint8)
    np.savez(tmp_path / "gap.npz", images=pixels, labels=np.array([0, 2] * 6))
    np.savez(tmp_path / "one.npz", images=pixels, labels=np.zeros(12, dtype=int))
    gap = refused(limen, tmp_path, *train(tmp_path, inliers="gap.npz", outliers=None,
                                          net="LeNet"), "--objective", "none")  # fmt: skip
    assert "must hold pictures of every class, 0 to 2; class '1' has none" in gap
    one = refused(limen, tmp_path, *train(tmp_path, inliers="one.npz", outliers=None),
                  "--objective", "none")  # fmt: skip
    assert "must hold two classes or more; all 12 pictures are of '0'" in one


def test_unreadable_pictures_are_listed_and_counted_or_left_out(limen, pictures, tmp_path):
    shutil.copytree(pictures / "noise", tmp_path / "noise")
    for name in ("bad.png", "worse.png"):
        (tmp_path / "noise" / name).write_bytes(b"no picture")
    command = ["ood", "judge", "--model", pictures / "model", "--inliers", pictures / "test",
               "--outliers", tmp_path / "noise"]  # fmt: skip
    said = refused(limen, tmp_path, *command)
    assert "2 of 12 pictures cannot be read (bad.png, worse.png)" in said
    assert "--skip-bad" in said
    ended = limen(*command, "--skip-bad", "--into", "page")
    assert ended.code == 0
    assert "left out 2 that cannot be read: bad.png, worse.png" in ended.err
    assert "10 pictures, 2 unreadable left out" in (tmp_path / "page/report.html").read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"more": ["--score", "KNM"]}, "--score 'KNM' is not known; nearest: KNN"),
        ({"more": ["--score", "KNN("]}, "--score 'KNN(' must be a name, or a name with settings"),
        ({"more": ["--score", "KNN(p=1)"]}, "KNN has no setting 'p'"),
        ({"more": ["--score", "energy(t=2)"]}, "energy has no setting 't'; it takes temperature"),
        ({"more": ["--score", "energy(temperature=-1)"]}, "--score 'energy(temperature=-1)': "),
        ({"more": ["--score", "ODIN"]}, "--score ODIN asks the network for gradients"),
        ({"more": ["--score", "msp", "--score", "MSP"]}, "--score must name each score once; msp"),
        ({"more": ["--score", "KNN"]}, "--train is needed for KNN"),
        (
            {"more": ["--near", "noize"]},
            "--near 'noize' must be one of the --outliers; nearest: noi",
        ),
        ({"inliers": "test/low"}, "must hold one folder for each class, or labels; it has none"),
        ({"inliers": "aux"}, "it does not know 'cross', nearest: "),
        ({"outliers": "test/low"}, "--inliers and --outliers low must not share files; they share"),
        ({"model": "train"}, "must hold a classifier that 'limen ood train' wrote"),
        ({"model": "model.onnx"}, "must be an ONNX file; there is no such file"),
    ],
)
def test_judge_refuses_before_a_picture_is_forwarded(limen, pictures, tmp_path, options, sentence):
    command = judge(pictures, *options.pop("more", []), **options)
    assert sentence in refused(limen, tmp_path, *command)


def test_a_training_set_is_read_only_where_a_score_is_fitted(limen, pictures, tmp_path):
    said = refused(limen, tmp_path, *judge(pictures, "--train", pictures / "train"))
    assert "--train is for scores that are fitted; msp needs none: leave it out" in said


def test_training_pictures_may_not_be_test_pictures(limen, pictures, tmp_path):
    options = ["--score", "KNN(k=3)", "--train", pictures / "test"]
    said = refused(limen, tmp_path, *judge(pictures, *options))
    assert "--train and --inliers must not share files; they share 24" in said


def test_a_set_is_named_once(limen, pictures, tmp_path):
    again = judge(pictures, "--outliers", pictures / "aux/noise")
    assert "'noise' is taken; give it one by NAME=PATH" in refused(limen, tmp_path, *again)
    all_ = judge(pictures, "--outliers", f"all={pictures / 'crosses'}")
    assert "'all' is taken" in refused(limen, tmp_path, *all_)


def test_a_bank_of_another_model_or_of_other_pictures_is_refused(limen, pictures, tmp_path):
    assert limen(*judge(pictures, "--bank", "bank")).code == 0
    other = judge(pictures, "--bank", "bank", model="other")
    said = refused(limen, tmp_path, *other)
    assert said.startswith("limen: --bank bank holds a bank of another model")
    fewer = refused(limen, tmp_path, *judge(pictures, "--bank", "bank", "--limit", 4))
    assert "set 'inliers' in --bank bank was made of other data: it had 24 rows and has 12" in fewer
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    strange = refused(limen, tmp_path, *judge(pictures, "--bank", "full"))
    assert "--bank full must be empty or a bank" in strange


def test_models_are_two_at_most_and_different(limen, pictures, tmp_path):
    twice = judge(pictures, "--model", pictures / "model")
    assert "--model must name each classifier once" in refused(limen, tmp_path, *twice)
    banks = judge(pictures, "--model", pictures / "other", "--bank", "one")
    assert "--bank must be given once for each --model" in refused(limen, tmp_path, *banks)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--alpha", "0.001"], "--alpha 0.001 needs at least 999 calibration scores, got 39"),
        (["--alpha", "1"], "--alpha 1.0 must lie between 0 and 1"),
        (["--fallback"], "--fallback is a setting of --per-class"),
        (["--per-class", "--onnx", "a.onnx"], "--onnx holds one threshold for all pictures"),
        (["--onnx", "a.bin"], "--onnx a.bin must end in .onnx"),
        (["--score", "KNN"], "--train is needed for KNN"),
    ],
)
def test_threshold_refuses_what_it_could_not_promise(limen, pictures, tmp_path, options, sentence):
    assert sentence in refused(limen, tmp_path, *threshold(pictures, *options))


def test_training_pictures_may_not_calibrate(limen, pictures, tmp_path):
    fitted = ["--score", "KNN(k=3)", "--train", pictures / "train"]
    said = refused(limen, tmp_path, *threshold(pictures, *fitted, calibration="train"))
    assert "--calibration and --train must not share files" in said


def test_a_detector_never_takes_the_place_of_another_file(limen, pictures, tmp_path):
    (tmp_path / "d.safetensors").write_text("mine")
    said = refused(limen, tmp_path, *threshold(pictures))
    assert "--into d.safetensors holds something else than a detector" in said
    assert (tmp_path / "d.safetensors").read_text() == "mine"


def test_a_detector_of_another_model_is_refused(limen, pictures, tmp_path):
    assert limen(*threshold(pictures, "--alpha", 0.1)).code == 0
    command = ["ood", "score", "--model", pictures / "other", "--detector", "d.safetensors"]
    said = refused(limen, tmp_path, *command, pictures / "noise")
    assert "was made for another model" in said
    both = ["ood", "score", "--model", pictures / "model", "--detector", "d.safetensors"]
    said = refused(limen, tmp_path, *both, "--score", "msp", pictures / "noise")
    assert "--detector brings its own score; leave --score and --train out" in said


def test_what_is_scored_must_be_a_picture(limen, pictures, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    command = ["ood", "score", "--model", pictures / "model"]
    one = pictures / "noise/01.png"
    said = refused(limen, tmp_path, *command, one, "bad.png")
    assert "PATHS: 1 of 2 pictures cannot be read (bad.png)" in said
    assert "there is nothing at nowhere" in refused(limen, tmp_path, *command, "nowhere.png")
    ended = limen(*command, one, "bad.png", "--skip-bad")
    assert len(ended.out.splitlines()) == 1
    assert "left out 1 that cannot be read: bad.png" in ended.err
