"""Fitting banks to targets, designs from several starts, and principal components."""

import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError
from limen.spectral import (
    Camera,
    FreeForm,
    Gaussians,
    MeasuredFilters,
    PrincipalComponents,
    SpectralPrior,
    ThinFilm,
    Wavelengths,
    design,
    fit_to_target,
)
from spectral._banks import smooth_cubes

BANDS = Wavelengths(np.linspace(450, 700, 26))
LAYERS = ["TiO2", "SiO2", "TiO2"]


def test_a_stack_finds_the_thicknesses_that_made_the_target():
    goal = ThinFilm.random(3, LAYERS, seed=5)
    bank = ThinFilm.random(3, LAYERS, seed=0, limits=[[20, 600]] * 3)
    found = fit_to_target(bank, goal, wavelengths=BANDS, steps=25, restarts=3)
    assert found.error < min(found.starts)  # each channel has the best of its own starts
    assert found.error < 0.25
    left = (bank(BANDS) - goal(BANDS)).square().mean(dim=1).sqrt()
    np.testing.assert_allclose(left.detach(), found.errors, rtol=1e-9)


def test_more_starts_never_end_worse_and_the_same_seed_ends_alike():
    goal = ThinFilm.random(2, LAYERS, seed=5)
    ends = []
    for restarts in (1, 3, 3):
        bank = ThinFilm.random(2, LAYERS, seed=0)
        ends.append(fit_to_target(bank, goal, wavelengths=BANDS, steps=6, restarts=restarts).error)
    assert ends[0] >= ends[1] == ends[2]


def test_weights_say_where_the_target_counts():
    goal = np.tile(np.linspace(0, 1, 26), (1, 1))
    weight = np.r_[np.ones(13), np.zeros(13)]
    errors = []
    for given in (None, weight):
        bank = Gaussians([500.0], 60.0)
        fit_to_target(bank, goal, wavelengths=BANDS, weight=given, steps=80, restarts=1)
        away = (bank(BANDS).detach().numpy() - goal)[0, :13]
        errors.append(np.square(away).mean())
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": np.zeros((2, 5))}, r"target must be \(1, 26\)"),
        ({"target": np.full((1, 26), 1.5)}, r"in \[0, 1\]"),
        ({"weight": -np.ones(26)}, "weight must be"),
        ({"weight": np.ones(25)}, "weight must be"),
        ({"steps": 0}, "steps and restarts be at least 1"),
        ({"filters": MeasuredFilters(np.array([1.0, 2.0]), np.zeros((1, 2)))}, "parameters"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, said):
    given = {"filters": Gaussians([500.0], 60.0), "target": np.zeros((1, 26))} | change
    filters, target = given.pop("filters"), given.pop("target")
    with pytest.raises(UsageError, match=said):
        fit_to_target(filters, target, wavelengths=BANDS, **given)


def test_a_design_keeps_the_best_of_its_starts_and_repeats_itself():
    prior = SpectralPrior.of(smooth_cubes(26))
    ends = []
    for restarts in (1, 4, 4):
        camera = Camera(ThinFilm.random(3, LAYERS, seed=0))
        found = design(camera, prior, wavelengths=BANDS, steps=5, restarts=restarts)
        assert len(found.starts) == restarts
        assert found.after == min(found.starts)
        ends.append(found)
    assert ends[0].starts[0] == ends[1].starts[0]
    assert ends[1] == ends[2]
    assert ends[1].after <= ends[0].after


def test_several_starts_need_a_bank_that_can_be_drawn():
    class Fixed(torch.nn.Module):
        count = 1

        def __init__(self):
            super().__init__()
            self.z = torch.nn.Parameter(torch.zeros(1, 26))

        def forward(self, wavelengths):
            return self.z.sigmoid()

    prior = SpectralPrior.of(smooth_cubes(26))
    with pytest.raises(UsageError, match="redraw_"):
        design(Camera(Fixed()), prior, wavelengths=BANDS, restarts=2)


@pytest.mark.parametrize(
    "bank", [ThinFilm.random(2, LAYERS, seed=3), FreeForm.random(2, 26, seed=3)]
)
def test_redrawing_with_the_seed_of_a_bank_gives_that_bank(bank):
    before = bank(BANDS).detach()
    bank.redraw_(4)
    assert not torch.equal(bank(BANDS), before)
    bank.redraw_(3)
    assert torch.equal(bank(BANDS), before)


def test_principal_filters_and_their_constant_hold_what_the_components_do():
    prior = SpectralPrior.of(smooth_cubes(26))
    bank = PrincipalComponents.of(prior, 3)
    curves = bank(BANDS)
    assert bank.count == 4
    assert (curves.min().item(), curves.max().item()) == (0.0, 1.0)
    axes = torch.linalg.eigh(prior.covariance).eigenvectors[:, -3:].T
    solved = torch.linalg.lstsq(curves.T, axes.T)
    torch.testing.assert_close(curves.T @ solved.solution, axes.T, atol=1e-9, rtol=0)


def test_principal_filters_go_through_a_file_and_refuse_other_bands(tmp_path):
    bank = PrincipalComponents.of(SpectralPrior.of(smooth_cubes(26)), 2)
    again = limen.load(limen.save(bank, tmp_path / "bank"))
    assert torch.equal(again(BANDS), bank(BANDS))
    with pytest.raises(UsageError, match="have 26 bands"):
        bank(Wavelengths([500.0, 600.0]))
    with pytest.raises(UsageError, match="none flat"):
        PrincipalComponents([[1.0, 1.0]])
    with pytest.raises(UsageError, match="count=27"):
        PrincipalComponents.of(SpectralPrior.of(smooth_cubes(26)), 27)
