from itertools import pairwise

import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.noise import Noise
from limen.spectral.codec.codec import Codec
from limen.spectral.codec.lmmse import LMMSE
from limen.spectral.codec.statistics import SpectralPrior
from limen.spectral.design import bayes_loss, design, diversity, predicted_error
from spectral._banks import Bands, random_bank, smooth_cubes

BANDS = Bands(np.linspace(400, 1000, 24))
CUBE = smooth_cubes(24)


def gaussian(rows, bands, seed=0):
    draw = torch_stream(seed, "gaussian")
    mix = torch.randn(bands, bands, generator=draw, dtype=torch.float64)
    mix = mix * torch.linspace(2, 0.05, bands, dtype=torch.float64)
    return torch.randn(rows, bands, generator=draw, dtype=torch.float64) @ mix.T + 1


def test_spectra_of_few_degrees_of_freedom_come_back_without_error():
    spectra = torch.as_tensor(CUBE.reshape(-1, 24))
    matrix = torch.rand(4, 24, generator=torch_stream(0, "a"), dtype=torch.float64)
    decoder = LMMSE().fit(SpectralPrior.of(spectra), matrix, variance=torch.zeros(4))
    assert torch.allclose(decoder(spectra @ matrix.T), spectra, atol=1e-9, rtol=0)


def test_the_error_beyond_the_rank_is_the_tail_of_the_principal_components():
    spectra = gaussian(20_000, 12)
    prior = SpectralPrior.of(spectra)
    values, vectors = torch.linalg.eigh(prior.covariance)
    matrix = vectors[:, -4:].T
    decoder = LMMSE().fit(prior, matrix, variance=torch.zeros(4))
    error = (decoder(spectra @ matrix.T) - spectra).square().sum(1).mean()
    assert float(error) == pytest.approx(float(values[:-4].sum()), rel=0.01)
    assert float(bayes_loss(matrix, prior, variance=torch.zeros(4))) == pytest.approx(
        float(values[:-4].sum()), rel=1e-6
    )


def test_without_noise_it_is_the_regression_on_the_training_set():
    spectra = gaussian(500, 10)
    matrix = torch.rand(3, 10, generator=torch_stream(0, "a"), dtype=torch.float64)
    codes = spectra @ matrix.T
    decoder = LMMSE().fit(SpectralPrior.of(spectra), matrix, variance=torch.zeros(3))
    padded = torch.cat([codes, torch.ones(len(codes), 1, dtype=torch.float64)], dim=1)
    regression = padded @ torch.linalg.lstsq(padded, spectra).solution
    assert torch.allclose(decoder(codes), regression, atol=1e-9)


def test_the_loss_is_the_error_that_simulation_finds():
    spectra = gaussian(40_000, 8)
    prior = SpectralPrior.of(spectra)
    draw = torch_stream(0, "b")
    matrix = torch.rand(4, 8, generator=draw, dtype=torch.float64)
    variance = torch.tensor([0.1, 0.5, 1.0, 0.2], dtype=torch.float64)
    noise = torch.randn(len(spectra), 4, generator=draw, dtype=torch.float64) * variance.sqrt()
    decoder = LMMSE().fit(prior, matrix, variance=variance)
    error = (decoder(spectra @ matrix.T + noise) - spectra).square().sum(1).mean()
    assert float(bayes_loss(matrix, prior, variance=variance)) == pytest.approx(
        float(error), rel=0.02
    )


def test_the_loss_falls_with_more_channels_and_with_less_noise():
    prior = SpectralPrior.of(gaussian(2000, 12))
    matrix = torch.rand(8, 12, generator=torch_stream(0, "a"), dtype=torch.float64)
    by_channels = [
        bayes_loss(matrix[:k], prior, variance=torch.full((k,), 0.1)) for k in range(1, 9)
    ]
    by_noise = [bayes_loss(matrix, prior, variance=torch.full((8,), v)) for v in (1.0, 0.1, 0.01)]
    assert all(a > b for a, b in pairwise(by_channels))
    assert all(a > b for a, b in pairwise(by_noise))


def test_the_gradient_of_the_loss_is_that_of_differences():
    prior = SpectralPrior.of(gaussian(500, 6))
    matrix = torch.rand(3, 6, generator=torch_stream(0, "a"), dtype=torch.float64)
    matrix.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a: bayes_loss(a, prior, variance=torch.full((3,), 0.1)), [matrix], rtol=1e-6
    )


def test_channels_alike_are_far_from_diverse():
    assert float(diversity(torch.eye(3, dtype=torch.float64))) == pytest.approx(0, abs=1e-12)
    alike = torch.tensor([[1.0, 1.0], [1.0, 1.001]], dtype=torch.float64)
    assert float(diversity(alike)) > 10


@pytest.mark.parametrize("mosaic", [None, (2, 2)])
def test_the_prediction_agrees_with_what_a_capture_loses(mosaic):
    camera = Camera(random_bank(4, 24), mosaic=mosaic, noise=Noise(prnu=0, dsnu=0))
    flat = CUBE.repeat(2, axis=0).repeat(2, axis=1)  # no edges within a block of the mosaic
    codec = Codec(camera).fit(flat, wavelengths=BANDS)
    counts = camera.capture(flat, seed=0, wavelengths=BANDS)
    truth = flat if mosaic is None else CUBE
    error = np.square(codec.decode(counts) - truth).sum(-1).mean()
    want = predicted_error(camera, codec.prior, wavelengths=BANDS).detach()
    assert error == pytest.approx(float(want), rel=0.1)


class Logits(torch.nn.Module):
    count = 4

    def __init__(self):
        super().__init__()
        self.z = torch.nn.Parameter(0.1 * torch.randn(4, 24, generator=torch_stream(0, "z")))

    def forward(self, wavelengths):
        return torch.sigmoid(self.z)


@pytest.mark.parametrize("rule", ["equal_exposure", "full_well"])
def test_training_the_filters_lowers_the_error_by_decibels(rule):
    from limen.spectral.camera.exposure import Exposure

    camera = Camera(Logits(), exposure=Exposure(rule))
    prior = SpectralPrior.of(CUBE)
    found = design(camera, prior, wavelengths=BANDS, steps=80, lr=0.1)
    now = float(predicted_error(camera, prior, wavelengths=BANDS).detach())
    assert found.decibel > 3
    assert now == pytest.approx(found.after, rel=1e-9)


def test_a_fitted_decoder_survives_its_file(tmp_path):
    decoder = LMMSE().fit(SpectralPrior.of(CUBE), torch.eye(24)[:3], variance=torch.ones(3))
    again = limen.load(limen.save(decoder, tmp_path / "decoder"))
    codes = torch.rand(5, 3, generator=torch_stream(0, "c"))
    assert torch.equal(again(codes), decoder(codes))


def test_decoding_before_fitting_is_refused():
    with pytest.raises(UsageError, match="fitted"):
        LMMSE()(torch.ones(3))
