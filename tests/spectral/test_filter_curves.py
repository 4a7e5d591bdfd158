"""Free curves and banks of peaks."""

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.spectral import Wavelengths
from limen.spectral.optics import FreeForm, Gaussians, Lorentzians

BANDS = Wavelengths(np.linspace(400, 700, 31))


@pytest.mark.parametrize("bank", [
    FreeForm.random(3, 31, seed=0, scale=9.0), Gaussians([450, 500, 650], 30.0),
    Lorentzians([450, 500, 650], [10, 20, 30], [0.5, 1, 0]),
])  # fmt: skip
def test_a_filter_passes_between_nothing_and_everything(bank):
    found = bank(BANDS)
    assert found.shape == (bank.count, 31)
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(type(bank).from_dict(bank.to_dict())(BANDS), found)


@pytest.mark.parametrize("kind", [Gaussians, Lorentzians])
def test_half_the_height_is_half_the_width_away(kind):
    found = kind([500.0], 40.0, 0.8)(Wavelengths([480.0, 500.0, 520.0]))
    torch.testing.assert_close(found, torch.tensor([[0.4, 0.8, 0.4]], dtype=torch.float64))


def test_straight_curves_have_no_roughness_and_bent_ones_do():
    assert FreeForm(np.zeros((2, 5))).roughness().item() == 0
    assert FreeForm([[0.0, 5.0, 0.0]]).roughness().item() > 0


def test_peaks_that_left_their_range_are_brought_back():
    bank = Gaussians([500.0], 40.0)
    with torch.no_grad():
        bank.widths.fill_(-3.0)
        bank.heights.fill_(1.7)
    bank.clamp_()
    assert (bank.widths.item(), bank.heights.item()) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FreeForm([1.0]), r"\(channels, bands\)"),
        (lambda: FreeForm(np.zeros((1, 3)))(BANDS), "have 3 bands and are asked for 31"),
        (lambda: Gaussians([500.0, 600.0], [1.0, 2.0, 3.0]), "must fit one another"),
        (lambda: Gaussians([500.0], 0.0), "widths above 0 nm"),
        (lambda: Lorentzians([500.0], 10.0, 1.2), r"heights in \[0, 1\]"),
    ],
)
def test_what_can_be_no_filter_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
