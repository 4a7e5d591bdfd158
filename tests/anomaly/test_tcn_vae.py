"""The network of GenIAS: causal over time, as deep as the window, one noise, psi at least 1."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from limen._core.errors import UsageError
from limen.anomaly.synth.genias_losses import squared_error, two_sided_margin
from limen.anomaly.synth.vae import (
    TCN,
    TCNVAE,
    Decoder,
    Posterior,
    Psi,
    blocks_for,
    receptive_field,
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return TCNVAE(2, window=18, width=4, latent=5).eval()


def rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_later_change_leaves_earlier_features_untouched():
    torch.manual_seed(0)
    tcn = TCN(2, width=4, blocks=3).eval()
    x = rows(1, 2, 30)
    later = x.clone()
    later[..., 12] += 1.0
    before, after = tcn(x), tcn(later)
    assert torch.equal(before[..., :12], after[..., :12])
    assert not torch.equal(before[..., 12:], after[..., 12:])


def test_channels_change_features_alike_whatever_the_time():
    """Convolutions run over time: a shifted input gives shifted features."""
    torch.manual_seed(0)
    tcn = TCN(2, width=4, blocks=2).eval()
    x = rows(1, 2, 60)
    shifted = tcn(x.roll(5, dims=2))[..., 40:]
    torch.testing.assert_close(shifted, tcn(x).roll(5, dims=2)[..., 40:])


@pytest.mark.parametrize(("blocks", "field"), [(3, 29), (6, 253), (8, 1021), (10, 4093)])
def test_the_receptive_field_doubles_with_each_block(blocks, field):
    assert receptive_field(blocks) == field


def test_the_receptive_field_is_what_the_last_point_depends_on():
    torch.manual_seed(0)
    tcn = TCN(1, width=8, blocks=2).eval()
    x = rows(1, 1, 30).requires_grad_()
    tcn(x)[..., -1].sum().backward()
    seen = torch.nonzero(x.grad[0, 0])
    assert 30 - seen.min().item() == receptive_field(2) == 13


@pytest.mark.parametrize("window", [8, 29, 30, 100, 200, 253, 254])
def test_blocks_see_the_whole_window_and_are_no_more_than_needed(window):
    blocks = blocks_for(window)
    assert receptive_field(blocks) >= window
    assert blocks == 1 or receptive_field(blocks - 1) < window


def test_weights_are_normalised():
    block = TCN(1, width=4, blocks=1).blocks[0]
    direction = block.first.parametrizations.weight.original1
    before = block.first.weight.detach().clone()
    with torch.no_grad():
        direction.mul_(3.0)
    torch.testing.assert_close(block.first.weight, before)


@pytest.mark.parametrize("window", [8, 17, 18, 19, 20])
def test_windows_of_any_length_come_back_whole(window):
    net = TCNVAE(3, window=window, width=2, latent=4).eval()
    copy, perturbed, _ = net(torch.zeros(2, 3, window), torch.zeros(2, 4))
    assert copy.shape == perturbed.shape == (2, 3, window)


def test_the_output_is_linear_so_that_negative_numbers_can_be_decoded():
    torch.manual_seed(0)
    decoder = Decoder(5, 1, window=16, width=4)
    assert isinstance(decoder[-1], nn.Conv1d)
    nn.init.constant_(decoder[-1].bias, -1.0)
    assert (decoder(rows(20, 5)) < 0).all()


def test_the_decoder_sees_latents_alone(net):
    """No skip: two windows of one posterior give one copy."""
    seen = net.encode(rows(1, 2, 18))
    z = seen.sample(rows(1, 5))
    assert torch.equal(net.decoder(z), net.decoder(z.clone()))
    for parameter in (net.mu.weight, net.mu.bias):
        nn.init.zeros_(parameter)
    copies, _, _ = net(rows(2, 2, 18), torch.zeros(2, 5))
    assert torch.equal(copies[0], copies[1])


def test_at_psi_one_the_perturbed_window_is_the_copy_bit_for_bit(net):
    with torch.no_grad():
        net.psi.raw.fill_(-200.0)
    copy, perturbed, _ = net(rows(3, 2, 18), rows(3, 5, seed=1))
    assert torch.equal(copy, perturbed)
    near = squared_error(rows(3, 2, 18), copy)
    loss = two_sided_margin(near, near, least=0.1, most=0.2)
    torch.testing.assert_close(loss, 0.1 + (near - 0.2).relu())


def test_own_noise_perturbs_even_at_psi_one(net):
    with torch.no_grad():
        net.psi.raw.fill_(-200.0)
    copy, perturbed, _ = net(rows(3, 2, 18), rows(3, 5, seed=1), rows(3, 5, seed=2))
    assert not torch.equal(copy, perturbed)


@pytest.mark.parametrize("mode", ["per_dim", "global", "per_sample"])
def test_psi_starts_at_two_and_never_falls_below_one(mode):
    psi = Psi(4, 6, mode=mode)
    assert torch.allclose(psi(rows(3, 6)), torch.tensor(2.0), atol=1e-6)
    for parameter in psi.parameters():
        nn.init.constant_(parameter, -50.0)
    assert (psi(rows(3, 6).abs()) >= 1).all()


@pytest.mark.parametrize(
    ("mode", "shape"), [("per_dim", (1, 4)), ("global", (1, 1)), ("per_sample", (3, 4))]
)
def test_psi_belongs_to_what_its_mode_says(mode, shape):
    assert tuple(Psi(4, 6, mode=mode)(rows(3, 6)).shape) == shape


def test_the_gradient_reaches_psi_where_the_margin_is_active_and_only_there(net):
    x, noise = rows(3, 2, 18), rows(3, 5, seed=1)
    copy, perturbed, _ = net(x, noise)
    near, far = squared_error(x, copy), squared_error(x, perturbed)
    (slope,) = torch.autograd.grad(
        two_sided_margin(near, far, least=10.0, most=20.0).sum(), net.psi.raw, retain_graph=True
    )
    assert slope.abs().sum() > 0
    (slope,) = torch.autograd.grad(near.sum(), net.psi.raw, allow_unused=True)
    assert slope is None


def test_with_shared_noise_the_samples_differ_by_what_psi_adds():
    mu, log_var, noise = rows(3, 4, 5).double()
    psi = 1 + softplus(rows(1, 5, seed=3).double())
    seen = Posterior(mu, log_var, psi)
    found = (seen.sample(noise, widened=True) - seen.sample(noise)).square().sum(1)
    expected = ((psi - 1) ** 2 * log_var.exp() * noise**2).sum(1)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shared", [True, False])
def test_the_mean_distance_of_the_samples_is_the_stated_one(shared):
    many = 20_000
    sigma, psi = torch.tensor([[0.5, 1.0]]), torch.tensor([[2.0, 3.0]])
    seen = Posterior(torch.zeros(many, 2), (2 * sigma.log()).expand(many, 2), psi)
    first, second = rows(many, 2), rows(many, 2, seed=1)
    wide = seen.sample(first if shared else second, widened=True)
    found = (wide - seen.sample(first)).square().sum(1)
    expected = ((psi - 1) ** 2 if shared else 1 + psi**2) * sigma**2
    assert abs(found.mean() - expected.sum()) < 3 * found.std() / many**0.5


def test_the_boost_multiplies_psi():
    one = torch.ones(1, 1)
    assert Posterior(0 * one, 0 * one, 2 * one).sample(one, widened=True, boost=1.5).item() == 3


def test_log_variances_stay_within_bounds(net):
    seen = net.encode(1e6 * rows(4, 2, 18))
    assert seen.log_var.min() >= -10
    assert seen.log_var.max() <= 4


def test_a_network_without_latents_is_refused():
    with pytest.raises(UsageError, match="latent must be 1 or more"):
        TCNVAE(1, window=8, width=2, latent=0)
