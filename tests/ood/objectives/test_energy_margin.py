"""Hinges on both sides of a gap."""

import pytest
import torch
from outlier_toys import batch, net
from torch.nn.functional import relu

from limen._core.errors import UsageError
from limen.ood.objectives import EnergyMargin
from limen.ood.step import PairedRows, Step


def test_it_equals_the_published_formula():
    model, (inputs, labels, outliers) = net(norm="none"), batch()
    found = Step(EnergyMargin(-3.0, -0.5))(model, PairedRows(inputs, labels, outliers))
    inside, outside = (-torch.logsumexp(model(x), -1) for x in (inputs, outliers))
    expected = (relu(inside + 3) ** 2).mean() + (relu(-0.5 - outside) ** 2).mean()
    torch.testing.assert_close(found["outlier"], expected)


def test_it_is_zero_where_both_margins_hold():
    model = net(norm="none")
    assert Step(EnergyMargin(1000.0, 1000.0))(model, batch())["outlier"] > 0
    with torch.no_grad():
        model.fc.weight.zero_()
        model.fc.bias.zero_()  # every energy is -log 3
    assert Step(EnergyMargin(-1.0, -1.0))(model, batch())["outlier"].item() == pytest.approx(
        0.0986122887**2, rel=1e-4
    )
    found = Step(EnergyMargin(-1.0986, -1.0987 + 1e-3))(model, batch())["outlier"]
    assert found.item() < 2e-6


def test_margins_in_the_wrong_order_are_refused():
    with pytest.raises(UsageError, match="m_out"):
        EnergyMargin(m_in=-5.0, m_out=-23.0)
