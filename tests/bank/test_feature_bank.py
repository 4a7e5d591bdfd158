import copy

import numpy as np
import pytest
import timm
import torch
import torchvision
from bank_toys import Counted, by_hand, labels, net, rows
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
)

import limen
from limen._core.errors import UsageError
from limen.bank import FeatureBank, Outputs
from limen.bank.content import Watch, model_hash

X, Y = rows(7), labels(7)
IMAGES = torch.linspace(-1, 1, 3 * 3 * 32 * 32).reshape(3, 3, 32, 32)


def test_every_image_of_every_set_passes_the_network_exactly_once():
    model = net()
    counted = Counted(model)
    loaders = {"train": DataLoader(TensorDataset(X, Y), 3), "id": (X, Y), "far": rows(4, seed=1)}
    bank = FeatureBank.extract(model, loaders, batch_size=2)
    assert counted.rows == 7 + 7 + 4
    assert bank.passes == {"train": 7, "id": 7, "far": 4}


def test_logits_features_and_head_are_those_of_a_pass_by_hand():
    model = net()
    bank = FeatureBank.extract(model, {"id": (X, Y)})
    logits, features = by_hand(model, X)
    np.testing.assert_allclose(bank["id"].logits, logits, rtol=1e-6)
    np.testing.assert_allclose(bank["id"].features, features, rtol=1e-6)
    np.testing.assert_array_equal(bank["id"].labels, Y)
    np.testing.assert_array_equal(bank.weight, model[4].weight.detach())
    np.testing.assert_array_equal(bank.bias, model[4].bias.detach())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_the_size_of_the_batches_changes_neither_arrays_nor_hashes(batch_size):
    whole = FeatureBank.extract(net(), {"id": (X, Y)})
    parts = FeatureBank.extract(net(), {"id": (X, Y)}, batch_size=batch_size)
    np.testing.assert_allclose(parts["id"].logits, whole["id"].logits, rtol=1e-5, atol=1e-6)
    assert parts.hashes == whole.hashes


def test_each_module_gets_its_own_mode_back_and_no_statistic_moves():
    model = net().train()
    model[3].eval()
    before = model[1].running_mean.clone()
    FeatureBank.extract(model, {"id": X})
    assert [layer.training for layer in model] == [True, True, True, False, True]
    assert torch.equal(model[1].running_mean, before)
    assert not any(layer._forward_hooks for layer in model)


def test_modes_come_back_when_a_loader_fails():
    model = net().train()

    def failing():
        yield X
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        FeatureBank.extract(model, {"id": failing()})
    assert model.training


@pytest.mark.parametrize(
    "given",
    [
        (X, Y),
        (X.numpy(), Y.numpy()),
        [(X[:4], Y[:4]), (X[4:], Y[4:])],
        [[X, Y]],
        [(X, Y, torch.arange(7), ["file"] * 7)],
        (X, Y.tolist()),
        TensorDataset(X, Y),
        DataLoader(TensorDataset(X, Y), 2),
        DataLoader(list(zip(X, Y.tolist(), strict=True)), 2),
        [{"input": X, "labels": Y}],
        [{"input": X, "label": Y}],
        {"input": X, "labels": Y},
        ({"input": X}, Y),
        (X, Y.float()),
    ],
)
def test_every_form_of_a_set_gives_the_same_rows_and_labels(given):
    bank = FeatureBank.extract(net(), {"id": given}, batch_size=3)
    expected = FeatureBank.extract(net(), {"id": (X, Y)})
    np.testing.assert_allclose(bank["id"].logits, expected["id"].logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(bank["id"].labels, Y)


@pytest.mark.parametrize("given", [X, (X,), [X], iter([X]), TensorDataset(X), {"input": X}])
def test_a_set_without_labels_has_none(given):
    assert FeatureBank.extract(net(), {"far": given})["far"].labels is None


def test_an_iterable_dataset_needs_no_length():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(X, Y, strict=True))

    bank = FeatureBank.extract(net(), {"id": DataLoader(Stream(), 3)})
    assert len(bank["id"]) == 7


def vit():
    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=32,
        patch_size=16,
        num_labels=5,
    )
    return ViTForImageClassification(config)


def bert():
    config = BertConfig(
        vocab_size=12,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=5,
    )
    return BertForSequenceClassification(config)


