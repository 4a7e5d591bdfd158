"""CLIP-like pairs of every library behind one object, against the library's own logits."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.shift.models import Model, Pair, ZeroShot
from limen.shift.prompts import VARIED

NAMES = ["hen", "cock, rooster", "bullfrog, Rana catesbeiana"]


def words(texts: list[str]) -> np.ndarray:
    """Twelve numbers a text, none of length 0."""
    rows = [np.bincount([ord(c) % 12 for c in text], minlength=12) for text in texts]
    return np.float32(rows)


def flat(pixels: Tensor) -> Tensor:
    return pixels.flatten(1)


@pytest.fixture
def pair() -> Pair:
    return Pair(flat, words)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, 3, 2, 2)).astype(np.float32)


class Tokens:
    """A tokenizer as transformers has them: letters modulo 40, padded with 0."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, texts: list[str], **options: Any) -> dict[str, Tensor]:
        self.asked.append(options)
        limit = options["max_length"]
        kept = [text[: limit - 2] for text in texts]
        rows = [[48, *(1 + ord(c) % 40 for c in text), 49] for text in kept]
        full = limit if options["padding"] == "max_length" else max(map(len, rows))
        ids = torch.tensor([row + [0] * (full - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (full - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": mask}


def tower(size: int = 16, **more: Any) -> dict[str, Any]:
    return {
        "hidden_size": size,
        "intermediate_size": size,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        **more,
    }


TEXT = tower(vocab_size=50, max_position_embeddings=12, bos_token_id=48, eos_token_id=49)
SEEN = tower(image_size=16, patch_size=8)


def clip(library: Any) -> nn.Module:
    torch.manual_seed(0)
    config = library.CLIPConfig(text_config=TEXT, vision_config=SEEN, projection_dim=8)
    return library.CLIPModel(config)


def siglip(library: Any) -> nn.Module:
    torch.manual_seed(0)
    text = {**TEXT, "projection_size": 16, "pad_token_id": 0}
    config = library.SiglipConfig(text_config=text, vision_config=SEEN)
    model = library.SiglipModel(config)
    nn.init.constant_(model.logit_scale, 2.0)
    nn.init.constant_(model.logit_bias, -3.0)
    return model


def processor(library: Any) -> Any:
    seeing = library.CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    return SimpleNamespace(image_processor=seeing, tokenizer=Tokens())


@pytest.fixture(scope="module")
def library() -> Any:
    found = pytest.importorskip("transformers")
    for name in ("CLIPModel", "SiglipModel", "CLIPImageProcessor"):
        getattr(found, name)  # imports it
    return found


@pytest.mark.parametrize("make", [clip, siglip], ids=["clip", "siglip"])
def test_a_pair_of_transformers_gives_the_models_own_logits(library: Any, make: Any) -> None:
    model, tools = make(library), processor(library)
    pixels = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    pair = Pair.transformers(model, processor=tools)
    found = pair.zero_shot(NAMES).logits(pixels, batch=2)
    texts = [f"A photo of {name}." for name in NAMES]
    tokens = tools.tokenizer(texts, **tools.tokenizer.asked[0])
    model.eval()
    with torch.no_grad():
        own = model(pixel_values=pixels, **tokens).logits_per_image
    np.testing.assert_allclose(found, own, rtol=1e-4, atol=1e-5)


def test_siglips_texts_are_filled_up_and_clips_are_not(library: Any) -> None:
    for make, padding in ((clip, True), (siglip, "max_length")):
        tools = processor(library)
        Pair.transformers(make(library), processor=tools).embed_texts(["hen"])
        assert tools.tokenizer.asked[0]["padding"] == padding
        assert tools.tokenizer.asked[0]["max_length"] == 12


def test_photos_pass_the_processor_of_transformers(library: Any, tmp_path: Path) -> None:
    reader = pytest.importorskip("PIL.Image")
    model, tools = clip(library), processor(library)
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    reader.fromarray(noise).save(tmp_path / "a.png")
    pixels = tools.image_processor(images=reader.fromarray(noise), return_tensors="pt")
    pair = Pair.transformers(model, processor=tools)
    np.testing.assert_allclose(
        pair.embed([tmp_path / "a.png"]), pair.embed(pixels["pixel_values"]), atol=1e-6
    )


def test_a_pair_of_open_clip_gives_the_models_own_logits() -> None:
    library = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    model = library.CLIP(
        8,
        vision_cfg=library.CLIPVisionCfg(
            layers=1, width=64, head_width=32, image_size=16, patch_size=8
        ),
        text_cfg=library.CLIPTextCfg(context_length=12, vocab_size=50, width=16, heads=2, layers=1),
    )
    pixels = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    def tokenizer(texts: list[str]) -> Tensor:
        return Tokens()(texts, max_length=12, padding="max_length")["input_ids"]

    found = Pair.open_clip(model, tokenizer=tokenizer).zero_shot(NAMES).logits(pixels)
    model.eval()
    with torch.no_grad():
        own, _ = model.get_logits(pixels, tokenizer([f"A photo of {name}." for name in NAMES]))
    np.testing.assert_allclose(found, own, rtol=1e-4, atol=1e-5)


def onnx_net(text: str) -> bytes:
    onnx = pytest.importorskip("onnx")
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 17]> {text}'
    ).SerializeToString()


SEEING = "net (float[N, 3] x) => (float[N, 3] other, float[N, 3] image_embeds) "
READING = "net (int32[N, 3] input_ids) => (float[N, 3] y) { y = Cast<to = 1>(input_ids) }"


def test_two_onnx_networks_are_a_pair(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    seeing = onnx_net(SEEING + "{ other = Neg(x)  image_embeds = Relu(x) }")
    (tmp_path / "text.onnx").write_bytes(onnx_net(READING))
    ids = {"A photo of a.": [1, 0, 0], "A photo of b.": [0, 2, 0]}

    def tokenizer(texts: list[str]) -> dict[str, np.ndarray]:  # int64, and one array too many
        return {"input_ids": np.array([ids[t] for t in texts]), "attention_mask": np.ones((2, 3))}

    pair = Pair.onnx(seeing, tmp_path / "text.onnx", tokenizer=tokenizer, scale=10.0)
    found = pair.zero_shot(["a", "b"]).logits(np.array([[0.0, 3.0, -5.0], [7.0, 0.0, 0.0]]))
    assert found.tolist() == [[0.0, 10.0], [10.0, 0.0]]


def test_an_onnx_output_may_be_named() -> None:
    pytest.importorskip("onnxruntime")
    seeing = onnx_net(SEEING + "{ other = Neg(x)  image_embeds = Relu(x) }")
    pair = Pair.onnx(seeing, onnx_net(READING), tokenizer=np.array, outputs=("other", "y"))
    assert pair.embed(np.float32([[2.0, 0.0, 0.0]])).tolist() == [[-1.0, 0.0, 0.0]]


@pytest.mark.slow
def test_a_clip_exported_to_onnx_answers_like_itself(library: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model = clip(library).eval()

    class Seeing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, pixel_values: Tensor) -> Tensor:
            return self.inner.get_image_features(pixel_values=pixel_values).pooler_output

    pixels = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    path = tmp_path / "image.onnx"
    torch.onnx.export(
        Seeing().eval(),
        (pixels,),
        str(path),
        input_names=["pixel_values"],
        output_names=["image_embeds"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    pair = Pair.onnx(path, onnx_net(READING), tokenizer=np.array)
    own = Pair.transformers(model, processor=processor(library))
    np.testing.assert_allclose(pair.embed(pixels), own.embed(pixels), atol=1e-5)


def test_everything_that_a_processor_makes_reaches_the_model(library: Any) -> None:
    """Encoders of pictures of any shape take masks and shapes beside the pixels."""
    tools, asked = processor(library), []

    class Naflex(nn.Module):
        config = SimpleNamespace(model_type="siglip2", text_config=SimpleNamespace())

        def get_image_features(self, **inputs: Tensor) -> Tensor:
            asked.append({name: tuple(value.shape) for name, value in inputs.items()})
            return inputs["pixel_values"].flatten(1)

        def get_text_features(self, **tokens: Tensor) -> Tensor:
            return tokens["input_ids"].float()

    inputs = {"pixel_values": np.ones((3, 4)), "pixel_attention_mask": np.ones((3, 2), np.int32)}
    found = Pair.transformers(Naflex(), processor=tools).embed(inputs, batch=2)
    assert found.shape == (3, 4)
    assert asked[1] == {"pixel_values": (1, 4), "pixel_attention_mask": (1, 2)}


def test_every_image_passes_once_in_eval_mode_without_gradients(images: np.ndarray) -> None:
    network, seen = nn.Dropout(), []

    def image(pixels: Tensor) -> Tensor:
        seen.append((len(pixels), network.training, torch.is_grad_enabled()))
        return flat(pixels)

    Pair(image, words, modules=[network]).zero_shot(NAMES).logits(images, batch=3)
    assert seen == [(3, False, False), (3, False, False), (1, False, False)]
    assert network.training


def test_lengths_of_embeddings_do_not_matter(pair: Pair, images: np.ndarray) -> None:
    scaled = Pair(lambda x: flat(x) * 100, lambda t: words(t) * 0.01)
    np.testing.assert_allclose(
        scaled.zero_shot(NAMES).logits(images), pair.zero_shot(NAMES).logits(images), atol=1e-6
    )


def test_cosines_equal_the_slow_obvious_version(pair: Pair, images: np.ndarray) -> None:
    found = pair.zero_shot(NAMES, label_style="first").cosines(images)
    for row, image in zip(found, images, strict=True):
        for value, name in zip(row, ["hen", "cock", "bullfrog"], strict=True):
            a, b = image.ravel(), words([f"A photo of {name}."])[0]
            assert value == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


def test_scale_and_bias_never_move_a_prediction(images: np.ndarray) -> None:
    plain = Pair(flat, words).zero_shot(NAMES).logits(images)
    sharp = Pair(flat, words, scale=100.0, bias=-10.0).zero_shot(NAMES).logits(images)
    np.testing.assert_allclose(sharp, plain * 100 - 10, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(sharp.argmax(1), plain.argmax(1))


def test_classes_in_another_order_are_the_same_columns(pair: Pair, images: np.ndarray) -> None:
    found = pair.zero_shot(NAMES[::-1]).logits(images)
    np.testing.assert_array_equal(found[:, ::-1], pair.zero_shot(NAMES).logits(images))


def test_images_in_another_order_are_the_same_rows(pair: Pair, images: np.ndarray) -> None:
    model = pair.zero_shot(NAMES)
    np.testing.assert_array_equal(model.logits(images[::-1].copy()), model.logits(images)[::-1])


def test_two_classes_of_one_name_tie_and_the_first_is_taken(pair: Pair, images) -> None:
    found = pair.zero_shot(["hen", "crane", "otter", "crane"]).logits(images)
    np.testing.assert_array_equal(found[:, 1], found[:, 3])
    assert 3 not in found.argmax(1)


def test_texts_are_embedded_in_batches_alike(pair: Pair) -> None:
    np.testing.assert_array_equal(pair.embed_texts(NAMES, batch=1), pair.embed_texts(NAMES))


def test_an_ensemble_of_templates_is_kept_for_the_record(pair: Pair) -> None:
    model = pair.zero_shot(NAMES, templates=list(VARIED), label_style="first")
    assert model.prompts["label_style"] == "first"
    assert model.prompts["first prompts"][0] == "A photo of hen."
    assert len(model.prompts["first prompts"]) == len(VARIED)
    assert model.labels == NAMES


def test_a_zero_shot_classifier_is_a_model(pair: Pair) -> None:
    assert isinstance(pair.zero_shot(NAMES), Model)


@pytest.mark.parametrize(
    ("row", "says"),
    [(0.0, "rows have length 0, the first is row 2"), (np.inf, "row 2 is not")],
    ids=["zero", "infinite"],
)
def test_an_image_embedding_without_direction_is_refused(pair, images, row, says) -> None:
    images[2] = row
    with pytest.raises(UsageError, match=says):
        pair.embed(images, batch=2)


def test_a_text_embedding_without_direction_is_refused() -> None:
    with pytest.raises(UsageError, match="text embeddings must have a direction"):
        Pair(flat, lambda texts: np.zeros((len(texts), 3))).zero_shot(NAMES)


def test_towers_of_unequal_width_are_refused(images: np.ndarray) -> None:
    model = Pair(flat, lambda texts: np.ones((len(texts), 5))).zero_shot(NAMES)
    with pytest.raises(UsageError, match="must have one width, got 12 and 5"):
        model.logits(images)


@pytest.mark.parametrize("texts", [[], "hen"])
def test_texts_must_be_a_list(pair: Pair, texts: Any) -> None:
    with pytest.raises(UsageError, match="texts must be a list"):
        pair.embed_texts(texts)


@pytest.mark.parametrize(
    ("labels", "scale", "says"),
    [(["a"], 1.0, "one for each text"), (None, 0.0, "must be above 0")],
)
def test_bad_parts_of_a_zero_shot_classifier_are_refused(pair, labels, scale, says) -> None:
    with pytest.raises(UsageError, match=says):
        ZeroShot(pair, np.eye(12)[:2], labels=labels, scale=scale)


@pytest.mark.parametrize("make", [Pair.open_clip, Pair.transformers], ids=["open_clip", "hf"])
def test_a_model_that_is_no_pair_is_refused(make: Any) -> None:
    tools = {"tokenizer": words} if make == Pair.open_clip else {"processor": None}
    with pytest.raises(UsageError, match="it lacks"):
        make(nn.Linear(2, 2), **tools)


@pytest.mark.parametrize(
    ("image", "outputs", "says"),
    [
        ("none.onnx", (None, None), "there is no such file"),
        (b"words", (None, None), "must be an ONNX network"),
        (None, ("image_embed", None), "the nearest: image_embeds"),
    ],
)
def test_what_is_no_onnx_pair_is_refused(image: Any, outputs: Any, says: str) -> None:
    pytest.importorskip("onnxruntime")
    seeing = onnx_net(SEEING + "{ other = Neg(x)  image_embeds = Relu(x) }")
    with pytest.raises(UsageError, match=says):
        Pair.onnx(image or seeing, onnx_net(READING), tokenizer=np.array, outputs=outputs)


def test_tokens_that_lack_an_input_are_refused() -> None:
    pytest.importorskip("onnxruntime")
    seeing = onnx_net(SEEING + "{ other = Neg(x)  image_embeds = Relu(x) }")
    pair = Pair.onnx(seeing, onnx_net(READING), tokenizer=lambda texts: {"ids": np.ones((1, 3))})
    with pytest.raises(UsageError, match="'input_ids' lacks"):
        pair.embed_texts(["hen"])
