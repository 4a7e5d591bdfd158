"""Mining by the probability of the extra class."""

import pytest
import torch
from outlier_toys import batch, net
from torch.nn.functional import log_softmax

from limen._core.errors import UsageError
from limen.ood.objectives import NTOM
from limen.ood.step import Step


def test_only_the_mined_outliers_are_learnt():
    model, found = net(norm="none", extra=1), batch()
    loss = Step(NTOM())(model, found)["outlier"]
    background = log_softmax(model(found.outliers), -1)[:, -1]
    expected = -background.sort().values[6:18].mean()  # 48 candidates: from 0.125 on, a quarter
    torch.testing.assert_close(loss, expected)


def test_a_larger_quantile_is_easier():
    model = net(norm="none", extra=1)
    losses = [Step(NTOM(quantile=q))(model, batch())["outlier"] for q in (0.0, 0.25, 0.75)]
    assert losses[0] > losses[1] > losses[2]


def test_keeping_all_is_the_plain_extra_class():
    model, found = net(norm="none", extra=1), batch()
    loss = Step(NTOM(quantile=0.0, keep=1.0))(model, found)["outlier"]
    torch.testing.assert_close(loss, -log_softmax(model(found.outliers), -1)[:, -1].mean())


@pytest.mark.parametrize("count", range(1, 12))
def test_some_candidate_is_always_learnt(count):
    found = NTOM(quantile=0.75).hardest(torch.rand(count))
    assert 1 <= len(found) <= max(1, count // 3)
    assert found.max() < count


@pytest.mark.parametrize("wrong", [{"keep": 0.0}, {"quantile": 0.8}, {"quantile": -0.1}])
def test_shares_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        NTOM(**wrong)
