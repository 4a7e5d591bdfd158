import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.bank import Outputs


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int32])
def test_every_kind_of_number_becomes_float32(dtype):
    outputs = Outputs(logits=torch.tensor([[1, 2], [3, 4]], dtype=dtype))
    assert outputs.logits.dtype == np.float32
    assert outputs.logits.tolist() == [[1, 2], [3, 4]]


def test_float32_arrays_are_kept_without_a_copy():
    features = np.ones((3, 2), np.float32)
    assert Outputs(features=features).features is features


def test_tensors_with_gradients_are_taken():
    assert Outputs(features=torch.ones(2, 2, requires_grad=True)).features.sum() == 4


def test_outputs_cannot_be_changed():
    with pytest.raises(AttributeError):
        Outputs(labels=[1]).labels = None


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({}, "got no array at all"),
        ({"logits": [[1.0]], "labels": [0, 1]}, "got 1 of logits, 2 of labels"),
        ({"logits": [1.0, 2.0]}, r"logits must be numbers of two dimensions, .* \(2,\)"),
        ({"features": [["a"]]}, "features must be numbers of two dimensions"),
        ({"labels": [0.5]}, "labels must be whole numbers"),
        ({"labels": [float("nan")]}, "labels must be whole numbers"),
        ({"labels": [[1]]}, "labels must be whole numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, why):
    with pytest.raises(UsageError, match=why):
        Outputs(**arrays)
