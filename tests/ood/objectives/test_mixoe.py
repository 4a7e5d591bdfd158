"""Mixtures and their targets."""

import pytest
import torch
from outlier_toys import CLASSES, batch, net, rows, strange
from torch.nn.functional import cross_entropy, one_hot

from limen._core.errors import UsageError
from limen.bank.network import head_of, see
from limen.ood.objectives import MixOE
from limen.ood.objectives.mixoe import _beta
from limen.ood.seen import View
from limen.ood.step import PairedRows, Step


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_cross_entropy_with_the_mixed_target(monkeypatch):
    model, (inputs, labels) = net(norm="none"), rows()
    passed = []
    view = View(model, head_of(model), inputs, labels=labels, outliers=strange(),
                inlier=see(model, inputs))  # fmt: skip
    monkeypatch.setattr(View, "forward", lambda self, x: passed.append(x) or see(model, x))
    found = MixOE()(view)["outlier"]
    (mixed,) = passed
    shares = []
    for row, one in zip(mixed, inputs, strict=True):  # solve s x + (1 - s) o for the one s
        gaps = one - strange()
        found_shares = ((row - strange()) * gaps).sum(-1) / gaps.square().sum(-1)
        misses = (row - strange() - found_shares[:, None] * gaps).norm(dim=-1)
        shares.append(found_shares[misses.argmin()])
        assert misses.min() < 1e-4
    share = torch.stack(shares).mean()
    target = share * one_hot(labels, CLASSES) + (1 - share) / CLASSES
    torch.testing.assert_close(found, cross_entropy(model(mixed), target), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_a_patch_changes_as_many_pixels_as_its_share_says(seed):
    inputs, outliers = torch.zeros(3, 2, 9, 7), torch.ones(3, 2, 9, 7)
    share = torch.rand(1, generator=stream(seed)).item()
    mixed, exact = MixOE(how="cutmix").mixed(inputs, outliers, share=share, stream=stream(seed))
    assert 1 - mixed.mean().item() == pytest.approx(exact, abs=1e-6)
    assert abs(exact - share) < 0.15
    assert (inputs == 0).all()


def test_the_share_has_the_mean_and_variance_of_the_beta_distribution():
    source = stream()
    draws = torch.tensor([_beta(2.0, source) for _ in range(4000)])
    assert draws.mean().item() == pytest.approx(1 / 2, abs=0.015)
    assert draws.var().item() == pytest.approx(1 / 20, abs=0.005)


def test_fewer_outliers_than_inliers_are_used_again():
    few = batch()._replace(outliers=strange(5))
    assert torch.isfinite(Step(MixOE())(net(), few)["outlier"])


def test_its_rows_count_as_inliers():
    assert Step(MixOE()).weigh(batch()) == {"inlier": 24.0, "outlier": 24.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: MixOE(alpha=0.0), "alpha"),
        (lambda: MixOE(how="blend"), "how"),
        (lambda: Step(MixOE(how="cutmix"))(net(), batch()), "channels"),
        (lambda: Step(MixOE())(net(), PairedRows(*rows())), "outliers"),
    ],
)
def test_what_cannot_be_mixed_is_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        wrong()
