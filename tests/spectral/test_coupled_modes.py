"""Coupled resonances: energy, gradients, and closed forms of few modes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import limen
from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.spectral import CoupledModes, Wavelengths, scattering_matrix

BANDS = Wavelengths(np.linspace(350, 1100, 40))


def drawn(*, modes=12, ports=2, frequencies=200, seed=0):
    """A structure at random: frequencies, and the arguments of `scattering_matrix`."""
    draw = torch_stream(seed, "modes")

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.complex128)

    square = normal(ports, ports)
    return torch.linspace(-1, 2, frequencies, dtype=torch.float64), {
        "resonances": torch.rand(modes, generator=draw, dtype=torch.float64),
        "coupling": 0.3 * normal(modes, ports),
        "background": torch.linalg.matrix_exp(1j * (square + square.mH) / 2),
    }


def from_unitary(s):
    return (s.mH @ s - torch.eye(s.shape[-1])).abs().max().item()


@given(st.integers(0, 10_000), st.integers(1, 16), st.integers(1, 4))
def test_without_absorption_the_scattering_is_unitary_at_every_frequency(seed, modes, ports):
    at, parts = drawn(modes=modes, ports=ports, frequencies=20, seed=seed)
    assert from_unitary(scattering_matrix(at, **parts, absorption=None)) < 1e-10


@given(st.integers(0, 10_000), st.floats(1e-3, 1.0))
def test_with_absorption_no_singular_value_exceeds_one(seed, loss):
    at, parts = drawn(frequencies=20, seed=seed)
    lost = loss * torch.eye(12, dtype=torch.float64)
    values = torch.linalg.svdvals(scattering_matrix(at, **parts, absorption=lost))
    assert values.max() <= 1 + 1e-12
    assert values.min() < 1 - 1e-6


def test_damping_twice_what_the_coupling_says_breaks_the_energy():
    at, parts = drawn()
    damping = parts["coupling"] @ parts["coupling"].mH / 2
    assert from_unitary(scattering_matrix(at, **parts, absorption=damping)) > 0.5


def test_the_gradients_of_modes_coupling_and_background_equal_differences():
    start = CoupledModes.random(1, 3, band=(400.0, 1000.0), seed=1, absorption=0.01)
    bands = Wavelengths(np.linspace(400, 1000, 7))

    def passed(resonances, coupling, phases):
        parts = {"resonances": resonances, "coupling": coupling, "phases": phases}
        return torch.func.functional_call(start, parts, (bands,))

    given = [part.detach().clone().requires_grad_() for part in start.parameters()]
    assert torch.autograd.gradcheck(passed, given, rtol=1e-6, atol=1e-9)


def test_one_mode_between_two_ports_is_a_lorentzian():
    half = 0.08
    bank = CoupledModes(
        [[0.4]], [[[half**0.5, half**0.5]]], np.zeros((1, 2, 2)), band=(400.0, 1000.0)
    )
    at = (1 / BANDS.nm - 1 / 1000) / (1 / 400 - 1 / 1000)
    wanted = 1 / (1 + ((at - 0.4) / half) ** 2)
    np.testing.assert_allclose(bank(BANDS)[0].detach(), wanted, atol=1e-12)


def test_the_inverse_of_every_matrix_gives_the_same():
    at, parts = drawn(modes=5, frequencies=9)
    found = scattering_matrix(at, **parts, absorption=None)
    k, c = parts["coupling"].numpy(), parts["background"].numpy()
    for w, s in zip(at.tolist(), found, strict=True):
        inner = 1j * (w * np.eye(5) - np.diag(parts["resonances"])) + k @ k.conj().T / 2
        wanted = c @ (np.eye(2) - k.conj().T @ np.linalg.inv(inner) @ k)
        np.testing.assert_allclose(s, wanted, atol=1e-12)


def test_a_bank_is_passive_trains_and_goes_through_a_file(tmp_path):
    bank = CoupledModes.random(3, 4, band=(400.0, 1000.0), seed=0, ports=3, absorption=0.02)
    passed = bank(BANDS)
    assert passed.shape == (3, 40)
    assert passed.min() >= 0
    assert passed.max() <= 1
    with torch.no_grad():
        bank.resonances.add_(5.0)
    bank.clamp_()
    assert bank.resonances.max().item() == 1.0
    again = limen.load(limen.save(bank, tmp_path / "bank"))
    assert torch.equal(again(BANDS), bank(BANDS))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CoupledModes([0.5], [[1.0]], np.zeros((1, 1, 1)), band=(1, 2)), "two ports"),
        (
            lambda: CoupledModes([[0.5]], [[[1, np.nan]]], np.zeros((1, 2, 2)), band=(1, 2)),
            "finite",
        ),
        (lambda: CoupledModes.random(1, 2, band=(700.0, 400.0), seed=0), "band must rise"),
    ],
)
def test_what_are_no_modes_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
