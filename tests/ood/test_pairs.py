"""Batches of both kinds: each row once an epoch, any source, the same again by number."""

import numpy as np
import pytest
import torch
from outlier_toys import net, trained
from torch.utils.data import DataLoader, TensorDataset

from limen._core.errors import UsageError
from limen.ood.augment import Augment
from limen.ood.objectives import OutlierExposure
from limen.ood.pairs import in_memory, pairs
from limen.ood.step import Step

ROWS = torch.arange(10.0)[:, None], torch.arange(10) % 2
STRANGE = -torch.arange(1.0, 8.0)[:, None]


def test_each_row_comes_once_an_epoch():
    found = pairs(ROWS, STRANGE, batch=5, outlier_batch=7)
    for epoch in range(3):
        inliers = torch.cat([found[2 * epoch].inputs, found[2 * epoch + 1].inputs])
        assert sorted(inliers[:, 0].tolist()) == list(range(10))
        assert sorted(found[epoch].outliers[:, 0].tolist()) == sorted(STRANGE[:, 0].tolist())


def test_epochs_differ_in_order():
    found = pairs(ROWS, batch=10)
    assert found[0].inputs.tolist() != found[1].inputs.tolist()


def test_every_batch_is_full_and_keeps_labels_with_rows():
    found = pairs(ROWS, STRANGE, batch=4)
    for i in range(6):
        inputs, labels, outliers = found[i]
        assert (len(inputs), len(outliers)) == (4, 8)
        assert (inputs[:, 0] % 2 == labels).all()


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    one, again, other = (pairs(ROWS, STRANGE, batch=4, seed=s) for s in (0, 0, 1))
    _ = one[0], one[7]
    assert torch.equal(one[3].inputs, again[3].inputs)
    assert torch.equal(one[3].outliers, again[3].outliers)
    assert not torch.equal(one[3].inputs, other[3].inputs)


def test_a_batch_may_be_larger_than_the_set():
    assert len(pairs(ROWS, STRANGE, batch=25)[0].inputs) == 25


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        tuple(x.numpy() for x in ROWS),
        {"inputs": ROWS[0], "labels": ROWS[1]},
        TensorDataset(*ROWS),
        [(row, int(label)) for row, label in zip(*ROWS, strict=True)],
    ],
    ids=["tensors", "arrays", "dict", "dataset", "list of rows"],
)
def test_every_kind_of_source_gives_the_same_rows(source):
    inputs, labels, _ = pairs(source, batch=4)[1]
    inputs = inputs["inputs"] if isinstance(inputs, dict) else inputs
    assert torch.equal(inputs, pairs(ROWS, batch=4)[1].inputs)
    assert torch.equal(labels, pairs(ROWS, batch=4)[1].labels)


def test_labels_of_outliers_are_not_looked_at():
    found = pairs(ROWS, (STRANGE, torch.full((7,), 99)), batch=2)
    assert found[0].outliers.shape == (4, 1)


def test_dicts_of_tensors_stay_dicts():
    words = {"input_ids": torch.arange(20).view(10, 2), "attention_mask": torch.ones(10, 2)}
    found = pairs({**words, "labels": ROWS[1]}, words, batch=3)[0]
    assert found.inputs.keys() == found.outliers.keys() == words.keys()
    assert (found.inputs["input_ids"][:, 0] % 4 == 2 * found.labels).all()


def test_loaders_are_read_in_their_order_and_again_from_the_front():
    found = pairs(DataLoader(TensorDataset(*ROWS), batch_size=5), DataLoader(STRANGE, batch_size=7))
    firsts = [found[i].inputs[0].item() for i in range(4)]
    assert firsts == [0, 5, 0, 5]
    assert found[4].outliers.shape == (7, 1)


def test_a_loader_that_shuffles_needs_a_generator_to_be_resumed():
    dataset = TensorDataset(*ROWS)
    with pytest.raises(UsageError, match="generator"):
        pairs(DataLoader(dataset, shuffle=True), STRANGE).require_resumable()
    own = DataLoader(dataset, shuffle=True, generator=torch.Generator().manual_seed(0))
    pairs(own, STRANGE).require_resumable()


def test_the_same_kinds_with_other_rows_are_told_apart():
    assert repr(pairs(ROWS, STRANGE)) != repr(pairs(ROWS, STRANGE, batch=3))
    assert repr(pairs(ROWS, STRANGE)) != repr(pairs(ROWS, STRANGE, seed=3))
    assert repr(pairs(ROWS, STRANGE)) == repr(pairs(ROWS, STRANGE))


def test_pictures_of_both_kinds_are_augmented():
    images = np.full((6, 3, 8, 8), 255, dtype=np.uint8)
    plain = Augment(padding=0, flip=False, mean=(0.5,), std=(0.5,))
    found = pairs((images, np.arange(6) % 2), images, batch=2, augment=plain)[0]
    assert found.inputs.dtype == found.outliers.dtype == torch.float32
    assert found.inputs.unique().tolist() == found.outliers.unique().tolist() == [1.0]


def test_inliers_and_outliers_are_not_cropped_alike():
    images = torch.arange(64.0).view(1, 1, 8, 8).expand(4, 1, 8, 8) / 64
    found = pairs((images, ROWS[1][:4]), images, batch=4, outlier_batch=4,
                  augment=Augment(mean=(0.0,), std=(1.0,)))[0]  # fmt: skip
    assert not torch.equal(found.inputs, found.outliers)


def test_text_cannot_be_augmented():
    words = {"input_ids": torch.ones(4, 2), "labels": torch.tensor([0, 1, 0, 1])}
    with pytest.raises(UsageError, match="pictures"):
        _ = pairs(words, batch=2, augment=Augment())[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: pairs(ROWS[0], STRANGE), "labels"),
        (lambda: pairs((ROWS[0], torch.zeros(10, dtype=torch.int64)), STRANGE), "two classes"),
        (lambda: pairs((ROWS[0], ROWS[1][:3]), STRANGE), "as many"),
        (lambda: pairs((ROWS[0], ROWS[1].float()), STRANGE), "whole-number"),
        (lambda: pairs(ROWS, STRANGE[:0]), "outliers must have rows"),
        (lambda: pairs((ROWS[0][:0], ROWS[1][:0])), "inliers must have rows"),
        (lambda: pairs([], STRANGE), "inliers must have rows"),
        (lambda: pairs(ROWS, 7), "got int"),
        (lambda: pairs(ROWS, batch=0), "batch=0"),
        (lambda: pairs(ROWS, outlier_batch=0), "outlier_batch=0"),
        (lambda: pairs(DataLoader(ROWS[0], batch_size=2))[0], "with labels"),
        (lambda: in_memory(DataLoader(ROWS[0]), "inliers"), "in memory"),
    ],
)
def test_what_cannot_be_paired_is_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        wrong()


def test_fit_reads_them():
    rows = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
    found = pairs((rows, torch.arange(12) % 3), rows + 9, batch=4)
    assert len(trained(net(), Step(OutlierExposure()), found).history) == 5
