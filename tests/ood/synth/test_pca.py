import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.ood.synth.latents import Latents
from limen.ood.synth.pca import PCAGenerator


def images(rows: int = 40) -> torch.Tensor:
    stream = torch_stream(0, "images")
    return torch.randn(rows, 2, 3, 3, dtype=torch.float64, generator=stream).cumsum(-1)


def codes(rows: int = 30, width: int = 5) -> torch.Tensor:
    return 3 * torch.randn(rows, width, dtype=torch.float64, generator=torch_stream(1))


def test_the_components_are_orthonormal():
    found = PCAGenerator.fit(images(), width=5).components
    assert torch.allclose(found @ found.T, torch.eye(5, dtype=torch.float64), atol=1e-10)


def test_distances_are_those_of_scaled_latents():
    generator, z = PCAGenerator.fit(images(), width=5), codes()
    made = generator(z).flatten(1)
    assert torch.allclose(torch.pdist(made), torch.pdist(z * generator.scales))


def test_disjoint_latents_make_rows_that_stay_as_far_apart():
    """No two generated rows are nearer than the least scale times the latents' gap."""
    generator, stream = PCAGenerator.fit(images(), width=3), torch_stream(2)
    means = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0]], dtype=torch.float64)
    latents = Latents(means, spread=0.2, margin=2.0)
    inside = latents.inliers(torch.arange(100) % 2, stream=stream)
    outside = latents.outliers(300, stream=stream).rows
    gap = torch.cdist(inside, outside).min()
    made = torch.cdist(*(generator(z).flatten(1) for z in (inside, outside))).min()
    assert gap > 0
    assert made >= generator.scales.min() * gap * (1 - 1e-9)


def test_encoding_undoes_generating():
    generator, z = PCAGenerator.fit(images(), width=5), codes()
    assert torch.allclose(generator.encode(generator(z)), z, atol=1e-9)


def test_encoded_inliers_have_unit_variance_and_no_mean():
    generator = PCAGenerator.fit(images(), width=5)
    found = generator.encode(images())
    assert torch.allclose(found.mean(0), torch.zeros(5, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(found.T.cov(), torch.eye(5, dtype=torch.float64), atol=1e-9)


def test_all_components_give_the_rows_back():
    generator = PCAGenerator.fit(images(), width=18)
    assert torch.allclose(generator(generator.encode(images())), images(), atol=1e-9)


def test_clipping_stays_in_range_and_keeps_the_shape():
    made = PCAGenerator.fit(images(), width=5, low=-1.0, high=1.0)(codes())
    assert made.shape == (30, 2, 3, 3)
    assert (made.abs() <= 1).all()


def test_a_component_without_variance_is_harmless():
    flat = torch.zeros(6, 3)
    flat[:, 0] = torch.arange(6.0)
    generator = PCAGenerator.fit(flat, width=3)
    assert generator.encode(flat).isfinite().all()
    assert torch.allclose(generator(generator.encode(flat)), flat, atol=1e-5)


def test_settings_out_of_range_are_refused():
    with pytest.raises(UsageError, match="1 to 18"):
        PCAGenerator.fit(images(), width=19)
    with pytest.raises(UsageError, match="space"):
        PCAGenerator.fit(images(), width=2, space="pixels")
