import numpy as np
import pytest
import torch
from bank_toys import net, rows
from torch import nn

from limen._core.errors import UsageError
from limen.bank import FeatureBank, Grams

MAPS = torch.randn(3, 4, 5, 2, generator=torch.Generator().manual_seed(0))


def convolutions():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(2 * 16, 3)
    )


def slow(maps, p):
    """The definition: Gram matrices of the powers, row sums, signed roots; in float64."""
    flat = maps.double().flatten(2) ** p
    sums = (flat @ flat.transpose(1, 2)).sum(2)
    return sums.sign() * sums.abs() ** (1 / p)


@pytest.mark.parametrize("p", [1, 2, 3, 7, 10])
def test_statistics_are_the_signed_roots_of_row_sums_of_gram_matrices(p):
    found = Grams(powers=(p,)).of(MAPS)
    np.testing.assert_allclose(found, slow(MAPS, p), rtol=1e-4)  # float32 to the power 2p


def test_no_power_overflows():
    assert torch.isfinite(Grams(powers=(10,)).of(1e6 * MAPS)).all()


def test_statistics_grow_with_the_square_of_the_map():
    grams = Grams(powers=(1, 3))
    torch.testing.assert_close(grams.of(3 * MAPS), 9 * grams.of(MAPS))


def test_a_map_of_zeros_has_statistics_of_zero():
    assert not Grams().of(torch.zeros(2, 3, 4)).any()


def test_places_in_another_order_change_nothing():
    turned = MAPS.flip(2, 3)
    torch.testing.assert_close(Grams().of(turned), Grams().of(MAPS))


def test_a_bank_keeps_layers_in_order_then_powers_then_channels():
    model, images = convolutions(), torch.randn(5, 3, 8, 8)
    bank = FeatureBank.extract(model, {"id": images}, grams=Grams(powers=(1, 2)), batch_size=2)
    assert bank.layers == (8, 4)
    with torch.no_grad():
        first, second = model[:1](images), model[:3](images)
    expected = torch.cat([slow(m, p) for m in (first, second) for p in (1, 2)], dim=1)
    np.testing.assert_allclose(bank["id"].grams, expected, rtol=1e-4, atol=1e-6)


def test_layers_can_be_named():
    images = torch.randn(2, 3, 8, 8)
    bank = FeatureBank.extract(convolutions(), {"id": images}, grams=Grams((1,), layers=["1"]))
    assert bank.layers == (4,)


def test_grams_survive_the_folder(tmp_path):
    model, images = convolutions(), torch.randn(2, 3, 8, 8)
    grams = Grams(powers=(1,))
    stored = FeatureBank.extract(model, {"id": images}, grams=grams, into=tmp_path)
    memory = FeatureBank.extract(model, {"id": images}, grams=grams)
    np.testing.assert_array_equal(stored["id"].grams, memory["id"].grams)
    assert FeatureBank.open(tmp_path).layers == memory.layers == (4, 2)


def test_a_network_without_convolutions_needs_named_layers():
    with pytest.raises(UsageError, match="no convolution"):
        FeatureBank.extract(net(), {"id": rows(2)}, grams=Grams())


def test_an_unknown_layer_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"layers has '22', .* nearest: 2"):
        FeatureBank.extract(net(), {"id": rows(2)}, grams=Grams(layers=["22"]))


def test_an_output_that_is_no_map_is_refused():
    with pytest.raises(UsageError, match=r"output is \(rows, channels, \.\.\.\)"):
        FeatureBank.extract(net(), {"id": rows(2)}, grams=Grams(layers=["0"]))


@pytest.mark.parametrize("powers", [(), (0,), (-1, 2)])
def test_powers_must_be_whole_and_positive(powers):
    with pytest.raises(UsageError, match="whole numbers above 0"):
        Grams(powers=powers)
