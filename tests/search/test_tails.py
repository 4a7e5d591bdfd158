import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.search.tails import gaussian_tails, rejected

COVARIANCE = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -1.0], dtype=torch.float64)


def distances(points: torch.Tensor) -> torch.Tensor:
    gaps = points - MEAN
    return (gaps @ COVARIANCE.inverse() * gaps).sum(-1)


def tails(seed: int, **options: int) -> torch.Tensor:
    return gaussian_tails(MEAN, COVARIANCE, stream=torch_stream(seed, "tails"), **options)


def test_the_unlikeliest_come_first():
    found = distances(tails(0, draws=1000, select=20))
    assert torch.equal(found, found.sort(descending=True).values)


def test_the_law_is_that_of_drawing_all_and_sorting():
    stream = torch_stream(0, "slow")
    factor = torch.linalg.cholesky(COVARIANCE)
    slow, fast = [], []
    for seed in range(800):
        drawn = MEAN + torch.randn(50, 2, dtype=torch.float64, generator=stream) @ factor.T
        slow.append(distances(drawn).topk(3).values)
        fast.append(distances(tails(seed, draws=50, select=3)))
    slow, fast = torch.stack(slow), torch.stack(fast)
    # 800 repetitions: the difference of means has a standard error of about 0.1.
    assert (slow.mean(0) - fast.mean(0)).abs().max() < 0.45
    assert (slow.std(0) / fast.std(0) - 1).abs().max() < 0.2


def test_all_draws_selected_have_the_gaussians_mean_and_covariance():
    found = tails(0, draws=20_000, select=20_000)
    # Standard errors: 0.01 of the mean, 0.02 of the largest variance.
    assert torch.allclose(found.mean(0), MEAN, atol=0.05)
    assert torch.allclose(found.T.cov(), COVARIANCE, atol=0.1)


def test_a_bad_covariance_or_selection_is_refused():
    with pytest.raises(UsageError, match="positive definite"):
        gaussian_tails(MEAN, -COVARIANCE, draws=5, select=1, stream=torch_stream(0))
    with pytest.raises(UsageError, match="select=6"):
        tails(0, draws=5, select=6)


def test_rejection_keeps_the_law_inside_the_region_and_tells_its_share():
    stream = torch_stream(0, "uniform")
    rows, rate = rejected(
        lambda n: torch.rand(n, 2, generator=stream), lambda x: x.sum(-1) < 0.5, 20_000
    )
    assert rate == pytest.approx(0.125, abs=0.01)  # the triangle's area
    assert rows.mean(0).tolist() == pytest.approx([1 / 6, 1 / 6], abs=0.005)  # its centroid


def test_an_empty_region_is_refused():
    with pytest.raises(UsageError, match="too small"):
        rejected(lambda n: torch.rand(n, 1), lambda x: x[:, 0] > 2, 10)


def test_no_rows_wanted_none_drawn():
    rows, rate = rejected(lambda n: torch.rand(n, 3), lambda x: x[:, 0] > 2, 0)
    assert (rows.shape, rate) == ((0, 3), 1.0)
