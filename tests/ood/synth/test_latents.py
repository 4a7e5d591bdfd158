import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.ood.synth.latents import Latents

MEANS = torch.tensor([[2.0, 0.0], [-2.0, 1.0]])
FACTORS = torch.tensor([[[0.3, 0.0], [0.2, 0.1]], [[0.2, 0.0], [-0.1, 0.4]]])


def test_distances_are_in_standard_deviations():
    stream = torch_stream(0)
    where = torch.randn(7, 2, generator=stream)
    found = Latents(MEANS, spread=FACTORS).distances(where)
    for c in range(2):
        inverse = (FACTORS[c] @ FACTORS[c].T).inverse()
        for i in range(7):
            gap = where[i] - MEANS[c]
            assert found[i, c].item() == pytest.approx(
                (gap @ inverse @ gap).sqrt().item(), rel=1e-4
            )


def test_a_round_spread_is_a_factor_times_the_identity():
    where = torch.randn(7, 2, generator=torch_stream(0))
    round_ = Latents(MEANS, spread=0.3)
    factors = Latents(MEANS, spread=0.3 * torch.eye(2).expand(2, 2, 2))
    assert torch.allclose(round_.distances(where), factors.distances(where), atol=1e-5)


@pytest.mark.parametrize("spread", [0.3, FACTORS], ids=["round", "fitted"])
def test_the_two_supports_never_meet(spread):
    latents, stream = Latents(MEANS, spread=spread, margin=2.0), torch_stream(0)
    labels = torch.arange(2000) % 2
    inside = latents.inliers(labels, stream=stream)
    outside, rate = latents.outliers(2000, stream=stream)
    assert (latents.distances(inside).amin(1) <= 2.0 + 1e-5).all()
    assert (latents.distances(outside) > 2.0).all()
    assert (outside.abs() <= latents.half_width).all()
    assert 0 < rate < 1


def test_the_kept_share_is_the_cubes_less_the_regions():
    latents = Latents(torch.zeros(1, 2), spread=1.0, half_width=2.0, margin=1.0)
    kept = latents.outliers(20_000, stream=torch_stream(0)).rate
    assert kept == pytest.approx(1 - torch.pi / 16, abs=0.01)  # a disc of radius 1 in a square of 4


def test_inliers_have_their_class_mean_and_spread():
    latents = Latents(MEANS, spread=FACTORS)
    found = latents.inliers(torch.zeros(20_000, dtype=torch.int64), stream=torch_stream(0))
    assert torch.allclose(found.mean(0), MEANS[0], atol=0.02)
    assert torch.allclose(found.T.cov(), FACTORS[0] @ FACTORS[0].T, atol=0.01)


def test_the_released_corners_need_no_rejection():
    latents = Latents.corners(10, stream=torch_stream(0))
    assert set(latents.means.abs().unique().tolist()) == {5.0}
    draws, rate = latents.outliers(1000, stream=torch_stream(1))
    assert rate == 1.0
    assert (torch.cdist(draws, latents.means) > 40).all()  # in standard deviations: above 400


def test_fitted_classes_follow_their_rows():
    stream = torch_stream(0)
    labels = torch.arange(6000) % 2
    noise = torch.randn(6000, 2, 1, generator=stream)
    codes = MEANS[labels] + (FACTORS[labels] @ noise)[..., 0]
    found = Latents.anchored(codes, labels, spread=None, shrink=0.0)
    assert torch.allclose(found.means, MEANS, atol=0.05)
    assert torch.allclose(found.spread, FACTORS, atol=0.03)


def test_shrinking_all_the_way_is_round():
    codes = torch.randn(50, 3, generator=torch_stream(0))
    labels = torch.arange(50) % 2
    spread = Latents.anchored(codes, labels, spread=None, shrink=1.0).spread
    assert torch.allclose(spread, spread[:, :1, :1] * torch.eye(3), atol=1e-6)


def test_a_class_without_rows_is_refused():
    codes = torch.randn(4, 2, generator=torch_stream(0))
    with pytest.raises(UsageError, match="class 1 has 0"):
        Latents.anchored(codes, torch.tensor([0, 0, 2, 2]))
    with pytest.raises(UsageError, match="class 1 has 1"):
        Latents.anchored(codes, torch.tensor([0, 0, 0, 1]), spread=None)


@pytest.mark.parametrize("changed", [
    {"spread": 0.0}, {"half_width": -1.0}, {"margin": 0.0}, {"spread": -FACTORS},
    {"means": torch.full((2, 2), torch.nan)},
])  # fmt: skip
def test_settings_out_of_range_are_refused(changed):
    with pytest.raises(UsageError):
        Latents(**{"means": MEANS, **changed})


def test_its_words_tell_two_apart():
    assert repr(Latents(MEANS)) != repr(Latents(2 * MEANS))
    assert "0x" not in repr(Latents(MEANS, spread=FACTORS))
