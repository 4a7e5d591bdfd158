"""The closed forms equal their definitions, bounds and printed reference values."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import log_softmax, normalize

from limen._core.errors import UsageError
from limen.ood.objectives.losses import oe, scale_gradient, supcon

Z = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.float64)
LOGITS = arrays("float64", (4, 5), elements=st.floats(-30, 30)).map(torch.from_numpy)


def test_oe_and_its_gradient_equal_the_reference_vectors():
    z = Z.clone().requires_grad_()
    oe(z).backward()
    assert oe(Z).item() == pytest.approx(1.8365126862, abs=1e-10)
    expected = torch.tensor([[0.5104614011, -0.2191381339, -0.2913232672]], dtype=torch.float64)
    torch.testing.assert_close(z.grad, expected, atol=1e-10, rtol=0)


def test_scale_gradient_and_its_gradient_equal_the_reference_vectors():
    z = Z.clone().requires_grad_()
    scale_gradient(z).backward()
    assert scale_gradient(Z).item() == pytest.approx(1.3122460695, abs=1e-10)
    expected = torch.tensor([[0.8095196348, -0.4070554020, -0.4024642329]], dtype=torch.float64)
    torch.testing.assert_close(z.grad, expected, atol=1e-10, rtol=0)


@given(LOGITS)
def test_oe_is_the_mean_negative_log_probability(z):
    torch.testing.assert_close(oe(z, reduction="none"), -log_softmax(z, -1).mean(-1))
    torch.testing.assert_close(oe(z), oe(z, reduction="none").mean())


@given(LOGITS, st.floats(-10, 10))
def test_oe_does_not_change_when_a_constant_is_added(z, constant):
    torch.testing.assert_close(oe(z + constant), oe(z), atol=1e-12, rtol=1e-12)


def test_oe_is_smallest_where_all_logits_are_equal():
    equal = torch.full((1, 7), 3.0, dtype=torch.float64)
    assert oe(equal).item() == pytest.approx(torch.tensor(7.0).double().log().item(), abs=1e-12)


@given(LOGITS)
def test_oe_above_its_least_value_is_at_most_the_scale_gradient(z):
    regret = oe(z, reduction="none") - torch.tensor(5.0).double().log()
    assert (regret >= -1e-12).all()
    assert (regret <= scale_gradient(z, reduction="none") + 1e-12).all()


@given(LOGITS)
def test_scale_gradient_is_the_derivative_by_the_scale(z):
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(oe(scale * z), scale)
    torch.testing.assert_close(derivative, scale_gradient(z), atol=1e-10, rtol=1e-10)


def test_supcon_equals_the_reference_values():
    corners = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1])
    expected = torch.log1p(2 * torch.exp(torch.tensor(-1 / 0.07, dtype=torch.float64))).item()
    assert supcon(corners, labels).item() == pytest.approx(expected, abs=1e-12)
    assert expected == pytest.approx(1.2497e-6, rel=1e-4)
    alike = torch.ones(4, 2, dtype=torch.float64)
    assert supcon(alike, labels).item() == pytest.approx(1.0986122887, abs=1e-9)


def features(rows: int = 7) -> torch.Tensor:
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 2, 0, 1, 1, 3])


def test_supcon_equals_the_sum_over_rows_and_pairs():
    unit, total = normalize(features()), 0.0
    for i in range(7):
        positives = [j for j in range(7) if j != i and LABELS[j] == LABELS[i]]
        below = torch.stack([(unit[i] @ unit[a] / 0.5).exp() for a in range(7) if a != i]).sum()
        for j in positives:
            total -= (unit[i] @ unit[j] / 0.5 - below.log()) / len(positives) / 7
    torch.testing.assert_close(supcon(features(), LABELS, temperature=0.5), total)


def test_supcon_does_not_know_the_order_nor_the_names_of_classes():
    order = torch.tensor([3, 1, 6, 0, 5, 2, 4])
    expected = supcon(features(), LABELS)
    torch.testing.assert_close(supcon(features()[order], LABELS[order]), expected)
    torch.testing.assert_close(supcon(features(), (LABELS + 1) % 4), expected)


def test_supcon_of_a_row_alone_in_its_class_is_zero():
    each = supcon(features(), LABELS, reduction="none")
    assert each[2] == each[6] == 0
    assert (each[[0, 1]] > 0).all()


@pytest.mark.parametrize("rows", [1, 3])
def test_supcon_without_any_pair_gives_a_zero_gradient(rows):
    alone = features(rows).requires_grad_()
    supcon(alone, torch.arange(rows)).backward()
    assert (alone.grad == 0).all()


def test_supcon_refuses_a_temperature_of_zero():
    with pytest.raises(UsageError, match="temperature=0"):
        supcon(features(), LABELS, temperature=0)
