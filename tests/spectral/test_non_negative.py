"""Decoding that leaves nothing below zero, against scipy's active sets."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

import limen
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, torch_stream
from limen.spectral import LMMSE, Camera, Codec, Noise, NonNegative, SpectralPrior
from spectral._banks import Bands, random_bank, smooth_cubes

BANDS = Bands(np.linspace(400, 1000, 24))


def problem(bands, channels, seed):
    draw = numpy_stream(seed, "non-negative")
    spectra = draw.gamma(0.4, size=(60, bands))
    matrix = torch.as_tensor(draw.random((channels, bands)))
    variance = torch.as_tensor(draw.uniform(0.01, 0.2, channels))
    signal = torch.as_tensor(draw.random((40, channels)) * bands * 0.3)
    return SpectralPrior.of(spectra), matrix, variance, signal


def stacked(prior, matrix, variance, ridge):
    """The same problem as one least-squares system in the bands, whitened."""
    c = prior.covariance + ridge * prior.covariance.diagonal().mean() * torch.eye(len(prior.mean))
    root = np.linalg.inv(np.linalg.cholesky(c.numpy()))
    rows = np.concatenate([matrix.numpy() / variance.sqrt().numpy()[:, None], root])
    return rows, root @ prior.mean.numpy()


@pytest.mark.parametrize(("bands", "channels"), [(3, 2), (8, 4), (12, 20), (30, 9)])
def test_every_pixel_equals_the_active_set_of_scipy(bands, channels):
    prior, matrix, variance, signal = problem(bands, channels, seed=bands)
    found = NonNegative().fit(prior, matrix, variance=variance)(signal)
    rows, rest = stacked(prior, matrix, variance, 1e-6)
    for one, spectrum in zip(signal, found, strict=True):
        wanted = nnls(rows, np.concatenate([one / variance.sqrt(), rest]))[0]
        np.testing.assert_allclose(spectrum, wanted, atol=1e-6)
    free = LMMSE().fit(prior, matrix, variance=variance)(signal)
    assert (free < 0).any(dim=1).sum() > 5  # or the bound was never asked


@pytest.mark.parametrize("seed", range(5))
def test_smooth_spectra_whose_bands_go_below_zero_together_equal_scipy_too(seed):
    prior = SpectralPrior.of(smooth_cubes(40, seed=seed).reshape(-1, 40) - 0.15)
    draw = torch_stream(seed, "smooth")
    matrix = torch.rand(9, 40, generator=draw, dtype=torch.float64) / 40
    variance = torch.full((9,), 1e-3, dtype=torch.float64)
    signal = 0.2 * torch.randn(60, 9, generator=draw, dtype=torch.float64)
    found = NonNegative(ridge=1e-3).fit(prior, matrix, variance=variance)(signal)
    rows, rest = stacked(prior, matrix, variance, 1e-3)
    for one, spectrum in zip(signal, found, strict=True):
        wanted = nnls(rows, np.concatenate([one / variance.sqrt(), rest]))[0]
        np.testing.assert_allclose(spectrum, wanted, atol=1e-6)
    assert (found == 0).sum(dim=1).max() > 1


def test_where_nothing_is_below_zero_it_is_the_affine_decoder():
    prior, matrix, variance, signal = problem(8, 4, seed=0)
    affine = LMMSE().fit(prior, matrix, variance=variance)(signal)
    found = NonNegative(ridge=1e-12).fit(prior, matrix, variance=variance)(signal)
    kept = (affine > 0).all(dim=1)
    assert kept.any()
    torch.testing.assert_close(found[kept], affine[kept], atol=1e-9, rtol=0)


def test_no_other_spectrum_without_negative_light_is_more_probable():
    prior, matrix, variance, signal = problem(10, 5, seed=3)
    found = NonNegative().fit(prior, matrix, variance=variance)(signal)
    rows, rest = stacked(prior, matrix, variance, 1e-6)
    right = np.concatenate(
        [signal / variance.sqrt(), np.broadcast_to(rest, (len(signal), len(rest)))], axis=1
    )

    def cost(x):
        return np.square(x @ rows.T - right).sum(axis=1)

    draw = torch_stream(0, "moves")
    for _ in range(50):
        step = 0.1 * torch.randn(found.shape, generator=draw, dtype=torch.float64)
        other = (found + step).clamp_min(0)
        assert (cost(other.numpy()) >= cost(found.numpy()) - 1e-9).all()


def test_a_covariance_of_low_rank_is_no_obstacle():
    spectra = smooth_cubes(24).reshape(-1, 24) - 0.05
    matrix = torch.rand(4, 24, generator=torch_stream(0, "a"), dtype=torch.float64)
    decoder = NonNegative().fit(SpectralPrior.of(spectra), matrix, variance=torch.full((4,), 1e-4))
    found = decoder(torch.randn(200, 4, generator=torch_stream(1, "s")))
    assert found.dtype == torch.float32
    assert found.min() == 0
    assert torch.isfinite(found).all()


def test_behind_a_camera_dark_scenes_come_back_nearer_than_affinely(tmp_path):
    cube = np.clip(smooth_cubes(24) - 0.3, 0, None)
    camera = Camera(random_bank(4, 24), noise=Noise(full_well=400.0))
    affine = Codec(camera).fit(cube, wavelengths=BANDS)
    bounded = Codec(camera, decoder=NonNegative()).fit(cube, wavelengths=BANDS)
    counts = camera.capture(cube, seed=0, wavelengths=BANDS)
    errors = [np.square(codec.decode(counts) - cube).mean() for codec in (affine, bounded)]
    assert affine.decode(counts).min() < 0 <= bounded.decode(counts).min()
    assert errors[1] < errors[0]
    again = limen.load(limen.save(bounded.decoder, tmp_path / "decoder"))
    codes = torch.as_tensor(counts.channels())
    assert torch.equal(again(codes), bounded.decoder(codes))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: NonNegative(ridge=0.0), "above 0"),
        (lambda: NonNegative()(torch.ones(3)), "must be fitted"),
        (
            lambda: NonNegative().fit(
                SpectralPrior.of(torch.rand(5, 4)), torch.ones(2, 3), variance=torch.ones(2)
            ),
            r"must be \(2, 4\)",
        ),
    ],
)
def test_what_cannot_be_decoded_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
