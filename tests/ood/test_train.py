"""The one line: schedule, resume, randomness, and models of every kind."""

import copy

import pytest
import torch
from outlier_toys import CLASSES, net, rows, strange
from torch.utils.data import DataLoader, TensorDataset

from limen._core.errors import UsageError
from limen.ood import objectives
from limen.ood.augment import Augment
from limen.ood.nets import LeNet
from limen.ood.scores.msp import msp
from limen.ood.train import Training, train

OE = objectives.OutlierExposure()


def same(one, other) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_rate_follows_the_published_cosine():
    found = [Training(steps=3910, lr=0.01).rate(t) for t in (0, 1955, 3519, 3910)]
    assert found == pytest.approx([0.01, 0.0050005, 2.457e-4, 1e-6], rel=1e-3)


def test_the_optimiser_meets_that_rate_at_every_step():
    model, settings = net(), Training(steps=4, lr=0.1)
    state = settings.run(model, rows(), strange(), label="")
    assert state.optimizer.param_groups[0]["lr"] == pytest.approx(1e-6)
    assert state.optimizer.param_groups[0]["nesterov"]


@pytest.mark.parametrize("name", ["DAL", "DOE", "EnergyMargin", "MixOE", "NTOM", "VOS"])
def test_without_a_weight_an_objective_brings_its_published_one(name):
    published = {"DAL": 0.5, "DOE": 1, "EnergyMargin": 0.1, "MixOE": 1, "NTOM": 1, "VOS": 0.1}
    margins = {"m_in": -8.0, "m_out": -1.8} if name == "EnergyMargin" else {}
    objective = getattr(objectives, name)(**margins)
    assert Training(objective).factor == published[name]
    assert Training(objective, weight=0.3).factor == 0.3


def test_outlier_exposure_learns_what_cross_entropy_does_not():
    plain, exposed = net(), net()
    train(plain, rows(240), objective=None, steps=40, lr=0.1)
    train(exposed, rows(240), strange(480), objective=OE, steps=40, lr=0.1)
    fresh = strange(200, seed=1)
    assert msp(exposed.eval()(fresh)).mean() > msp(plain.eval()(fresh)).mean() + 0.1
    inputs, labels = rows(90, seed=1)
    assert (exposed(inputs).argmax(-1) == labels).float().mean() > 0.9


def test_the_network_gets_its_modes_back():
    model = net().eval()
    train(model, rows(), strange(), objective=OE, steps=2, lr=0.1)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_bits_whatever_the_global_generator_says(seed):
    one, other = net(dropout=0.3), net(dropout=0.3)
    for model, state in ((one, 5), (other, 6)):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        train(model, rows(), strange(), objective=OE, steps=3, lr=0.1, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
    assert same(one, other)


def test_two_seeds_differ():
    one, other = net(), net()
    for seed, model in enumerate((one, other)):
        train(model, rows(200), strange(), objective=OE, steps=2, lr=0.1, seed=seed)
    assert not same(one, other)


@pytest.mark.parametrize("name", ["OutlierExposure", "MixOE", "VOS"])
def test_a_killed_call_continues_to_the_same_bits(name, tmp_path):
    made = {"VOS": objectives.VOS(queue=4)}.get(name) or getattr(objectives, name)()
    settings = Training(made, steps=6, lr=0.1, save_every=1)
    straight, killed, fresh = (net(dropout=0.2) for _ in range(3))
    settings.run(straight, rows(), strange(), label="")
    step = settings.step

    class Killed(Training):
        def step(self):
            found = step()
            call = found.__call__

            class Dying(type(found)):
                def __call__(self, model, batch):
                    if self.state_dict()["count"] == 3:
                        raise KeyboardInterrupt
                    return call(model, batch)

            found.__class__ = Dying
            return found

    with pytest.raises(KeyboardInterrupt):
        Killed(made, steps=6, lr=0.1, save_every=1).run(
            killed, rows(), strange(), into=tmp_path, label=""
        )
    settings.run(fresh, rows(), strange(), into=tmp_path, label="")
    assert same(straight, fresh)


def test_a_shuffling_loader_without_generator_is_refused_before_anything_is_written(tmp_path):
    loader = DataLoader(TensorDataset(*rows()), batch_size=8, shuffle=True)
    with pytest.raises(UsageError, match="generator"):
        train(net(), loader, strange(), objective=OE, steps=2, lr=0.1, into=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_labels_beyond_the_head_change_no_weight():
    model = net()
    before = copy.deepcopy(model)
    with pytest.raises(UsageError, match=f"0 to {CLASSES - 1}"):
        train(model, (rows()[0], torch.arange(24)), strange(), objective=OE, steps=2, lr=0.1)
    assert same(before, model)


def test_bytes_train_a_convolutional_network():
    images = torch.randint(0, 256, (12, 1, 12, 12), dtype=torch.uint8,
                           generator=torch.Generator().manual_seed(0))  # fmt: skip
    settings = Training(steps=2, lr=0.01, batch=4, augment=Augment(mean=(0.5,), std=(0.5,)))
    state = settings.run(LeNet(3), (images, torch.arange(12) % 3), 255 - images, label="")
    assert len(state.history) == 2


def test_a_text_classifier_trains_on_dicts():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    known = torch.arange(12)[:, None] % 3 + torch.zeros(1, 5, dtype=torch.int64)
    words = {"input_ids": known, "attention_mask": torch.ones_like(known)}
    other = {"input_ids": 20 + known[:, :4], "attention_mask": torch.ones_like(known[:, :4])}
    state = Training(steps=3, lr=0.1, batch=12).run(
        model, {**words, "labels": known[:, 0]}, other, label=""
    )
    assert state.history[-1]["inlier"] < state.history[0]["inlier"]


def test_a_network_of_timm_trains():
    timm = pytest.importorskip("timm")
    model = timm.create_model("resnet10t", num_classes=2, in_chans=3)
    images = torch.rand(4, 3, 32, 32)
    state = Training(steps=1, lr=0.01, batch=2, outlier_batch=2, bn="id_stats").run(
        model, (images, torch.tensor([0, 1, 0, 1])), images, label=""
    )
    assert {"inlier", "outlier"} <= state.history[0].keys()


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"lr": 0.0}, {"momentum": 1.0}, {"weight": -1.0}, {"weight_decay": 1.0},
     {"bn": "none"}, {"clip": 0.0}, {"save_every": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        Training(**wrong)
