"""A detector keeps its promise, survives the disk, and knows its network."""

from functools import partial
from math import floor, sqrt

import numpy as np
import pytest
import torch
from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, torch_stream
from limen.bank import FeatureBank, Outputs
from limen.ood.detector import Detector
from limen.ood.scores.ash import ASH
from limen.ood.scores.energy import energy
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.knn import KNN
from limen.ood.scores.mahalanobis import Mahalanobis
from limen.ood.scores.max_logit import max_logit
from limen.ood.scores.msp import msp
from limen.ood.scores.nn_guide import NNGuide
from limen.ood.scores.protocol import name_of
from limen.ood.scores.react import ReAct
from limen.ood.scores.relative_mahalanobis import RelativeMahalanobis
from limen.ood.scores.residual import Residual
from limen.ood.scores.scale import SCALE
from limen.ood.scores.vim import ViM
from limen.run.files import load, save


def rows(name: str, count: int = 100) -> torch.Tensor:
    return torch.randn(count, 4, generator=torch_stream(0, name))


def network(seed: int = 0) -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).requires_grad_(False)
    for weight in model.parameters():
        weight.copy_(torch.randn(weight.shape, generator=torch_stream(seed, "weights")))
    return model


def trained() -> tuple[torch.Tensor, torch.Tensor]:
    return rows("train"), torch.arange(100) % 3


def test_the_mean_false_alarm_rate_is_the_promised_one() -> None:
    """200 splits of one pool: within two standard errors of floor((n + 1) alpha) / (n + 1)."""
    logits = numpy_stream(0, "pool").normal(size=(400, 5))
    rates = []
    for split in range(200):
        order = numpy_stream(split, "split").permutation(400)
        detector = Detector().fit(Outputs(logits=logits[order[:130]]), alpha=0.1)
        rates.append(detector(Outputs(logits=logits[order[130:]])).flags.mean())
    expected = floor(131 * 0.1) / 131
    assert abs(np.mean(rates) - expected) <= 2 * np.std(rates, ddof=1) / sqrt(200)


def test_each_predicted_class_keeps_the_promise() -> None:
    stream = numpy_stream(0, "classes")
    logits = stream.normal(size=(6000, 2)) + np.array([[2.0, 0.0]])
    logits[:, 1] *= 3  # the classes' scores are spread unequally
    calibration, fresh = Outputs(logits=logits[:3000]), Outputs(logits=logits[3000:])
    flags = Detector().fit(calibration, alpha=0.1, per_class=True)(fresh).flags
    named = fresh.logits.argmax(axis=1)
    for one in (0, 1):  # about 1000 rows or more on either side: four standard errors are 0.05
        assert flags[named == one].mean() == pytest.approx(0.1, abs=0.05)


def test_classes_with_too_few_rows_are_named_or_fall_back_when_asked() -> None:
    logits = np.eye(2)[[0] * 30 + [1] * 3]
    few = Outputs(logits=logits)
    with pytest.raises(UsageError, match=r"at least 19 calibration rows .* class 1: 3"):
        Detector().fit(few, alpha=0.05, per_class=True)
    detector = Detector().fit(few, alpha=0.05, per_class=True, fallback=True)
    assert list(detector.threshold.by_class) == [0]


def test_a_class_never_predicted_in_calibration_has_no_promise() -> None:
    rows = Outputs(logits=np.eye(3)[[0] * 30 + [1] * 30])
    with pytest.raises(UsageError, match="class 2: 0"):
        Detector().fit(rows, alpha=0.05, per_class=True)
    detector = Detector().fit(rows, alpha=0.05, per_class=True, fallback=True)
    assert list(detector.threshold.by_class) == [0, 1]


def test_of_many_short_classes_the_first_are_named() -> None:
    with pytest.raises(UsageError, match=r"class 4: 1 and 35 more"):
        Detector().fit(Outputs(logits=np.eye(40)), alpha=0.05, per_class=True)


def test_too_small_an_alpha_says_how_many_rows_are_needed() -> None:
    with pytest.raises(UsageError, match="at least 99 calibration scores, got 10"):
        Detector().fit(Outputs(logits=np.eye(10)), alpha=0.01)


@pytest.mark.parametrize(
    "score", [msp, partial(energy, temperature=2.0), KNN(k=3), Mahalanobis()], ids=name_of
)
def test_save_and_load_change_no_answer(score, tmp_path) -> None:
    model = network()
    before = Detector(model, score=score).fit(rows("calibration"), train=trained())
    after = load(save(before, tmp_path / "detector")).attach(model)
    there, back = before(rows("new")), after(rows("new"))
    np.testing.assert_array_equal(there.scores, back.scores)
    np.testing.assert_array_equal(there.flags, back.flags)
    assert after.live().level == before.live().level