TOKENS = {"input_ids": torch.tensor([[5, 6, 7], [8, 9, 0], [1, 2, 3]])}
KINDS = {
    "timm": (lambda: timm.create_model("resnet10t", pretrained=False, num_classes=5), IMAGES),
    "torchvision": (lambda: torchvision.models.resnet18(num_classes=5), IMAGES),
    "vit": (vit, {"pixel_values": IMAGES}),
    "bert": (bert, {**TOKENS, "attention_mask": (TOKENS["input_ids"] > 0).long()}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_of_the_bank_turns_features_into_logits(kind):
    make, inputs = KINDS[kind]
    bank = FeatureBank.extract(make(), {"id": inputs}, batch_size=2)
    logits = bank["id"].features @ bank.weight.T + bank.bias
    np.testing.assert_allclose(logits, bank["id"].logits, atol=1e-5)
    assert bank["id"].logits.shape == (3, 5)


def test_a_model_without_a_linear_layer_gives_logits_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten())
    bank = FeatureBank.extract(model, {"id": IMAGES})
    assert bank["id"].features is None
    assert bank.weight is None
    assert bank["id"].logits.shape == (3, 4)


def test_an_encoder_that_ends_in_identity_gives_features_alone():
    model = timm.create_model("resnet10t", pretrained=False, num_classes=0)
    bank = FeatureBank.extract(model, {"id": IMAGES})
    assert bank["id"].logits is None
    assert bank["id"].features.shape == (3, 512)


def test_a_head_that_is_not_linear_gives_features_and_no_weight():
    model = nn.Sequential(nn.Linear(6, 5), nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)))
    bank = FeatureBank.extract(model, {"id": X}, head="1")
    assert bank["id"].features.shape == (7, 5)
    assert bank.weight is None


def test_logits_that_are_changed_after_the_head_leave_no_weight():
    model = nn.Sequential(nn.Linear(6, 3), nn.Softmax(-1))
    bank = FeatureBank.extract(model, {"id": X})
    assert bank.weight is None
    assert bank.bias is None
    np.testing.assert_array_equal(bank["id"].features, X)


def test_autocast_answers_in_float32_arrays_near_the_exact_ones():
    exact = FeatureBank.extract(net(), {"id": X})["id"].logits
    half = FeatureBank.extract(net(), {"id": X}, dtype=torch.bfloat16)["id"].logits
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.1 * np.abs(exact).max()  # 8 bits of mantissa


def test_a_half_precision_model_gives_float32_arrays():
    bank = FeatureBank.extract(net().bfloat16(), {"id": X.bfloat16()})
    assert bank.weight.dtype == bank["id"].features.dtype == np.float32


def test_the_hash_of_a_network_follows_every_write():
    model = net()
    seen = [model_hash(model)]
    with torch.no_grad():
        next(model.parameters()).add_(1)
    seen.append(model_hash(model))
    next(model.parameters()).data.mul_(2)  # which torch does not count
    seen.append(model_hash(model))
    model.half().float()
    seen.append(model_hash(model))
    assert len(set(seen)) == 4
    assert seen[-1] == model_hash(copy.deepcopy(model)) == model_hash(model)


def one_ulp(model: nn.Module) -> None:
    last = model[-1].weight.data.view(torch.int32)
    last[-1, -1] += 1


def by_numpy(model: nn.Module) -> None:
    model[0].weight.detach().numpy()[1, 1] += 0.5


def another_buffer(model: nn.Module) -> None:
    model[0].register_buffer("seen", torch.zeros(1))


@pytest.mark.parametrize("write", [one_ulp, by_numpy, another_buffer, nn.Module.double])
def test_a_watch_sees_what_torch_does_not_count(write):
    model = net()
    watch = Watch(model)
    assert watch.same(model)
    write(model)
    assert not watch.same(model)


def test_hashes_tell_models_and_data_apart():
    one = FeatureBank.extract(net(), {"id": (X, Y), "far": X}).hashes
    other = FeatureBank.extract(net(seed=1), {"id": (X + 1, Y), "far": X}).hashes
    assert one["model"] != other["model"]
    assert one["id"] != other["id"]
    assert one["far"] == other["far"] != one["id"]


def test_the_transform_is_what_the_dataset_says_or_the_user():
    data = TensorDataset(X)
    data.transform = torchvision.transforms.Normalize(0.5, 2)
    told = FeatureBank.extract(net(), {"id": data}).transforms
    assert told == {"id": "Normalize(mean=0.5, std=2)"}
    assert FeatureBank.extract(net(), {"id": X}, transform="raw").transforms == {"id": "raw"}


def test_a_bank_of_arrays_has_no_passes():
    bank = FeatureBank.of({"id": Outputs(logits=X, labels=Y), "far": Outputs(logits=X)})
    assert bank.names == list(bank) == ["id", "far"]
    assert bank.passes == {"id": 0, "far": 0}
    assert (len(bank), bank.classes, bank.hashes) == (2, 6, {})


