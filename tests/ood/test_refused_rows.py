"""Rows that training refuses, or takes, whatever they come in."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import limen
from limen import ood
from limen._core.errors import UsageError
from limen.ood.nets import MLP

X, Y = torch.eye(4).repeat(8, 1), torch.arange(4).repeat(8)
OUT = torch.ones(32, 4)


def net() -> nn.Module:
    return MLP(4, 4, widths=(8,))


def trained(inliers, outliers=OUT, model: nn.Module | None = None):
    return ood.train(model or net(), inliers, outliers, objective=ood.OutlierExposure(), steps=20,
                     lr=0.01)  # fmt: skip


def one_class() -> TensorDataset:
    return TensorDataset(X, torch.full_like(Y, 2))


@pytest.mark.parametrize("rows", [one_class(), DataLoader(one_class(), batch_size=8)])
def test_one_class_behind_a_dataset_or_loader_is_refused_after_an_epoch(rows):
    with pytest.raises(UsageError, match="of two classes or more; all of a first epoch"):
        trained(rows)


def test_sorted_batches_of_two_classes_are_no_single_class():
    order = Y.argsort()
    trained(DataLoader(TensorDataset(X[order], Y[order]), batch_size=8))


def test_arrays_of_float64_train_as_float32_ones_do():
    wide = trained((X.double().numpy(), Y.numpy()), OUT.double().numpy())
    assert wide.history == trained((X, Y)).history


@pytest.mark.parametrize("kind", ["inliers", "outliers"])
def test_nan_is_laid_to_the_rows_that_hold_it(kind):
    rows = {"inliers": X.clone(), "outliers": OUT.clone()}
    rows[kind][3, 1] = np.nan
    with pytest.raises(UsageError, match=f"{kind} must be finite; "):
        trained((rows["inliers"], Y), rows["outliers"])


def test_rows_of_another_width_are_named_with_their_shapes():
    with pytest.raises(UsageError, match=r"of inliers \(5,\) and outliers \(5,\) it says"):
        trained((torch.ones(32, 5), Y), torch.ones(32, 5))


def test_a_network_in_bfloat16_takes_float32_rows():
    losses = trained((X, Y), model=net().bfloat16()).history
    assert all(np.isfinite(row["outlier"]) for row in losses)


def test_bytes_cannot_be_moved_by_a_fraction():
    with pytest.raises(UsageError, match="inputs must be real numbers"):
        ood.ODIN()(net(), torch.zeros(2, 4, dtype=torch.uint8))


def test_odin_scores_a_network_in_bfloat16():
    found = ood.ODIN()(net().bfloat16(), X.bfloat16())
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_a_distance_beyond_half_precision_is_kept():
    rng = np.random.default_rng(0)
    rows, far = rng.normal(size=(64, 4)), np.full((1, 4), 6e4, dtype=np.float16)
    score = ood.Mahalanobis().fit(rows, np.arange(64) % 2)(far)
    assert np.isfinite(score).all()
    assert score.dtype == np.float32


def test_alignment_is_in_full_precision_under_autocast():
    torch.manual_seed(0)
    rows, labels = torch.randn(16, 8), torch.arange(16) % 4
    from limen.ood.objectives.losses import supcon

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = supcon(rows, labels)
    assert found.item() == supcon(rows, labels).item()


def test_a_detector_follows_a_network_that_trained_on_before_its_fit():
    model = net().eval()
    detector = ood.Detector(model)
    with torch.no_grad():
        model[-1].weight.mul_(2) if isinstance(model, nn.Sequential) else next(
            model.parameters()
        ).mul_(2)
    detector.fit(X, alpha=0.2)
    next(model.parameters()).data.view(torch.int32)[0, 0] += 1
    with pytest.raises(limen._core.errors.UsageError, match="of another network"):
        detector(X)
