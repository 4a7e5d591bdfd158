"""Classifiers by name, and back from a folder bit for bit."""

import json

import pytest
import torch

from limen._core.errors import UsageError
from limen.ood.models import About, Classifier, build, load_classifier, save_classifier

ABOUT = About("ResNet(8)", ("cat", "dog", "owl"), size=16)


@pytest.fixture
def images():
    stream = torch.Generator().manual_seed(0)
    return torch.randint(256, (4, 3, 16, 16), generator=stream, dtype=torch.uint8)


@pytest.fixture
def saved(tmp_path):
    save_classifier(Classifier(ABOUT, seed=3), tmp_path / "model")
    return tmp_path


def test_a_classifier_comes_back_bit_for_bit(saved, images):
    before, after = Classifier(ABOUT, seed=3).eval(), load_classifier(saved / "model")
    assert after.about == ABOUT
    assert not after.training
    assert torch.equal(before(images), after(images))


def test_a_run_folder_is_as_good_as_its_model(saved, images):
    assert torch.equal(load_classifier(saved)(images), load_classifier(saved / "model")(images))


def test_bytes_and_their_shares_of_255_are_the_same_picture(images):
    model = Classifier(ABOUT).eval()
    torch.testing.assert_close(model(images), model(images / 255))


def test_an_extra_logit_stands_behind_the_classes(images):
    more = Classifier(About("LeNet", ("cat", "dog"), size=16, extra=1))
    assert more(images).shape == (4, 3)


@pytest.mark.parametrize("text", ["LeNet", "wrn(16, 2)", "WRN(depth=16, widen=2)", "ResNet(14)"])
def test_networks_go_by_name_whatever_its_case(text, images):
    assert build(text, classes=5)(images / 255).shape == (4, 5)


def test_a_seed_decides_the_weights_and_leaves_the_global_generator(images):
    state = torch.get_rng_state()
    one, same, other = (build("timm:resnet10t", classes=2, seed=s).eval() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one(images / 255), same(images / 255))
    assert not torch.equal(one(images / 255), other(images / 255))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("VGG", "network 'VGG' is not known; nearest"),
        ("WRN", "needs a setting 'depth'"),
        ("WRN(16, 2, 3)", "no more than 2 by place"),
        ("WRN(16, width=2)", "no setting 'width'"),
        ("LeNet(classes=3)", "no setting 'classes'"),
        ("WRN(os)", "must be a name"),
        ("1 +", "must be a name"),
        ("timm:resnet1", "timm has no network 'resnet1'; nearest"),
    ],
)
def test_what_is_no_network_is_refused(text, said):
    with pytest.raises(UsageError, match=said):
        build(text, classes=4)


def test_a_folder_without_a_classifier_is_refused(tmp_path):
    with pytest.raises(UsageError, match="json is not there"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("spoil", ["weights", "classes", "words"])
def test_files_that_do_not_fit_are_refused(saved, spoil):
    folder = saved / "model"
    told = json.loads((folder / "classifier.json").read_text())
    if spoil == "weights":
        (folder / "model.safetensors").write_bytes(b"x")
    elif spoil == "classes":
        told["classes"] = ["cat"] * 7
    else:
        told["colour"] = "red"
    (folder / "classifier.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match="must hold a whole classifier"):
        load_classifier(saved)
