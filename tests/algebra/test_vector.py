"""Named tensors behave like one long vector."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.algebra import ParamVector, inners

FLOATS = st.floats(-100, 100, allow_nan=False, width=32)
ROWS = st.lists(FLOATS, min_size=3, max_size=3)


def vector(numbers):
    """Two tensors of different shapes from three numbers, in float64."""
    a, b, c = numbers
    return ParamVector(
        {
            "w": torch.tensor([[a, b]], dtype=torch.float64),
            "b": torch.tensor(c, dtype=torch.float64),
        }
    )


def flat(v):
    return torch.cat([tensor.reshape(-1) for tensor in v.values()])


@given(ROWS, ROWS)
def test_sums_and_products_are_those_of_the_flattened_vectors(x, y):
    v, w = vector(x), vector(y)
    torch.testing.assert_close(flat(v + w), flat(v) + flat(w))
    torch.testing.assert_close(flat(v - w), flat(v) - flat(w))
    assert v.dot(w) == pytest.approx(float(flat(v) @ flat(w)), rel=1e-12, abs=1e-9)


@given(ROWS, ROWS, FLOATS)
def test_the_inner_product_is_linear_and_symmetric(x, y, factor):
    v, w = vector(x), vector(y)
    assert (factor * v).dot(w) == pytest.approx(factor * v.dot(w), rel=1e-9, abs=1e-6)
    assert (v + w).dot(w) == pytest.approx(v.dot(w) + w.dot(w), rel=1e-9, abs=1e-6)
    assert v.dot(w) == w.dot(v)


@given(ROWS)
def test_subtracting_a_vector_from_itself_leaves_nothing(x):
    v = vector(x)
    assert (v - v).norm() == 0
    assert flat(v + (-v)).tolist() == [0, 0, 0]
    assert torch.equal(flat(v * 2), flat(2 * v))
    assert torch.equal(flat(v / 2), flat(v * 0.5))


def test_no_operation_changes_its_inputs():
    v, w = vector([1, 2, 3]), vector([4, 5, 6])
    before = flat(v).clone(), flat(w).clone()
    v + w, v - w, 3 * v, v / 3, -v, v.dot(w)
    assert torch.equal(flat(v), before[0])
    assert torch.equal(flat(w), before[1])


def test_of_a_model_sees_later_updates_and_a_copy_does_not():
    layer = torch.nn.Linear(2, 1)
    live, copy = ParamVector.of(layer), ParamVector.of(layer).copy()
    with torch.no_grad():
        layer.weight.add_(1)
    assert torch.equal(live["weight"], layer.weight)
    assert not torch.equal(copy["weight"], layer.weight)


def test_of_a_model_names_tied_weights_once_and_frozen_ones_never():
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    model["b"].bias.requires_grad_(False)
    assert list(ParamVector.of(model)) == ["a.weight", "a.bias"]


def test_gradients_come_by_reference_and_missing_ones_are_left_out():
    layer = torch.nn.Linear(2, 1)
    layer.weight.grad = torch.ones(1, 2)
    grads = ParamVector.grads(dict(layer.named_parameters()))
    assert list(grads) == ["weight"]
    assert grads["weight"] is layer.weight.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_an_inner_product_of_millions_of_entries_is_right(dtype):
    # A plain float32 dot of five million entries near 1 drifts by some 1e-4.
    generator = torch.Generator().manual_seed(0)
    x = (1 + 0.1 * torch.rand(5_000_001, generator=generator)).to(dtype)
    exact = float(torch.dot(x.double(), x.double()))
    v = ParamVector({"w": x})
    assert abs(v.dot(v) - exact) / exact < 1e-6
    assert abs(v.norm() - exact**0.5) / exact**0.5 < 1e-6


def test_a_half_precision_inner_product_is_not_rounded_to_half_precision():
    v = ParamVector({"w": torch.ones(1001, dtype=torch.bfloat16)})
    assert v.dot(v) == 1001


def test_of_complex_tensors_the_inner_product_is_real():
    z = ParamVector({"z": torch.tensor([1 + 2j, 3 - 1j])})
    assert z.dot(z) == 15
    assert z.dot(ParamVector({"z": torch.tensor([1j, 0j])})) == 2  # Re(conj(1+2j) * 1j)


def test_empty_tensors_and_empty_vectors_have_length_zero():
    assert ParamVector({}).norm() == 0
    assert ParamVector({"w": torch.zeros(0)}).norm() == 0


def test_several_inner_products_equal_one_at_a_time():
    v, w = vector([1, 2, 3]), vector([4, 5, 6])
    assert inners([(v, w), (v, v), (w, w)]) == [v.dot(w), v.dot(v), w.dot(w)]


def test_other_names_are_refused_and_shown():
    with pytest.raises(UsageError, match=r"same names.*'b'"):
        ParamVector({"w": torch.ones(1)}) + ParamVector({"b": torch.ones(1)})


def test_other_shapes_are_refused_even_where_they_would_broadcast():
    with pytest.raises(UsageError, match=r"w must have one shape.*\(2,\).*\(1,\)"):
        ParamVector({"w": torch.ones(2)}).dot(ParamVector({"w": torch.ones(1)}))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("model.layers.3.mlp.weight", "layers.3"),
        ("transformer.h.11.attn.bias", "h.11"),
        ("layer.2.weight", "layer.2"),
        ("model.embed_tokens.weight", "embed_tokens"),
        ("model.norm.weight", "norm"),
        ("lm_head.weight", "lm_head"),
        ("0.weight", "0"),
    ],
)
def test_a_transformer_is_grouped_by_its_blocks(name, group):
    assert list(ParamVector({name: torch.ones(1)}).grouped("layer")) == [group]


@given(ROWS)
def test_the_groups_inner_products_add_up(x):
    v = vector(x)
    parts = v.grouped("tensor").values()
    assert sum(part.dot(part) for part in parts) == pytest.approx(v.dot(v), rel=1e-12)


def test_a_function_of_the_name_groups_too():
    groups = vector([1, 2, 3]).grouped(lambda name: "all")
    assert list(groups["all"]) == ["w", "b"]


def test_an_unknown_grouping_is_refused():
    with pytest.raises(UsageError, match="by='block' must be"):
        vector([1, 2, 3]).grouped("block")
