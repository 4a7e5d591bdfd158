"""Lists, arrays and tensors mean the same numbers; what is no number is refused by name."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from limen import measure
from limen._core.errors import UsageError
from limen.measure._numbers import flat, numbers, row

VALUES = [0.5, -1.0, 2.0]  # exact in every floating format


@pytest.mark.parametrize(
    "values",
    [
        tuple(VALUES),
        np.array(VALUES, dtype=np.float16),
        torch.tensor(VALUES),
        torch.tensor(VALUES, dtype=torch.bfloat16),
        torch.tensor(VALUES, requires_grad=True),
        torch.nn.Parameter(torch.tensor(VALUES)),
        [torch.tensor(value, requires_grad=True) for value in VALUES],
        [torch.tensor(VALUES[0], dtype=torch.bfloat16), *VALUES[1:]],
    ],
)
def test_every_kind_of_input_means_the_same_numbers(values):
    found = numbers("x", values)
    assert found.dtype == np.float64
    assert found.tolist() == VALUES


def test_a_float64_tensor_loses_no_digit():
    assert numbers("x", torch.tensor([0.1], dtype=torch.float64)).tolist() == [0.1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_tensor_on_a_gpu_is_brought_over():
    values = torch.tensor(VALUES, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    assert numbers("x", values).tolist() == VALUES


def test_integers_are_numbers_and_shape_is_kept():
    assert numbers("x", torch.tensor([[1, 2], [3, 4]])).tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_nested_lists_of_tensors_are_read():
    assert numbers("x", [[torch.tensor(1.0), 2.0], torch.tensor([3.0, 4.0])]).shape == (2, 2)


def test_the_input_is_neither_changed_nor_shared():
    given = np.array(VALUES)
    numbers("x", given)[0] = 99.0
    assert given.tolist() == VALUES


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        np.array([True]),
        torch.tensor([True]),
        ["a", "b"],
        np.array([1j]),
        torch.tensor([1j]),
        [[1.0, 2.0], [3.0]],
        np.array([None]),
        [float("nan"), 1.0],
        torch.tensor([1.0, float("nan")]),
    ],
)
def test_what_is_not_a_real_number_is_refused_by_name(values):
    with pytest.raises(UsageError, match=r"^inlier_scores must"):
        numbers("inlier_scores", values)


def test_scores_may_have_any_shape_and_be_infinite():
    assert flat("x", [[1.0, float("inf")]]).tolist() == [1.0, float("inf")]


def test_no_scores_at_all_are_refused():
    with pytest.raises(UsageError, match="x must hold at least one score, got none"):
        flat("x", [])


@pytest.mark.parametrize("values", [[], [[1.0]], 1.0, [1.0, float("inf")]])
def test_a_row_is_flat_filled_and_finite(values):
    with pytest.raises(UsageError, match=r"^x must"):
        row("x", values)


def test_measuring_plain_lists_never_imports_torch():
    code = (
        "import sys; from limen import measure; measure.auroc([0, 1], [1, 2]);"
        "measure.Threshold(0.5).fit([1.0, 2.0]).flag([1.0]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_exported_name_can_be_imported():
    assert all(getattr(measure, name).__name__ == name for name in measure.__all__)
