"""The losses of GenIAS: known values, where they are least, what they cannot be fooled by."""

import pytest
import torch

from limen.anomaly.synth.genias_losses import (
    compact_kl,
    reduced,
    squared_error,
    two_sided_margin,
    zero_perturbation,
)


def kl_at(mu, sigma, prior_std, form="exact"):
    log_var = 2 * torch.tensor([[sigma]], dtype=torch.float64).log()
    mean = torch.tensor([[mu]], dtype=torch.float64)
    return compact_kl(mean, log_var, prior_std=prior_std, form=form).item()


@pytest.mark.parametrize(
    ("point", "exact", "printed"),
    [
        ((0.0, 1.0, 1.0), 0.0, 0.0),
        ((0.0, 0.5, 0.5), 0.0, 1.3862944),
        ((0.0, 1.0, 0.5), 0.8068528, 2.1931472),
        ((1.0, 0.5, 0.5), 2.0, 1.8862944),
        ((1.0, 1.0, 1.0), 0.5, 0.5),
        ((0.3, 0.8, 0.5), 0.4899964, 1.7412907),
    ],
)
def test_both_forms_of_the_kl_have_their_values(point, exact, printed):
    assert kl_at(*point) == pytest.approx(exact, abs=1e-7)
    assert kl_at(*point, form="printed") == pytest.approx(printed, abs=1e-7)


@pytest.mark.parametrize("form", ["exact", "printed"])
def test_the_slope_of_the_kl_vanishes_at_the_prior(form):
    mu = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    log_var = torch.full((1, 1), 0.25, dtype=torch.float64).log().requires_grad_()
    compact_kl(mu, log_var, prior_std=0.5, form=form).sum().backward()
    assert mu.grad.abs().item() < 1e-6
    assert log_var.grad.abs().item() < 1e-6


def test_the_exact_kl_agrees_with_torch_and_the_printed_one_differs_by_what_the_formulas_say():
    stream = torch.Generator().manual_seed(0)
    mu, log_var = torch.randn(2, 5, 4, generator=stream, dtype=torch.float64)
    found = compact_kl(mu, log_var, prior_std=0.5)
    latent = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.full_like(mu, 0.5))
    torch.testing.assert_close(found, torch.distributions.kl_divergence(latent, prior))
    printed = compact_kl(mu, log_var, prior_std=0.5, form="printed")
    gap = -2 * torch.tensor(0.5, dtype=torch.float64).log() + mu**2 / 2 * (1 - 1 / 0.25)
    torch.testing.assert_close(printed - found, gap)


def test_the_sum_is_the_mean_times_the_number_of_latents():
    values = torch.arange(12.0).reshape(3, 4)
    assert reduced(values, reduction="sum") == 4 * reduced(values)


@pytest.mark.parametrize(
    ("copy", "perturbed", "expected"),
    [
        (0.0, 0.0, 0.1), (0.0, 0.1, 0.0), (0.0, 0.15, 0.0), (0.0, 0.2, 0.0), (0.0, 0.25, 0.05),
        (0.05, 0.15, 0.0), (0.05, 0.12, 0.03), (0.15, 0.2, 0.05), (0.1, 0.5, 0.3),
        (0.3, 0.35, 0.2),
    ],
)  # fmt: skip
def test_the_margin_is_zero_in_the_band_and_grows_outside(copy, perturbed, expected):
    near, far = torch.tensor([[copy], [perturbed]], dtype=torch.float64)
    assert two_sided_margin(near, far, least=0.1, most=0.2).item() == pytest.approx(expected)


def test_a_near_copy_cannot_hide_behind_a_window_that_is_far_off():
    near, far = torch.zeros(2), torch.tensor([0.0, 0.3])  # their mean lies in the band
    assert two_sided_margin(near, far, least=0.1, most=0.2).mean().item() == pytest.approx(0.1)
    assert two_sided_margin(near[:1], far.mean()[None], least=0.1, most=0.2).item() == 0


@pytest.mark.parametrize("copy", [0.0, 0.05, 0.3])
def test_identical_samples_cost_the_least_distance(copy):
    same = torch.tensor([copy], dtype=torch.float64)
    expected = 0.1 + max(copy - 0.2, 0)
    assert two_sided_margin(same, same, least=0.1, most=0.2).item() == pytest.approx(expected)


def test_the_error_of_a_window_is_a_mean_over_channels_and_time():
    first = torch.zeros(2, 3, 4)
    second = first.clone()
    second[1, 2] = 3.0
    assert squared_error(first, second).tolist() == [0.0, 3.0]


def test_without_a_constant_channel_nothing_is_asked_and_the_gradient_is_zero():
    windows = torch.arange(8.0).reshape(1, 2, 4)
    perturbed = (windows + 1).requires_grad_()
    loss = zero_perturbation(windows, perturbed)
    loss.backward()
    assert loss.item() == 0
    assert not perturbed.grad.any()


@pytest.mark.parametrize(
    ("error", "expected"), [(0.0, 1.0), (0.5, 1 / 1.5), (1.0, 0.5), (3.0, 0.25)]
)
def test_a_constant_channel_costs_less_the_more_it_moves(error, expected):
    windows = torch.zeros(2, 2, 4, dtype=torch.float64)
    windows[0, 0] = torch.arange(4.0)
    windows[1] = torch.arange(4.0)
    perturbed = windows.clone()
    perturbed[0, 1] += error**0.5
    assert zero_perturbation(windows, perturbed).item() == pytest.approx(expected)


def test_constant_at_any_value_counts():
    windows = torch.full((1, 1, 4), 0.7)
    assert zero_perturbation(windows, windows + 1).item() == pytest.approx(0.5)
