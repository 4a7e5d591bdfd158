"""Nested values come back as they were, and nothing is ever unpickled."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from limen._core.errors import UsageError
from limen.run.tree import read_tree, write_tree

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
KEYS = st.one_of(
    st.integers(), st.text(max_size=5), st.booleans(), st.tuples(st.integers(), st.text(max_size=2))
)
TREES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=12,
)


def kinds(value):
    """The value with the type of each part, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {(type(key), key): kinds(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [kinds(item) for item in value]
    return type(value), value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_plain_values_come_back_with_their_types(tmp_path, tree):
    write_tree(tmp_path / "tree", tree)
    assert kinds(read_tree(tmp_path / "tree")) == kinds(tree)


TYPES = [
    torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8,
    torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)], ids=str)
def test_tensors_of_every_type_and_shape_come_back(tmp_path, dtype, shape):
    tensor = (10 * torch.randn(shape)).to(dtype)
    write_tree(tmp_path / "tree", {"inside": [tensor]})
    (found,) = read_tree(tmp_path / "tree")["inside"]
    assert found.dtype == dtype
    assert found.shape == tensor.shape
    assert torch.equal(found, tensor)


@pytest.mark.parametrize(
    "array", [np.arange(6).reshape(2, 3), np.float32([1.5]), np.array(3.0), np.array([1j, 2])]
)
def test_arrays_come_back_as_arrays(tmp_path, array):
    write_tree(tmp_path / "tree", array)
    found = read_tree(tmp_path / "tree")
    assert isinstance(found, np.ndarray)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_views_and_shared_storage_are_written_one_by_one(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    write_tree(tmp_path / "tree", [base, base.T, base[0], base.numpy()[:, ::-1]])
    a, b, c, d = read_tree(tmp_path / "tree")
    assert torch.equal(b, a.T)
    assert torch.equal(c, a[0])
    assert np.array_equal(d, a.numpy()[:, ::-1])


def test_numbers_that_are_none_come_back(tmp_path):
    write_tree(tmp_path / "tree", [math.inf, -math.inf, math.nan])
    found = read_tree(tmp_path / "tree")
    assert found[:2] == [math.inf, -math.inf]
    assert math.isnan(found[2])


def test_numpy_scalars_become_plain_numbers(tmp_path):
    write_tree(tmp_path / "tree", [np.float32(0.5), np.int64(3), np.bool_(True), np.str_("a")])
    assert kinds(read_tree(tmp_path / "tree")) == kinds([0.5, 3, True, "a"])


def test_gradients_are_not_written(tmp_path):
    write_tree(tmp_path / "tree", torch.nn.Parameter(torch.ones(2)))
    assert not read_tree(tmp_path / "tree").requires_grad


def test_tensors_that_were_read_are_aligned_as_fresh_ones_are(tmp_path):
    """Or sums over them would be taken in another order, and a resumed run would differ."""
    write_tree(tmp_path / "tree", {"a" * n: torch.ones(n, dtype=torch.uint8) for n in range(1, 9)})
    assert all(value.data_ptr() % 64 == 0 for value in read_tree(tmp_path / "tree").values())


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, 1j, b"bytes", np.array(["text"]), np.array([object()])],
    ids=["object", "set", "complex", "bytes", "array of text", "array of objects"],
)
def test_everything_else_is_refused_and_nothing_written(tmp_path, value):
    with pytest.raises(UsageError, match="can be saved"):
        write_tree(tmp_path / "tree", {"state": value})
    assert list(tmp_path.iterdir()) == []


def test_foreign_files_are_refused(tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "foreign")
    (tmp_path / "text").write_text("no tensors here")
    with pytest.raises(UsageError, match="written by something else"):
        read_tree(tmp_path / "foreign")
    with pytest.raises(UsageError, match="must be a safetensors file"):
        read_tree(tmp_path / "text")
    with pytest.raises(UsageError, match="no such file"):
        read_tree(tmp_path / "missing")


def test_a_file_cut_short_is_refused(tmp_path):
    write_tree(tmp_path / "tree", torch.ones(100))
    whole = (tmp_path / "tree").read_bytes()
    (tmp_path / "tree").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="must be a safetensors file"):
        read_tree(tmp_path / "tree")