def test_a_fitted_score_is_copied_not_changed() -> None:
    score = KNN(k=3)
    Detector(network(), score=score).fit(rows("calibration"), train=trained())
    assert score.points is None


def test_another_network_is_refused_by_its_content(tmp_path) -> None:
    detector = Detector(network()).fit(rows("calibration"))
    loaded = load(save(detector, tmp_path / "detector"))
    with pytest.raises(UsageError, match="must be the one that the detector was fitted on"):
        loaded.attach(network(seed=1))


def test_a_network_changed_after_the_fit_is_refused() -> None:
    model = network()
    detector = Detector(model).fit(rows("calibration"))
    model[0].weight.mul_(2)
    with pytest.raises(UsageError, match="of another network"):
        detector(rows("new"))


def test_a_loaded_detector_without_network_says_what_to_do(tmp_path) -> None:
    loaded = load(save(Detector(network()).fit(rows("calibration")), tmp_path / "detector"))
    with pytest.raises(UsageError, match="attach"):
        loaded(rows("new"))


def test_what_is_not_ready_is_refused() -> None:
    with pytest.raises(UsageError, match="fitted first"):
        Detector()(Outputs(logits=np.eye(2)))
    with pytest.raises(UsageError, match="train="):
        Detector(network(), score=KNN()).fit(rows("calibration"))


def test_a_score_of_another_library_cannot_be_stored(tmp_path) -> None:
    def mine(logits):
        return -logits.max(1)

    detector = Detector(score=mine).fit(Outputs(logits=np.eye(20)))
    with pytest.raises(UsageError, match=r"one of limen\.ood\.scores"):
        save(detector, tmp_path / "detector")


@pytest.mark.slow
@pytest.mark.parametrize(
    "score",
    [msp, energy, max_logit, ReAct(), Mahalanobis(), RelativeMahalanobis(), Residual(2), ViM(2)],
    ids=name_of,
)
def test_onnx_runtime_answers_as_torch_does_for_any_number_of_rows(score, tmp_path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    detector = Detector(network(), score=score).fit(rows("calibration"), train=trained())
    path = detector.export_onnx(tmp_path / "detector.onnx", rows("example", 5))
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    new = rows("new", 33)
    scores, flags = session.run(["scores", "flags"], {"inputs": new.numpy()})
    wanted = detector(new)
    np.testing.assert_allclose(scores, wanted.scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(flags, wanted.flags)


@pytest.mark.slow
@pytest.mark.parametrize("score", [NNGuide(k=3), KNN(k=3)], ids=name_of)
def test_a_graph_that_would_take_one_number_of_rows_only_is_refused(score, tmp_path) -> None:
    pytest.importorskip("onnxscript")
    detector = Detector(network(), score=score).fit(rows("calibration"), train=trained())
    (tmp_path / "detector.onnx").write_text("an earlier one")
    with pytest.raises(UsageError, match="cannot be written as ONNX"):
        detector.export_onnx(tmp_path / "detector.onnx", rows("example", 5))
    assert (tmp_path / "detector.onnx").read_text() == "an earlier one"
    assert [path.name for path in tmp_path.iterdir()] == ["detector.onnx"]


def test_one_threshold_and_a_network_are_needed_for_a_graph(tmp_path) -> None:
    with pytest.raises(UsageError, match="needs a network"):
        Detector().fit(Outputs(logits=np.eye(20))).export_onnx(tmp_path / "x", rows("example", 5))


@pytest.mark.parametrize("score", [ASH(), SCALE()], ids=name_of)
def test_a_score_of_the_last_layer_alone_needs_no_training_rows(score):
    net, given = network(), rows("last layer")
    bank = FeatureBank.extract(net, {"train": given})
    found = Detector(net, score=score).fit(given, alpha=0.1)
    whole = Detector(net, score=score).fit(given, alpha=0.1, train=bank)
    assert np.array_equal(found(given).scores, whole(given).scores)


def test_classes_of_an_extra_class_detector_are_the_known_ones() -> None:
    logits = torch.randn(400, 3, generator=torch_stream(0, "extra"))
    found = Detector(score=extra_class).fit(Outputs(logits=logits), 0.1, per_class=True)
    assert set(found.threshold.by_class) == {0, 1}
    flags = found(Outputs(logits=logits)).flags
    assert 0.05 < flags.mean() <= 0.1
