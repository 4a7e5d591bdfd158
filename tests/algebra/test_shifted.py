"""Moved models come back bit for bit; blends are exact at both ends."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from limen._core.errors import UsageError
from limen.algebra import ParamVector, blend, placed, shifted


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def bits(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("move", [shifted, placed])
def test_the_model_comes_back_bit_for_bit(model, move):
    before = bits(model)
    with move(model, {"0.weight": torch.full((4, 3), 1e9)}):
        assert not same(bits(model), before)
    assert same(bits(model), before)


@pytest.mark.parametrize("move", [shifted, placed])
def test_the_model_comes_back_when_the_block_raises(model, move):
    before = bits(model)
    with pytest.raises(ZeroDivisionError), move(model, {"2.bias": torch.ones(1)}):
        raise ZeroDivisionError
    assert same(bits(model), before)


def test_the_model_comes_back_when_the_move_itself_fails(model):
    before = bits(model)
    wrong = {"0.weight": torch.ones(4, 3), "2.weight": torch.ones(7, 7)}
    with pytest.raises(RuntimeError), shifted(model, wrong):
        pass
    assert same(bits(model), before)


def test_gradients_inside_are_those_at_the_shifted_point(model):
    x = torch.randn(5, 3)
    step = ParamVector.of(model).map(lambda p: 0.1 * torch.ones_like(p))
    with shifted(model, step):
        model(x).square().mean().backward()
    twin = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    twin.load_state_dict({k: v + 0.1 for k, v in model.state_dict().items()})
    twin(x).square().mean().backward()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_placed_stands_exactly_where_it_was_told(model):
    there = ParamVector.of(model).map(torch.zeros_like)
    with placed(model, there):
        assert same(bits(model), there)


@pytest.mark.parametrize("move", [shifted, placed])
def test_an_unknown_name_is_refused_before_anything_moves(model, move):
    before = bits(model)
    with (
        pytest.raises(UsageError, match=r"'nope'.*are not"),
        move(model, {"nope": torch.ones(1), "2.bias": torch.ones(1)}),
    ):
        pass
    assert same(bits(model), before)


WEIGHT = st.floats(0, 1)
VALUES = st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3)


@given(VALUES, VALUES)
def test_a_blend_is_exact_at_both_ends(x, y):
    before, after = {"w": torch.tensor(x)}, {"w": torch.tensor(y)}
    assert torch.equal(blend(before, after, 0)["w"], before["w"])
    assert torch.equal(blend(before, after, 1)["w"], after["w"])


@given(VALUES, WEIGHT)
def test_two_equal_checkpoints_blend_to_themselves(x, weight):
    both = {"w": torch.tensor(x)}
    assert torch.equal(blend(both, both, weight)["w"], both["w"])


@given(VALUES, VALUES, WEIGHT)
def test_a_blend_lies_between_its_ends(x, y, weight):
    a, b = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    mixed = blend({"w": a}, {"w": b}, weight)["w"]
    torch.testing.assert_close(mixed, (1 - weight) * a + weight * b, atol=1e-9, rtol=1e-9)
    assert mixed.dtype == torch.float64


def test_bfloat16_is_mixed_in_float32_and_cast_once():
    # In bfloat16 the weight 0.3 and every product would be rounded before the sum.
    a, b = (torch.tensor([x], dtype=torch.bfloat16) for x in (1.0, 1.0625))
    mixed = blend({"w": a}, {"w": b}, 0.3)["w"]
    assert mixed.dtype == torch.bfloat16
    assert torch.equal(mixed, (0.7 * a.float() + 0.3 * b.float()).bfloat16())


def test_a_blend_shares_no_storage_and_keeps_integers():
    count = torch.tensor([3])
    mixed = blend({"n": count}, {"n": torch.tensor([9])}, 0.5)["n"]
    count.add_(1)
    assert mixed.tolist() == [3]


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan")])
def test_a_weight_outside_the_ends_is_refused(weight):
    one = {"w": torch.ones(1)}
    with pytest.raises(UsageError, match=r"must lie in \[0, 1\]"):
        blend(one, one, weight)


def test_checkpoints_of_other_names_are_refused():
    with pytest.raises(UsageError, match="only one has"):
        blend({"w": torch.ones(1)}, {"v": torch.ones(1)}, 0.5)
