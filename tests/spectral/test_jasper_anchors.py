"""Figures on Jasper Ridge, upper half to train and lower half to test, VNIR bands.

The figures were computed once with another program on the same data: principal components without
noise, and LMMSE behind nine Gaussian or trained free-form filters with photon noise.
"""

import numpy as np
import pytest
import torch

from limen.spectral.codec.split import halves
from limen.spectral.codec.statistics import SpectralPrior
from limen.spectral.design import design
from limen.spectral.optics import FreeForm, Gaussians
from spectral import _jasper

pytestmark = _jasper.needs_data


def gaussians(width, count=9):
    nm = _jasper.cube()[1].nm
    return Gaussians(np.linspace(nm[0], nm[-1], count), float(width))


@pytest.mark.parametrize(
    ("visible", "want"),
    [
        (True, {3: 0.00246, 4: 0.00173, 6: 0.00095, 9: 0.00069, 16: 0.00057}),
        (False, {3: 0.00674, 4: 0.00481, 6: 0.00340, 9: 0.00269, 16: 0.00186}),
    ],
)
def test_principal_components_leave_what_was_computed_elsewhere(visible, want):
    cube, _ = _jasper.cube(visible=visible)
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
def test_nine_gaussians_reach_the_reference_within_a_decibel(width, rule, decibel):
    found = _jasper.psnr(_jasper.camera(gaussians(width), rule))
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
def test_trained_filters_reach_the_reference_within_a_decibel(count, rule, decibel):
    bands = _jasper.cube()[1]
    free = _jasper.camera(FreeForm.random(count, len(bands), seed=0), rule)
    design(free, _jasper.prior(), wavelengths=bands, steps=600, lr=0.1)
    found = _jasper.psnr(free)
    assert found == pytest.approx(decibel, abs=1.0)
    if count == 9:
        wide = max(_jasper.psnr(_jasper.camera(gaussians(w), rule)) for w in (59, 141))
        assert found >= wide + 2
