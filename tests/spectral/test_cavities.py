"""Materials that are shipped, and cavities made of them, against closed forms."""

import math

import numpy as np
import pytest
import torch

from limen._core.errors import UsageError
from limen.spectral import Wavelengths
from limen.spectral.optics import Material, bragg_cavity, fabry_perot, stack_power

NM = torch.linspace(450, 750, 601, dtype=torch.float64)
VNIR = Wavelengths(np.linspace(350, 1100, 76))


def grid(*indices):
    return torch.tensor(indices, dtype=torch.complex128)[:, None].expand(-1, len(NM))


@pytest.mark.parametrize(
    ("name", "nm", "index"),
    [
        ("Ag", 495.9, 0.05 + 3.093j),
        ("SiO2", 587.6, 1.4585),
        ("TiO2", 550.0, 2.4358),
        ("Ta2O5", 550.0, 2.1573),
        ("Al2O3", 540.0, 1.6832),
    ],
)
def test_a_material_has_the_index_of_its_paper_over_the_whole_range(name, nm, index):
    material = Material.named(name)
    assert abs(material.at(Wavelengths([nm, nm + 1]))[0] - index) < 1e-3
    assert np.isfinite(material.at(VNIR)).all()


def test_a_symmetric_cavity_without_loss_follows_airy_and_passes_all_on_resonance():
    mirror, spacer, index = 80.0, 400.0, 1.46
    found = stack_power(
        NM,
        grid(2.4, index, 2.4),
        torch.tensor([[mirror, spacer, mirror]], dtype=torch.float64),
    ).transmitted[0]
    # one mirror, met from inside the cavity: its amplitude by hand
    inside = np.zeros(len(NM), dtype=complex)
    for row, nm in enumerate(NM.tolist()):
        near, far = (index - 2.4) / (index + 2.4), (2.4 - 1) / (2.4 + 1)
        turn = np.exp(4j * np.pi * 2.4 * mirror / nm)
        inside[row] = (near + far * turn) / (1 + near * far * turn)
    power = np.abs(inside) ** 2
    phase = 4 * np.pi * index * spacer / NM.numpy() + 2 * np.angle(inside)
    airy = 1 / (1 + 4 * power / (1 - power) ** 2 * np.sin(phase / 2) ** 2)
    np.testing.assert_allclose(found, airy, atol=1e-12)
    assert found.max() > 0.9999
    assert found.min() < 0.5


def test_a_half_wave_layer_is_absent():
    at = torch.tensor([600.0], dtype=torch.float64)
    layer = torch.tensor([[2.1]], dtype=torch.complex128)
    found = stack_power(at, layer, torch.tensor([[600 / 2 / 2.1]]).double(), behind=1.52)
    assert found.transmitted.item() == pytest.approx(1 - (0.52 / 2.52) ** 2, abs=1e-12)


def test_peaks_of_metal_cavities_move_to_the_red_as_the_cavity_grows():
    bank = fabry_perot(4, cavity_nm=(80.0, 140.0))
    peaks = VNIR.nm[bank(VNIR).argmax(dim=1)]
    assert (np.diff(peaks) > 30).all()
    assert 0.3 < bank(VNIR).max().item() < 1


def test_a_bragg_cavity_passes_at_its_centre_as_the_bare_substrate_does():
    centres = np.linspace(500, 700, 5)
    bank = bragg_cavity(5, between=(500.0, 700.0), pairs=3, behind=Material.constant(1.52))
    at_centre = bank(Wavelengths(centres)).diagonal()
    torch.testing.assert_close(at_centre, torch.full_like(at_centre, 1 - (0.52 / 2.52) ** 2))
    near = bank(Wavelengths(np.linspace(560, 640, 321)))[2]  # within the stop band
    assert (near > 0.5).sum() < 0.2 * len(near)


def test_higher_orders_and_more_pairs_make_a_narrower_peak():
    near = Wavelengths(np.linspace(560, 640, 321))
    widths = [
        int((bragg_cavity(1, between=(600.0, 600.0), **more)(near)[0] > 0.48).sum())
        for more in ({}, {"order": 3}, {"pairs": 3}, {"pairs": 4})
    ]
    assert widths[0] > widths[1]
    assert widths[0] > widths[2] > widths[3] > 0


def test_metal_passes_at_most_what_its_thickness_lets_fade():
    index = Material.named("Ag").at(Wavelengths([700.0, 701.0]))[0]
    silver = torch.tensor([[index]])
    at = torch.tensor([700.0], dtype=torch.float64)
    thick = torch.tensor([[60.0], [80.0]], dtype=torch.float64)
    passed = stack_power(at, silver, thick).transmitted[:, 0]
    fading = math.exp(-4 * math.pi * index.imag * 20 / 700)
    assert (passed[1] / passed[0]).item() == pytest.approx(fading, rel=0.02)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: fabry_perot(0), "count must be at least 1"),
        (lambda: fabry_perot(2, cavity_nm=(300.0, 100.0)), "rising"),
        (lambda: bragg_cavity(2, pairs=0), "at least 1"),
        (lambda: bragg_cavity(2, between=(200.0, 300.0)), "TiO2 is known from"),
        (lambda: Material.named("TiO"), "TiO2"),
    ],
)
def test_what_can_be_no_cavity_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
