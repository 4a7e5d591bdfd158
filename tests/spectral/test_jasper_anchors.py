"""Figures on Jasper Ridge, upper half to train and lower half to test, VNIR bands.

The figures were computed once with another program on the same data: principal components without
noise, and LMMSE behind nine Gaussian or trained free-form filters with photon noise, read noise of
2 electrons, 12 bit and a full well of 10,000, no fixed pattern.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from limen._core.streams import torch_stream
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.exposure import Exposure
from limen.spectral.camera.noise import Noise
from limen.spectral.codec.codec import Codec
from limen.spectral.codec.split import halves
from limen.spectral.codec.statistics import SpectralPrior
from limen.spectral.design import design
from spectral._banks import Bands, Curves

DATA = Path(os.environ.get("LIMEN_DATA", ".")) / "spectral"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not (DATA / "cubes/Jasper.mat").is_file(), reason="needs LIMEN_DATA"),
]


@pytest.fixture(scope="module")
def scene():
    from scipy.io import loadmat

    cube = loadmat(DATA / "cubes/Jasper.mat")["Y"].T.reshape(100, 100, -1, order="F") / 1e4
    chosen = np.loadtxt(DATA / "cubes/Jasper_selected_bands_1based.csv", delimiter=",").astype(int)
    nm = np.loadtxt(DATA / "cubes/AVIRIS_wavelengths_nm.csv", delimiter=",")
    nm = nm.reshape(len(nm), -1)[:, -1][chosen.reshape(len(chosen), -1)[:, -1] - 1]
    return cube, nm


@pytest.fixture(scope="module")
def visible(scene):
    cube, nm = scene
    kept = (nm >= 400) & (nm <= 1000)
    return cube[..., kept], nm[kept]


@pytest.fixture(scope="module")
def lit(visible):
    import yaml

    nm = visible[1]
    sun = np.genfromtxt(
        DATA / "camera_illuminant/ASTMG173.csv", delimiter=",", skip_header=1, invalid_raise=False
    )
    sun = sun[~np.isnan(sun).any(1)]
    table = yaml.safe_load((DATA / "nk/Si__Green-2008.yml").read_text())["DATA"][0]["data"]
    silicon = np.array([[float(v) for v in line.split()] for line in table.strip().splitlines()])
    n, k = (np.interp(nm, silicon[:, 0] * 1e3, silicon[:, i]) for i in (1, 2))
    reflected = ((n - 1) ** 2 + k**2) / ((n + 1) ** 2 + k**2)
    quantum = (1 - reflected) * (1 - np.exp(-4 * np.pi * k / (nm * 1e-3) * 3))
    return np.interp(nm, sun[:, 0], sun[:, 2]), quantum


def camera(filters, lit, rule):
    return Camera(
        filters,
        illuminant=lit[0],
        efficiency=lit[1],
        exposure=Exposure(rule),
        noise=Noise(prnu=0, dsnu=0),
    )


def psnr(of, visible):
    """PSNR in dB on the lower half, the peak its largest value; the mean RMSE of 5 seeds."""
    cube, nm = visible
    train, test = halves(cube.shape[:2])
    truth = cube[test].reshape(50, 100, -1)
    codec = Codec(of).fit(cube[train].reshape(50, 100, -1), wavelengths=Bands(nm))
    shots = (of.capture(truth, seed=seed, wavelengths=Bands(nm)) for seed in range(5))
    error = np.mean([np.sqrt(np.square(codec.decode(shot) - truth).mean()) for shot in shots])
    return 20 * np.log10(truth.max() / error)


class FreeForm(torch.nn.Module):
    def __init__(self, count, bands):
        super().__init__()
        self.count = count
        start = torch.randn(count, bands, generator=torch_stream(0, "free"), dtype=torch.float64)
        self.z = torch.nn.Parameter(start)

    def forward(self, wavelengths):
        return torch.sigmoid(self.z)


def gaussians(nm, width, count=9):
    centres = np.linspace(nm[0], nm[-1], count)
    return Curves(np.exp(-4 * np.log(2) * ((nm - centres[:, None]) / width) ** 2))


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("visible", {3: 0.00246, 4: 0.00173, 6: 0.00095, 9: 0.00069, 16: 0.00057}),
        ("scene", {3: 0.00674, 4: 0.00481, 6: 0.00340, 9: 0.00269, 16: 0.00186}),
    ],
)
def test_principal_components_leave_what_was_computed_elsewhere(kind, want, request):
    cube, _ = request.getfixturevalue(kind)
    train, test = halves(cube.shape[:2])
    prior = SpectralPrior.of(cube[train])
    axes = torch.linalg.eigh(prior.covariance)[1]
    centred = torch.as_tensor(cube[test]) - prior.mean
    for k, rmse in want.items():
        rest = centred - centred @ axes[:, -k:] @ axes[:, -k:].T
        assert float(rest.square().mean().sqrt()) == pytest.approx(rmse, rel=0.05)


@pytest.mark.parametrize(
    ("width", "rule", "decibel"),
    [
        (59, "equal_exposure", 32.7),
        (59, "full_well", 38.3),
        (141, "equal_exposure", 35.0),
        (141, "full_well", 37.4),
    ],
)
def test_nine_gaussians_reach_the_reference_within_a_decibel(width, rule, decibel, visible, lit):
    found = psnr(camera(gaussians(visible[1], width), lit, rule), visible)
    assert found == pytest.approx(decibel, abs=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "rule", "decibel"),
    [
        (4, "equal_exposure", 35.3),
        (9, "equal_exposure", 37.6),
        (9, "full_well", 41.5),
        (16, "equal_exposure", 38.6),
    ],
)
def test_trained_filters_reach_the_reference_within_a_decibel(count, rule, decibel, visible, lit):
    nm = visible[1]
    found = trained(count, rule, visible, lit)
    assert found == pytest.approx(decibel, abs=1.0)
    if count == 9:
        wide = max(psnr(camera(gaussians(nm, w), lit, rule), visible) for w in (59, 141))
        assert found >= wide + 2


def trained(count, rule, visible, lit):
    cube, nm = visible
    free = camera(FreeForm(count, len(nm)), lit, rule)
    prior = SpectralPrior.of(cube[halves(cube.shape[:2])[0]])
    design(free, prior, wavelengths=Bands(nm), steps=600, lr=0.1)
    return psnr(free, visible)
