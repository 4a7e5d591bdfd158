"""The cone of a lens: its rule of directions, and what it does to films and to curves."""

import math

import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError
from limen.spectral import Camera, Wavelengths
from limen.spectral.optics import (
    Cone,
    FreeForm,
    Gaussians,
    InCone,
    Material,
    ThinFilm,
    bragg_cavity,
    stack_power,
)

BANDS = Wavelengths(np.linspace(500, 700, 201))


def test_parallel_light_along_the_normal_is_the_default_and_changes_nothing():
    films, peaks = bragg_cavity(3), Gaussians([550.0, 600.0], 20.0)
    assert torch.equal(InCone(films)(BANDS), films(BANDS))
    assert torch.equal(InCone(peaks, index=1.6)(BANDS), peaks(BANDS))


@pytest.mark.parametrize("angle", [0.0, 0.3])
@pytest.mark.parametrize("f_number", [1.4, 2.8])
def test_the_rule_of_directions_equals_many_rays_at_random(angle, f_number):
    cone = Cone(f_number, angle=angle)
    angles, weights = cone.directions()
    draw = np.random.default_rng(0)
    # even over a lens's pupil is even over sin^2
    off = np.arcsin(np.sqrt(draw.random(200_000)) * math.sin(cone.half_angle))
    turn = draw.random(200_000) * 2 * np.pi
    cosine = np.cos(off) * math.cos(angle) + np.sin(off) * math.sin(angle) * np.cos(turn)
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    for power in (1, 2, 6):
        wanted = (cosine**power).mean()
        got = sum(w * math.cos(a) ** power for a, w in zip(angles, weights, strict=True))
        assert got == pytest.approx(wanted, rel=2e-3)


def test_films_in_a_cone_equal_the_integral_over_its_angles():
    bank = ThinFilm([[80.0, 300.0, 80.0]], ["TiO2", "SiO2", "TiO2"])
    got = InCone(bank, Cone(1.4))(BANDS)[0].detach()
    rim = Cone(1.4).half_angle
    middles = (np.arange(100) + 0.5) / 100 * rim
    weight = np.sin(middles) * np.cos(middles)
    wanted = torch.zeros_like(got)
    nm = torch.as_tensor(np.array(BANDS.nm))
    layers = torch.stack([torch.as_tensor(one.at(BANDS)) for one in bank.materials])
    behind = torch.as_tensor(bank.behind.at(BANDS))
    for angle, w in zip(middles.tolist(), weight / weight.sum(), strict=True):
        power = stack_power(nm, layers, bank.thickness.detach(), behind=behind, angle=angle)
        wanted += w * power.transmitted[0]
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=0)  # the error of 100 middles


def high_order():
    """A cavity whose effective index is its own, with its peak at 600 nm."""
    high, low = Material.constant(2.4), Material.constant(1.46)
    mirror = [high, low] * 4
    quarter = [600 / 4 / one.index[0].real for one in mirror]
    depth = [*quarter, 8 * 600 / 2 / 2.4, *quarter[::-1]]
    return ThinFilm([depth], [*mirror, high, *mirror[::-1]], behind="air")


def test_the_peak_of_a_high_order_cavity_moves_to_the_blue_by_its_index():
    near = Wavelengths(np.linspace(588, 604, 1601))
    bank = high_order()
    for degrees in (5, 10, 15):
        angle = math.radians(degrees)
        passed = InCone(bank, Cone(angle=angle))(near)[0]
        peak = near.nm[int(passed.argmax())]
        assert peak == pytest.approx(600 * math.sqrt(1 - (math.sin(angle) / 2.4) ** 2), abs=1.0)


def test_curves_are_shifted_as_such_a_cavity_is():
    near = Wavelengths(np.linspace(585, 610, 126))
    cone = Cone(2.0, angle=0.15)
    films = InCone(high_order(), cone)(near)[0].detach().numpy()
    flat = high_order()(near).detach()
    free = FreeForm(torch.logit(flat.clamp(1e-6, 1 - 1e-6)).numpy())
    curve = InCone(free, cone, index=2.4)(near)[0].detach().numpy()
    centres = [(near.nm * passed).sum() / passed.sum() for passed in (films, curve)]
    assert centres[0] == pytest.approx(centres[1], abs=1.0)
    assert centres[0] < 599.5


@pytest.mark.parametrize("f_number", [8.0, 2.8, 1.4])
def test_peaks_on_bands_alone_are_shifted_as_their_formula_is(f_number):
    peaks = Gaussians([560.0, 640.0], 30.0)
    cone = Cone(f_number, angle=0.2)
    free = FreeForm(torch.logit(peaks(BANDS).detach().clamp(1e-9, 1 - 1e-9)).numpy())
    torch.testing.assert_close(
        InCone(free, cone, index=1.7)(BANDS),
        InCone(peaks, cone, index=1.7)(BANDS),
        atol=1e-3,
        rtol=0,
    )


def test_a_faster_lens_widens_peaks_and_moves_them_to_the_blue():
    films = bragg_cavity(1, between=(600.0, 600.0), pairs=4, order=2)
    heights, centres = [], []
    near = Wavelengths(np.linspace(580, 610, 301))
    for f_number in (math.inf, 4.0, 2.0, 1.4):
        passed = InCone(films, Cone(f_number))(near)[0].detach().numpy()
        heights.append(passed.max())
        centres.append(near.nm[passed.argmax()])
    assert (np.diff(heights) < 0).all()
    assert (np.diff(centres) < 0).all()


def test_a_bank_in_a_cone_trains_saves_and_serves_a_camera(tmp_path):
    bank = InCone(ThinFilm.random(4, ["SiO2", "TiO2"], seed=0), Cone(2.8, angle=0.1))
    camera = Camera(bank, mosaic=(2, 2))
    camera.matrix(BANDS).sum().backward()
    assert torch.isfinite(bank.filters.thickness.grad).all()
    bank.redraw_(1)
    bank.clamp_()
    for one in (bank, InCone(Gaussians([550.0], 20.0), index=1.5)):
        again = limen.load(limen.save(one, tmp_path / "bank"))
        assert torch.equal(again(BANDS), one(BANDS))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Cone(0.0), "f_number must be above 0"),
        (lambda: Cone(0.5, angle=1.5), "below pi / 2"),
        (lambda: InCone(Gaussians([550.0], 20.0)), "index must be above 1"),
        (lambda: InCone(ThinFilm([[90.0]], ["SiO2"]), index=1.5), "leave out both"),
        (lambda: InCone(ThinFilm([[90.0]], ["SiO2"], angle=0.1)), "leave out both"),
    ],
)
def test_what_is_no_cone_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
