"""Stacks of thin films against closed forms, a transfer matrix, and energy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import limen
from limen._core.errors import UsageError
from limen.spectral import Wavelengths
from limen.spectral.optics import Material, ThinFilm, stack_power

NM = torch.linspace(400, 800, 41, dtype=torch.float64)


def layers(*indices):
    return torch.tensor(indices, dtype=torch.complex128)[:, None].expand(-1, len(NM))


def thick(*nm):
    return torch.tensor([nm], dtype=torch.float64)


def transfer_matrix(nm, indices, thickness, *, before, behind):
    """Normal incidence by products of characteristic matrices, one wavelength at a time."""
    found = []
    for one in nm.tolist():
        whole = np.eye(2, dtype=complex)
        for index, d in zip(indices, thickness, strict=True):
            delta = 2 * np.pi * index * d / one
            whole = whole @ np.array([[np.cos(delta), -1j * np.sin(delta) / index],
                                      [-1j * index * np.sin(delta), np.cos(delta)]])  # fmt: skip
        (a, b), (c, d) = whole
        bottom = before * a + before * behind * b + c + behind * d
        passed = np.real(behind) / before * abs(2 * before / bottom) ** 2
        found.append(
            (passed, abs((before * a + before * behind * b - c - behind * d) / bottom) ** 2)
        )
    return np.array(found).T


stacks = st.lists(
    st.tuples(st.floats(1.2, 4), st.floats(0, 2), st.floats(0, 300)), min_size=1, max_size=5
)


@settings(max_examples=40, deadline=None)
@given(stacks, st.floats(1, 4))
def test_any_stack_equals_the_product_of_its_matrices(stack, behind):
    index = [complex(n, k) for n, k, _ in stack]
    depth = [d if k < 0.2 else d / 20 for _, k, d in stack]  # matrices overflow, limen does not
    found = stack_power(NM, layers(*index), thick(*depth), behind=behind)
    passed, back = transfer_matrix(NM, index, depth, before=1.0, behind=behind)
    np.testing.assert_allclose(found.transmitted[0], passed, atol=1e-9)
    np.testing.assert_allclose(found.reflected[0], back, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(stacks, st.floats(0, 1.4), st.sampled_from(["s", "p", "mean"]))
def test_no_stack_passes_or_makes_more_light_than_it_gets(stack, angle, polarisation):
    index, depth = [complex(n, k) for n, k, _ in stack], [d for *_, d in stack]
    found = stack_power(NM, layers(*index), thick(*depth), behind=1.5, angle=angle,
                        polarisation=polarisation)  # fmt: skip
    assert (found.transmitted >= 0).all()
    assert (found.absorbed >= -1e-12).all()


@pytest.mark.parametrize("angle", [0.0, 0.7])
@pytest.mark.parametrize("polarisation", ["s", "p"])
def test_a_lossless_stack_loses_nothing(angle, polarisation):
    found = stack_power(NM, layers(2.4, 1.46, 3.1), thick(80, 120, 40), behind=1.52, angle=angle,
                        polarisation=polarisation)  # fmt: skip
    assert found.absorbed.abs().max() < 1e-12


@pytest.mark.parametrize(
    ("pairs", "wanted"), [(1, 0.370158482), (3, 0.875095814), (5, 0.981900138)]
)
def test_a_quarter_wave_mirror_reflects_what_its_closed_form_says(pairs, wanted):
    index, depth = [2.4, 1.46] * pairs, [550 / 4 / 2.4, 550 / 4 / 1.46] * pairs
    at = torch.tensor([550.0], dtype=torch.float64)
    grid = torch.tensor(index, dtype=torch.complex128)[:, None]
    found = stack_power(at, grid, thick(*depth), behind=1.52)
    assert found.reflected.item() == pytest.approx(wanted, abs=1e-9)


def test_a_quarter_wave_of_the_root_of_the_index_reflects_nothing():
    index, at = math.sqrt(1.52), torch.tensor([550.0], dtype=torch.float64)
    found = stack_power(at, torch.tensor([[index]], dtype=torch.complex128),
                        thick(550 / 4 / index), behind=1.52)  # fmt: skip
    assert found.reflected.item() < 1e-15


def test_bare_glass_reflects_four_hundredths():
    none = layers().reshape(0, 1).expand(0, len(NM))
    found = stack_power(NM, none, torch.zeros(1, 0), behind=1.5)
    assert (found.reflected - 0.04).abs().max() < 1e-15
    assert (found.transmitted - 0.96).abs().max() < 1e-15


@pytest.mark.parametrize("polarisation", ["s", "p"])
def test_fresnel_and_brewster(polarisation):
    angle, none = math.atan(1.5), layers().reshape(0, 1).expand(0, len(NM))
    found = stack_power(NM, none, torch.zeros(1, 0), behind=1.5, angle=angle,
                        polarisation=polarisation)  # fmt: skip
    wanted = 0.0 if polarisation == "p" else ((1 - 1.5**2) / (1 + 1.5**2)) ** 2
    assert found.reflected.max().item() == pytest.approx(wanted, abs=1e-12)


def test_a_layer_of_no_thickness_and_a_layer_in_two_change_nothing():
    whole = stack_power(NM, layers(2.2, 1.7 + 0.1j), thick(90, 60), behind=1.5).transmitted
    nothing = stack_power(NM, layers(2.2, 3.3, 1.7 + 0.1j), thick(90, 0, 60), behind=1.5)
    parted = stack_power(NM, layers(2.2, 2.2, 1.7 + 0.1j), thick(30, 60, 60), behind=1.5)
    torch.testing.assert_close(nothing.transmitted, whole, atol=1e-12, rtol=0)
    torch.testing.assert_close(parted.transmitted, whole, atol=1e-12, rtol=0)


@settings(max_examples=40, deadline=None)
@given(stacks, st.floats(1, 4), st.sampled_from(["s", "p"]), st.floats(0, 1.4))
def test_light_passes_any_stack_alike_both_ways(stack, behind, polarisation, angle):
    index, depth = [complex(n, k) for n, k, _ in stack], [d for *_, d in stack]
    there = stack_power(NM, layers(*index), thick(*depth), behind=behind, angle=angle,
                        polarisation=polarisation)  # fmt: skip
    inside = math.asin(math.sin(angle) / behind)
    back = stack_power(NM, layers(*index[::-1]), thick(*depth[::-1]), before=behind, angle=inside,
                       polarisation=polarisation)  # fmt: skip
    torch.testing.assert_close(there.transmitted, back.transmitted, atol=1e-12, rtol=0)


def test_light_passes_alike_both_ways():
    there = stack_power(NM, layers(2.2, 1.7 + 0.3j, 1.4), thick(90, 60, 200), behind=1.5)
    back = stack_power(NM, layers(1.4, 1.7 + 0.3j, 2.2), thick(200, 60, 90), before=1.5, behind=1.0)
    torch.testing.assert_close(there.transmitted, back.transmitted, atol=1e-12, rtol=0)


def test_very_thick_metal_passes_nothing_and_has_finite_gradients():
    depth = thick(1e6, 100.0).requires_grad_()
    found = stack_power(NM, layers(0.1 + 5j, 1.5), depth, behind=1.5)
    found.transmitted.sum().backward()
    assert found.transmitted.max().item() == 0
    assert torch.isfinite(found.reflected).all()
    assert torch.isfinite(depth.grad).all()


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_gradients_equal_differences(angle):
    depth = thick(90.0, 25.0, 130.0)

    def passed(d):
        return stack_power(NM[::8], layers(2.2, 0.3 + 3j, 1.46)[:, ::8], d, behind=1.5,
                           angle=angle).transmitted  # fmt: skip

    assert torch.autograd.gradcheck(passed, depth.requires_grad_(), rtol=1e-6, atol=1e-9)


def test_off_axis_a_cavity_shifts_to_the_blue_by_its_index():
    mirror = [2.4, 1.46] * 4
    index = [*mirror, 2.4, *mirror[::-1]]
    quarter = [600 / 4 / n for n in mirror]
    depth = [*quarter, 8 * 600 / 2 / 2.4, *quarter[::-1]]  # of high order: n_eff is the cavity's
    nm = torch.linspace(560, 610, 5001, dtype=torch.float64)
    grid = torch.tensor(index, dtype=torch.complex128)[:, None].expand(-1, len(nm))
    angle = math.radians(15)
    near = (nm > 585).double()
    peak = nm[(near * stack_power(nm, grid, thick(*depth), angle=angle).transmitted[0]).argmax()]
    assert peak.item() == pytest.approx(600 * math.sqrt(1 - (math.sin(angle) / 2.4) ** 2), abs=1.0)


def test_a_bank_trains_towards_a_target_and_stays_within_what_can_be_made():
    bands = Wavelengths(np.linspace(450, 700, 26))
    bank = ThinFilm.random(2, ["SiO2", "Si3N4"] * 3, seed=0, behind="SiO2")
    goal = ThinFilm.random(2, ["SiO2", "Si3N4"] * 3, seed=1, behind="SiO2")(bands).detach()
    optimizer, losses = torch.optim.Adam(bank.parameters(), lr=2.0), []
    for _ in range(60):
        loss = (bank(bands) - goal).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bank.clamp_()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    low, high = bank.limits.T
    found = bank.thickness.detach().numpy()
    assert ((found >= low) & (found <= high)).all()


def test_deposition_errors_act_in_training_alone_and_are_seeded():
    bands = Wavelengths([500.0, 600.0])
    one, same = (ThinFilm([[90.0]], ["Si3N4"], error=0.02, seed=4) for _ in range(2))
    assert torch.equal(one(bands), same(bands))
    assert not torch.equal(one(bands), one(bands))
    assert torch.equal(one.eval()(bands), same.eval()(bands))


def test_a_bank_goes_through_a_file_and_back(tmp_path):
    bands = Wavelengths([500.0, 600.0])
    bank = ThinFilm([[90.0, 20.0]], ["Si3N4", Material.constant(0.2 + 3j, "metal")], angle=0.2)
    again = ThinFilm.from_dict(bank.to_dict())
    assert torch.equal(bank(bands), again(bands))
    limen.save(bank, tmp_path / "bank.safetensors")
    assert torch.equal(limen.load(tmp_path / "bank.safetensors")(bands), bank(bands))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ThinFilm([[1.0, 2.0]], ["SiO2"]), "a column for each of 1 materials"),
        (lambda: ThinFilm([[-1.0]], ["SiO2"]), "at least 0 nm"),
        (lambda: ThinFilm([[1.0]], ["SiO3"]), "no material 'SiO3' is built in"),
        (lambda: Material.named("SiO2").at(Wavelengths([100.0, 300.0])), "crop them"),
        (lambda: Material("m", [1.0, 2.0], [1.0, 1.0 - 1j]), "a finite n and k"),
        (lambda: stack_power(NM, layers(2.0), thick(1), polarisation="x"), "must be 's', 'p'"),
    ],
)
def test_what_can_be_no_film_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
