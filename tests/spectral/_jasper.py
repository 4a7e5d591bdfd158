"""Jasper Ridge for tests: the cube, its light, a camera in it, and how well it is decoded.

The upper half trains and the lower half tests. Sensor: photon noise, read noise of 2 electrons, 12
bit, a full well of 10,000, no fixed pattern; sunlight, and 3 micrometres of bare silicon.
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from limen.spectral.camera.camera import Camera
from limen.spectral.camera.exposure import Exposure
from limen.spectral.camera.noise import Noise
from limen.spectral.codec.codec import Codec
from limen.spectral.codec.split import halves
from limen.spectral.codec.statistics import SpectralPrior
from limen.spectral.wavelengths import Wavelengths

DATA = Path(os.environ.get("LIMEN_DATA", ".")) / "spectral"
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(not (DATA / "cubes/Jasper.mat").is_file(), reason="needs LIMEN_DATA"),
]


@cache
def cube(*, visible=True):
    """Reflectance (100, 100, band) and its bands, sorted: the instrument's detectors overlap."""
    from scipy.io import loadmat

    values = loadmat(DATA / "cubes/Jasper.mat")["Y"].T.reshape(100, 100, -1, order="F") / 1e4
    chosen = np.loadtxt(DATA / "cubes/Jasper_selected_bands_1based.csv", delimiter=",").astype(int)
    nm = np.loadtxt(DATA / "cubes/AVIRIS_wavelengths_nm.csv", delimiter=",")
    nm = nm.reshape(len(nm), -1)[:, -1][chosen.reshape(len(chosen), -1)[:, -1] - 1]
    order = np.argsort(nm)
    if visible:
        order = order[(nm[order] >= 400) & (nm[order] <= 1000)]
    return values[..., order], Wavelengths(nm[order])


@cache
def prior():
    """Statistics of the training half."""
    return SpectralPrior.of(cube()[0][halves((100, 100))[0]])


@cache
def lit():
    """The sun, and the quantum efficiency."""
    import yaml

    nm = cube()[1].nm
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


def camera(filters, rule):
    """A camera in that light."""
    illuminant, efficiency = lit()
    return Camera(
        filters,
        illuminant=illuminant,
        efficiency=efficiency,
        exposure=Exposure(rule),
        noise=Noise(prnu=0, dsnu=0),
    )


def psnr(of):
    """PSNR in dB on the test half behind LMMSE, peak its largest value; mean RMSE of 5 seeds."""
    values, bands = cube()
    train, test = halves((100, 100))
    truth = values[test].reshape(50, 100, -1)
    codec = Codec(of).fit(values[train].reshape(50, 100, -1), wavelengths=bands)
    shots = (of.capture(truth, seed=seed, wavelengths=bands) for seed in range(5))
    error = np.mean([np.sqrt(np.square(codec.decode(shot) - truth).mean()) for shot in shots])
    return 20 * np.log10(truth.max() / error)
