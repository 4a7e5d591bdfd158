"""Classifiers of any library behind one protocol: one pass a photo, nothing left changed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.shift.lite import Lite0
from limen.shift.models import Classifier, Model
from limen.shift.models.pixels import batches

Image = pytest.importorskip("PIL.Image")


class Counting(nn.Module):
    """A classifier that notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(12, 4)
        self.rows: list[int] = []
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.rows.append(len(images))
        self.modes.append((self.training, torch.is_grad_enabled()))
        return self.head(self.dropout(images.flatten(1)))


def tiny(picture: Any) -> Tensor:
    """A 2 x 2 version of a picture."""
    return torch.from_numpy(np.array(picture.resize((2, 2)), np.float32)).permute(2, 0, 1) / 255


@pytest.fixture
def network() -> Counting:
    torch.manual_seed(0)
    return Counting()


@pytest.fixture(scope="module")
def timm() -> Any:
    found = pytest.importorskip("timm")
    found.create_model  # noqa: B018  its first use imports the rest
    return found


@pytest.fixture(scope="module")
def library() -> Any:
    found = pytest.importorskip("transformers")
    for name in ("ViTConfig", "ViTForImageClassification", "ViTImageProcessor"):
        getattr(found, name)  # imports it
    return found


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        noise = random.integers(0, 255, (8 + i, 9, 3), np.uint8)
        Image.fromarray(noise).save(path)
    return paths


def test_every_image_passes_once_in_eval_mode_without_gradients(network: Counting) -> None:
    network.train()
    Classifier(network).logits(torch.zeros(5, 3, 2, 2), batch=2)
    assert network.rows == [2, 2, 1]
    assert set(network.modes) == {(False, False)}
    assert network.training
    assert network.dropout.training


def test_logits_and_features_come_from_one_pass(network: Counting) -> None:
    images = torch.randn(3, 3, 2, 2)
    logits, features = Classifier(network).both(images)
    assert network.rows == [3]
    np.testing.assert_allclose(features, images.flatten(1), atol=1e-6)
    np.testing.assert_allclose(logits, network.head(images.flatten(1)).detach(), atol=1e-6)
    np.testing.assert_array_equal(Classifier(network).embed(images), features)