def test_a_saved_bank_comes_back_whole(tmp_path):
    bank = FeatureBank.extract(net(), {"id": (X, Y)}, transform="raw")
    back = limen.load(limen.save(bank, tmp_path / "bank.limen"))
    np.testing.assert_array_equal(back["id"].features, bank["id"].features)
    np.testing.assert_array_equal(back["id"].labels, Y)
    np.testing.assert_array_equal(back.weight, bank.weight)
    assert (back.hashes, back.passes, back.transforms) == (
        bank.hashes,
        bank.passes,
        bank.transforms,
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused_by_set_and_row(value):
    x = X.clone()
    x[5, 0] = value
    with pytest.raises(UsageError, match="set 'far' must be finite; row 5 is not"):
        FeatureBank.extract(net(), {"id": X, "far": x}, batch_size=2)


def test_infinities_that_cancel_are_seen():
    features = np.zeros((3, 2))
    features[1] = np.inf, -np.inf
    with pytest.raises(UsageError, match="features of set 'id' must be finite; row 1 is not"):
        FeatureBank.of({"id": Outputs(features=features)})


@pytest.mark.parametrize("given", [[], X[:0], (X[:0], Y[:0])])
def test_a_set_without_rows_is_refused(given):
    with pytest.raises(UsageError, match="set 'id' must have a row at least"):
        FeatureBank.extract(net(), {"id": given})


@pytest.mark.parametrize("given", [3, None, "folder"])
def test_what_is_no_set_is_refused(given):
    with pytest.raises(UsageError, match=r"^set 'id': .* must be"):
        FeatureBank.extract(net(), {"id": given})


@pytest.mark.parametrize(
    "wrong", [Y / 2, torch.nn.functional.one_hot(Y), np.array(["cat"] * 7), Y.float() / 0]
)
def test_labels_that_are_no_whole_numbers_are_refused(wrong):
    with pytest.raises(UsageError, match="set 'id': labels must be whole numbers, one a row"):
        FeatureBank.extract(net(), {"id": (X, wrong)})


def test_labels_of_another_length_are_refused():
    with pytest.raises(UsageError, match="set 'id' needs a label a row, got 6 for 7 rows"):
        FeatureBank.extract(net(), {"id": [(X, Y[:6])]})
    with pytest.raises(UsageError, match=r"set 'id': arrays of one set need one length"):
        FeatureBank.extract(net(), {"id": (X, Y[:6])})


def test_labels_in_some_batches_only_are_refused():
    with pytest.raises(UsageError, match="set 'id' must have the same arrays in every batch"):
        FeatureBank.extract(net(), {"id": [(X, Y), X]})


def test_labels_of_inliers_must_be_classes():
    sets = {"id": (X, Y), "other": (X, Y + 1), "negative": (X, -Y), "far": X}
    bank = FeatureBank.extract(net(), sets)
    np.testing.assert_array_equal(bank.require_labels("id"), Y)
    with pytest.raises(UsageError, match="labels of set 'other' must be 0 to 2; row 2 has 3"):
        bank.require_labels("other")
    with pytest.raises(UsageError, match="row 1 has -1"):
        bank.require_labels("negative")
    with pytest.raises(UsageError, match="set 'far' must have labels"):
        bank.require_labels("far")


def test_an_unknown_set_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no set 'svnh'; the nearest: svhn"):
        FeatureBank.extract(net(), {"svhn": X})["svnh"]


def test_no_sets_are_refused():
    with pytest.raises(UsageError, match="loaders must name a set"):
        FeatureBank.extract(net(), {})
    with pytest.raises(UsageError, match="a bank must have a set"):
        FeatureBank.of({})


def test_what_is_no_network_is_refused():
    with pytest.raises(UsageError, match=r"model must be a torch module, an ONNX .* got function"):
        FeatureBank.extract(net, {"id": X})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"weight": np.zeros((3, 2))}, r"weight must be \(classes, width\), here \(6, any\)"),
        ({"weight": np.zeros((6, 2)), "bias": np.zeros(3)}, r"bias must be \(classes,\) = \(6,\)"),
        ({"bias": np.zeros(6)}, "bias needs a weight"),
        ({"layers": (2, 2)}, "must add up to"),
    ],
)
def test_a_head_that_does_not_fit_the_arrays_is_refused(options, why):
    with pytest.raises(UsageError, match=why):
        FeatureBank.of({"id": Outputs(logits=X)}, **options)


def test_sets_of_other_classes_are_refused():
    with pytest.raises(UsageError, match=r"logits of all sets .* id: 6, far: 5"):
        FeatureBank.of({"id": Outputs(logits=X), "far": Outputs(logits=X[:, :5])})
