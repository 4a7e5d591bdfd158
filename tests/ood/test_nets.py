"""The networks: sizes that are published, features where a head is looked for, seeds."""

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, relu

from limen._core.errors import UsageError
from limen.bank.network import head_of, see
from limen.ood import nets
from limen.ood.nets import MLP, WRN, LeNet, ResNet

MADE = {
    "LeNet": (lambda **k: LeNet(4, channels=3, **k), (2, 3, 28, 28)),
    "MLP": (lambda **k: MLP(20, 4, **k), (2, 20)),
    "ResNet": (lambda **k: ResNet(8, 4, **k), (2, 3, 32, 32)),
    "WRN": (lambda **k: WRN(10, 1, 4, **k), (2, 3, 32, 32)),
}


def size(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (lambda: WRN(40, 2), 2_243_546),
        (lambda: WRN(16, 2), 691_674),
        (lambda: ResNet(18), 11_173_962),
        (lambda: LeNet(10), 61_706),
    ],
    ids=["WRN-40-2", "WRN-16-2", "ResNet-18", "LeNet"],
)
def test_the_number_of_parameters_is_the_published_one(net, expected):
    assert size(net()) == expected


def test_wrn_40_2_has_41_weights_of_more_than_one_axis():
    many = [p.numel() for p in WRN(40, 2).parameters() if p.ndim > 1]
    assert (len(many), sum(many)) == (41, 2_238_128)


def test_every_network_is_tried_here():
    assert sorted(MADE) == sorted(nets.__all__)


@pytest.mark.parametrize("name", MADE)
def test_the_head_is_found_and_makes_the_logits(name):
    make, shape = MADE[name]
    net = make().eval()
    logits, features = see(net, torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert head_of(net) is net.fc
    assert logits.shape == (2, 4)
    torch.testing.assert_close(net.fc(features), logits)


@pytest.mark.parametrize("name", MADE)
def test_features_are_not_negative(name):
    make, shape = MADE[name]
    assert (see(make().eval(), torch.randn(shape)).features >= 0).all()


@pytest.mark.parametrize("name", MADE)
def test_the_seed_decides_the_weights_and_the_global_generator_stays(name):
    make, _ = MADE[name]
    before = torch.get_rng_state()
    one, again, other = (next(make(seed=s).parameters()) for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", MADE)
def test_initial_logits_are_neither_dead_nor_huge(name):
    make, shape = MADE[name]
    rows = torch.randn((8, *shape[1:]), generator=torch.Generator().manual_seed(0))
    assert 0.01 < make().train()(rows).std() < 30


def test_a_changing_block_feeds_its_first_relu_to_the_shortcut():
    net = WRN(10, 1, 4).eval()
    block = net.stages[1]  # 16 to 32 channels
    maps = torch.randn(1, 16, 8, 8)
    ready = relu(block.norm1(maps))
    expected = block.shortcut(ready) + block.conv2(relu(block.norm2(block.conv1(ready))))
    torch.testing.assert_close(block(maps), expected)


def test_wrn_pools_the_last_eight_by_eight_maps():
    net = WRN(10, 1, 4).eval()
    images = torch.randn(2, 3, 32, 32)
    maps = relu(net.norm(net.stages(net.stem(images))))
    assert maps.shape[2:] == (8, 8)
    torch.testing.assert_close(see(net, images).features, avg_pool2d(maps, 8).flatten(1))


def test_dropout_acts_in_training_only():
    net = WRN(10, 1, 4, dropout=0.3)
    images = torch.randn(2, 3, 8, 8)
    assert not torch.equal(net(images), net(images))
    net.eval()
    assert torch.equal(net(images), net(images))


def test_an_mlp_with_layer_norm_looks_at_each_row_alone():
    net, rows = MLP(5, 3, norm="layer"), torch.randn(4, 5)
    torch.testing.assert_close(net(rows)[:2], net(rows[:2]))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: WRN(41, 2),
        lambda: WRN(4, 2),
        lambda: WRN(16, 0),
        lambda: WRN(16, 1, dropout=1.0),
        lambda: ResNet(9),
        lambda: ResNet(18, 1),
        lambda: LeNet(1),
        lambda: MLP(4, 2, norm="group"),
        lambda: MLP(0, 2),
        lambda: MLP(4, 2, widths=(0,)),
    ],
)
def test_sizes_that_do_not_exist_are_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
