"""Rows of length 1: the one place where embeddings are checked."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from limen._core.errors import UsageError
from limen.shift.models.asking import asked, device_of, dtype_of, moved, quiet
from limen.shift.models.unit import unit

ROWS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-1e6, 1e6).map(lambda x: x + 0.5 if x >= 0 else x - 0.5),
)


@given(ROWS)
def test_rows_have_length_one_and_keep_their_direction(rows: np.ndarray) -> None:
    found = unit("rows", rows)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)  # float32
    cosine = (found * rows).sum(1) / np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(cosine, 1, atol=1e-5)


@given(ROWS)
def test_a_unit_row_stays_as_it_is(rows: np.ndarray) -> None:
    once = unit("rows", rows)
    np.testing.assert_allclose(unit("rows", once), once, atol=1e-6)


@given(ROWS, st.floats(1e-250, 1e250))
def test_a_factor_of_any_size_changes_nothing(rows: np.ndarray, factor: float) -> None:
    np.testing.assert_allclose(unit("rows", rows * factor), unit("rows", rows), atol=1e-6)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_tensors_of_any_precision_become_float32(kind: torch.dtype) -> None:
    found = unit("rows", torch.tensor([[3, 4]], dtype=kind, requires_grad=False))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8]], atol=1e-6)


def test_the_rows_given_are_not_touched() -> None:
    rows = np.array([[3.0, 4.0]])
    unit("rows", rows)
    assert rows.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.ones(3), "mine must be numbers of shape"),
        (np.ones((2, 0)), "mine must be numbers of shape"),
        (np.array([["a"]]), "mine must be numbers of shape"),
        (np.array([[1.0], [np.nan]]), "1 of 2 rows are not, the first is row 1"),
        (np.array([[-np.inf, 0.0]]), "1 of 1 rows are not"),
        (np.array([[0.0, -0.0], [1.0, 0.0]]), "1 of 2 rows have length 0, the first is row 0"),
    ],
)
def test_rows_without_direction_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        unit("mine", rows)


def test_several_answers_of_one_pass_are_kept_apart() -> None:
    def answer(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return pixels, pixels[:, :1] * 2

    rows = np.arange(10.0).reshape(5, 2)
    whole, first = asked(answer, rows, prepare=None, size=2, workers=1, what="toy")
    np.testing.assert_array_equal(whole, rows)
    np.testing.assert_array_equal(first, rows[:, :1] * 2)
    assert whole.dtype == first.dtype == np.float32


def test_arrays_are_cut_and_never_copied_whole() -> None:
    rows, seen = torch.zeros(4, 2), []
    asked(lambda x: (seen.append(x.data_ptr()), x)[1:], rows, prepare=None, size=2, workers=1,
          what="toy")  # fmt: skip
    assert seen == [rows[0].data_ptr(), rows[2].data_ptr()]


def test_every_module_gets_its_own_mode_back_after_an_error() -> None:
    one, other = torch.nn.Dropout().train(), torch.nn.Dropout().eval()
    seen: list[bool] = []

    def failing() -> None:
        with quiet([one, other]):
            seen.append(one.training)
            raise RuntimeError("meanwhile")

    with pytest.raises(RuntimeError, match="meanwhile"):
        failing()
    assert seen == [False]
    assert one.training
    assert not other.training
    assert torch.is_grad_enabled()


def test_device_and_precision_follow_the_first_weight() -> None:
    network = torch.nn.Linear(2, 2, device="meta", dtype=torch.float16)
    assert (device_of([network]), dtype_of([network])) == (torch.device("meta"), torch.float16)
    assert (device_of([]), dtype_of([torch.nn.ReLU()])) == (torch.device("cpu"), None)


def test_tokens_keep_their_type_where_pixels_take_the_weights() -> None:
    given_ = {"ids": torch.ones(1, dtype=torch.int64), "pixels": torch.ones(1), "style": "full"}
    found = moved(given_, torch.device("cpu"), torch.float16)
    assert (found["ids"].dtype, found["pixels"].dtype) == (torch.int64, torch.float16)
    assert found["style"] == "full"
