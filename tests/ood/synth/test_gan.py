import pytest
import torch

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.ood.synth.gan import Discriminator, Generator, distance_correlation, train_gan


def stripes(rows: int = 32) -> torch.Tensor:
    """Pictures with one bright half."""
    images = -torch.ones(rows, 1, 8, 8)
    images[: rows // 2, :, :, :4] = 1
    images[rows // 2 :, :, :, 4:] = 1
    return images


@pytest.mark.parametrize("side", [8, 16, 32])
def test_pictures_have_the_side_asked_for(side):
    made = Generator(5, side=side, channels=3, width=2)(torch.zeros(4, 5))
    assert made.shape == (4, 3, side, side)
    assert Discriminator(side=side, channels=3, width=2)(made).shape == (4,)


def test_the_discriminator_learns_to_tell():
    history = train_gan(stripes(), steps=15, latent=4, width=4, batch=16, rate=1e-3).history
    first, last = history[0]["discriminator"], history[-1]["discriminator"]
    assert last < first


def test_pictures_come_nearer_to_the_inliers():
    made = train_gan(stripes(), steps=60, latent=4, width=8, batch=16, rate=2e-3)
    start = train_gan(stripes(), steps=0, latent=4, width=8, batch=16)
    latents = torch.randn(32, 4, generator=torch_stream(5))

    def gap(generator):
        with torch.no_grad():
            return torch.cdist(generator(latents).flatten(1), stripes().flatten(1)).amin(1).mean()

    assert gap(made.generator) < gap(start.generator)


def test_keeping_distances_raises_their_correlation():
    free, kept = (
        train_gan(
            stripes(), steps=25, latent=2, width=4, batch=16, rate=2e-3, keep_distances=weight
        )
        for weight in (0.0, 5.0)
    )
    last = [sum(row["distances"] for row in x.history[-5:]) for x in (free, kept)]
    assert last[1] > last[0]


def test_the_correlation_is_numpys():
    stream = torch_stream(0)
    z, x = torch.randn(9, 2, generator=stream), torch.randn(9, 3, generator=stream)
    above = torch.ones(9, 9).triu(1).bool()
    table = torch.stack([torch.cdist(z, z)[above], torch.cdist(x, x)[above]])
    assert distance_correlation(z, x).item() == pytest.approx(
        table.corrcoef()[0, 1].item(), abs=1e-5
    )


def test_the_same_seed_makes_the_same_generator_and_global_draws_stay():
    before = torch.get_rng_state()
    one, same, other = (
        train_gan(stripes(), steps=2, latent=2, width=2, batch=4, seed=seed).generator
        for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.get_rng_state())
    z = torch.ones(1, 2)
    assert torch.equal(one(z), same(z))
    assert not torch.equal(one(z), other(z))
    assert not one.training


@pytest.mark.parametrize("images", [2 * stripes(), stripes()[:, :, :6, :6]])
def test_pictures_out_of_range_or_of_another_side_are_refused(images):
    with pytest.raises(UsageError):
        train_gan(images, steps=1)


def test_a_batch_of_one_is_refused():
    with pytest.raises(UsageError, match="batch=1"):
        train_gan(stripes(), steps=1, batch=1)