def test_the_batch_size_changes_nothing(network: Counting, photos: list[Path]) -> None:
    model = Classifier(network, preprocess=tiny)
    np.testing.assert_allclose(model.logits(photos, batch=1), model.logits(photos), atol=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_paths_pictures_and_pixels_give_one_answer(network, photos, workers) -> None:
    model = Classifier(network, preprocess=tiny, workers=workers)
    pictures = [Image.open(path).convert("RGB") for path in photos]
    pixels = torch.stack([tiny(picture) for picture in pictures])
    expected = model.logits(pixels)
    for given in (photos, [str(p) for p in photos], pictures, pixels.numpy(), np.array(photos)):
        np.testing.assert_allclose(model.logits(given, batch=2), expected, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_pixels_take_the_precision_of_the_weights(network: Counting, kind: torch.dtype) -> None:
    found = Classifier(network.to(kind)).logits(torch.ones(1, 3, 2, 2))
    assert found.dtype == np.float32


def test_columns_pick_and_order_the_classes(network: Counting) -> None:
    images = torch.randn(3, 3, 2, 2)
    whole = Classifier(network).logits(images)
    np.testing.assert_array_equal(
        Classifier(network, columns=[3, 1]).logits(images), whole[:, [3, 1]]
    )


def test_a_dict_of_arrays_is_spread_over_the_models_arguments() -> None:
    class Named(nn.Module):
        def forward(self, *, pixel_values: Tensor, mask: Tensor) -> Tensor:
            return pixel_values.flatten(1) * mask

    inputs = {"pixel_values": np.ones((3, 2, 2), np.float32), "mask": np.float32([[1], [2], [3]])}
    assert Classifier(Named()).logits(inputs, batch=2)[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_head_that_is_not_linear_still_gives_logits() -> None:
    model = Classifier(nn.Sequential(nn.Conv2d(3, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert model.logits(torch.zeros(2, 3, 4, 4)).shape == (2, 5)
    with pytest.raises(UsageError, match=r"needs an nn\.Linear"):
        model.embed(torch.zeros(2, 3, 4, 4))


def test_lite0_brings_its_own_preprocessing(photos: list[Path]) -> None:
    class Flat(Lite0):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))

    assert Classifier(Flat(classes=1)).logits(photos[:2]).shape == (2, 3)


def test_timms_preprocessing_is_found(timm: Any, photos: list[Path]) -> None:
    network = timm.create_model("mobilenetv3_small_050", pretrained=False, num_classes=5).eval()
    model = Classifier(network)
    found = model.logits(photos[:1])
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(network), is_training=False
    )
    pixels = transform(Image.open(photos[0]).convert("RGB"))[None]
    with torch.no_grad():
        np.testing.assert_allclose(found, network(pixels), atol=1e-5)
    assert model.embed(photos[:1]).shape == (1, network.head_hidden_size)


def test_torchvisions_transforms_are_taken(network: Counting, photos: list[Path]) -> None:
    presets = pytest.importorskip("torchvision.transforms._presets")
    transform = presets.ImageClassification(crop_size=2, resize_size=2)
    assert Classifier(network, preprocess=transform).logits(photos).shape == (5, 4)


def test_a_classifier_and_processor_of_transformers_are_taken(library, photos) -> None:
    config = library.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=8,
        patch_size=4,
        num_labels=3,
    )
    torch.manual_seed(0)
    network = library.ViTForImageClassification(config).eval()
    processor = library.ViTImageProcessor(size={"height": 8, "width": 8})
    found = Classifier(network, preprocess=processor).logits(photos)
    pictures = [Image.open(path).convert("RGB") for path in photos]
    with torch.no_grad():
        expected = network(**processor(images=pictures, return_tensors="pt")).logits
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_onnx_file_is_a_classifier(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    text = """<ir_version: 10, opset_import: ["": 17]>
    net (float[N, 2] x) => (float[N, 3] y)
    <float[2, 3] w = {1, 0, 2, 0, 1, 2}> { seen = Relu(x)  y = MatMul(seen, w) }"""
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    model = Classifier(path)
    assert model.name == "net"
    assert model.logits(np.float32([[1, 2], [3, 4]])).tolist() == [[1, 2, 6], [3, 4, 14]]
    assert model.embed(np.float32([[1, -2]])).tolist() == [[1, 0]]


def test_a_classifier_is_a_model() -> None:
    assert isinstance(Classifier(nn.Linear(2, 2)), Model)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"preprocess": 3}, "preprocess must be a function"),
        ({"columns": [-1]}, "columns must be whole numbers"),
        ({"columns": [0.5]}, "columns must be whole numbers"),
        ({"columns": []}, "columns must be whole numbers"),
    ],
)
def test_bad_options_are_refused_before_any_work(options: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Classifier(nn.Linear(2, 2), **options)


def test_a_column_beyond_the_logits_is_refused(network: Counting) -> None:
    with pytest.raises(UsageError, match="asks for logit 4"):
        Classifier(network, columns=[4]).logits(torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([], "one or more"),
        ("a.jpg", "got the one path"),
        (["none.jpg"], "must be a photo that can be read"),
    ],
)
def test_images_that_are_none_are_refused(network, images, says) -> None:
    with pytest.raises(UsageError, match=says):
        Classifier(network, preprocess=tiny).logits(images)


def test_a_broken_photo_is_named(network: Counting, photos: list[Path]) -> None:
    photos[3].write_bytes(photos[3].read_bytes()[:60])
    with pytest.raises(UsageError, match=r"3\.png must be a photo"):
        Classifier(network, preprocess=tiny).logits(photos)


def test_photos_without_a_preprocessing_are_refused(network: Counting, photos) -> None:
    with pytest.raises(UsageError, match="preprocess must be given"):
        Classifier(network).logits(photos)


def test_photos_of_several_shapes_are_refused(network: Counting, photos: list[Path]) -> None:
    whole = lambda picture: torch.from_numpy(np.array(picture, np.float32))  # noqa: E731
    with pytest.raises(UsageError, match="tensors of one shape"):
        Classifier(network, preprocess=whole).logits(photos)


def test_logits_that_are_not_finite_are_refused_by_row(network: Counting) -> None:
    images = torch.zeros(5, 3, 2, 2)
    images[3] = float("inf")
    with pytest.raises(UsageError, match="row 3 is not"):
        Classifier(network).logits(images, batch=2)


def test_an_answer_with_another_number_of_rows_is_refused() -> None:
    class Half(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[::2]

    with pytest.raises(UsageError, match="4 images with 4 rows"):
        Classifier(Half()).logits(torch.zeros(4, 3, 2, 2))


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_holds_a_row_at_least(network: Counting, size: int) -> None:
    with pytest.raises(UsageError, match="must be 1 or more"):
        Classifier(network).logits(torch.zeros(1, 3, 2, 2), batch=size)


def test_photos_are_opened_one_batch_ahead_and_no_more(photos: list[Path]) -> None:
    opened: list[int] = []

    def noting(picture: Any) -> Tensor:
        opened.append(1)
        return tiny(picture)

    stream = batches(photos, prepare=noting, size=1)
    next(stream)
    assert len(opened) <= 2
    assert sum(count for count, _ in stream) == 4
    assert len(opened) == 5
