"""`limen shift counter --model`: networks by name, folders of transformers, ONNX files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from limen.cli import subjects
from limen.cli.seeing import Seen
from limen.cli.seeing_onnx import KINDS, Pixels

Image = pytest.importorskip("PIL.Image")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def torchvision():
    return pytest.importorskip("torchvision.models")


@pytest.fixture(scope="module")
def timm():
    found = pytest.importorskip("timm")
    found.create_model("test_vit")  # its first use imports the rest
    subjects.place("cpu", dtype="float32", threads=None)
    return found


@pytest.fixture(scope="module")
def transformers():
    found = pytest.importorskip("transformers")
    for name in ("ViTForImageClassification", "CLIPModel", "CLIPImageProcessor"):
        getattr(found, name)  # imports it
    return found


@pytest.fixture
def photos(tmp_path):
    """Two classes, a photo of each in either group."""
    random = np.random.default_rng(0)
    for name in ("0 hen", "1 cock"):
        for group in ("common-farm", "counter-snow"):
            file = tmp_path / "photos" / name / group / "a.png"
            file.parent.mkdir(parents=True)
            Image.fromarray(random.integers(0, 255, (9, 8, 3), np.uint8)).save(file)
    (tmp_path / "names.txt").write_text("hen\ncock\n")
    return tmp_path


def paths(folder):
    return sorted(map(str, (folder / "photos").rglob("*.png")))


@pytest.fixture
def squeezed(torchvision, photos):
    """Weights of a network of torchvision with two classes, and that network."""
    torch.manual_seed(0)
    network = torchvision.mobilenet_v3_small(num_classes=2)
    save_file(network.state_dict(), photos / "mine.safetensors")
    return network.eval()


def test_a_network_of_torchvision_sees_photos_as_its_weights_do(squeezed, torchvision, photos):
    found = Seen(told="mobilenet_v3_small", weights=str(photos / "mine.safetensors"), device=CPU)
    logits = found.model().logits(paths(photos))
    see = torchvision.MobileNet_V3_Small_Weights.DEFAULT.transforms()
    with torch.no_grad():
        pixels = [see(Image.open(path).convert("RGB")) for path in paths(photos)]
        own = squeezed(torch.stack(pixels))
    np.testing.assert_allclose(logits, own, atol=1e-5)


def test_making_a_network_leaves_the_random_state_alone(squeezed, photos):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    Seen(told="mobilenet_v3_small", weights=str(photos / "mine.safetensors"), device=CPU).model()
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_of_timm_counts_its_classes_in_the_file(limen, timm, photos):
    network = timm.create_model("test_vit", num_classes=2)
    save_file(network.state_dict(), photos / "mine.safetensors")
    ended = limen("shift", "counter", "photos", "--model", "timm:test_vit", "--weights",
                  "mine.safetensors", "--device", "cpu", "--json")  # fmt: skip
    assert ended.code == 0
    assert ended.data[0]["name"] == "test_vit"
    assert ended.data[0]["columns"] == 2


def test_the_hub_is_asked_only_when_it_is_named(monkeypatch, timm, photos):
    asked = []
    made = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, **more: asked.append(more) or made(name, num_classes=2)
    )
    found = Seen(told="test_vit", weights="hub", device=CPU).model()
    assert found.logits(paths(photos)).shape == (4, 2)
    assert asked == [{"pretrained": True}]


def test_an_unreachable_hub_is_a_sentence(limen, monkeypatch, timm, photos):
    def refuse(name, **more):
        raise OSError("no route\nto host")

    monkeypatch.setattr(timm, "create_model", refuse)
    ended = limen("shift", "counter", "photos", "--model", "test_vit", "--weights", "hub")
    assert ended.code == 1
    assert "published weights could not be had: no route" in ended.err


@pytest.fixture
def vit(transformers, photos):
    """A folder of a classifier of two classes."""
    torch.manual_seed(0)
    small = transformers.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        image_size=16, patch_size=8, num_labels=2,
    )  # fmt: skip
    transformers.ViTForImageClassification(small).save_pretrained(photos / "vit")
    size = {"height": 16, "width": 16}
    transformers.ViTImageProcessor(size=size).save_pretrained(photos / "vit")
    return photos / "vit"


def test_a_folder_with_a_classifier_is_asked_with_its_own_pixels(limen, vit):
    ended = limen("shift", "counter", "photos", "--model", vit, "--device", "cpu", "--json")
    assert ended.code == 0
    assert ended.data[0]["name"] == "vit"
    assert ended.data[0]["columns"] == 2


def pair(library, kind, folder: Path) -> Path:
    """A folder of a tiny image-text pair that reads words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    text = {**small, "vocab_size": 9, "max_position_embeddings": 12, "eos_token_id": 8,
            "projection_size": 16, "pad_token_id": 0}  # fmt: skip
    seen = {**small, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    config = getattr(library, f"{kind}Config")(text_config=text, vision_config=seen)
    getattr(library, f"{kind}Model")(config).save_pretrained(folder)
    library.CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    ).save_pretrained(folder)
    words = {"pad": 0, "odd": 1, "A": 2, "photo": 3, "of": 4, "hen": 5, "cock": 6, ".": 7}
    tokens = Tokenizer(models.WordLevel(words, "odd"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    library.PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="pad", unk_token="odd"
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_a_folder_with_a_pair_is_asked_for_the_names_of_the_classes(
    limen, transformers, photos, kind
):
    pair(transformers, kind, photos / "pair")
    ended = limen("shift", "counter", "photos", "--model", "pair", "--labels", "names.txt",
                  "--device", "cpu", "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.data[0]["columns"] == 2
    assert ended.data[0]["name"] == "pair"


def exported(folder: Path, *, kind: str = "float", side: str = "8") -> Path:
    """An ONNX classifier of two classes: how red, and how green."""
    onnx = pytest.importorskip("onnx")
    cast = "" if kind == "float" else "floats = Cast<to = 1>(x)"
    text = f"""<ir_version: 10, opset_import: ["": 17]>
    net ({kind}[N, 3, {side}, {side}] x) => (float[N, 2] y)
    <float[3, 2] w = {{1, 0, 0, 1, 0, 0}}> {{ {cast}
    maps = GlobalAveragePool({"x" if kind == "float" else "floats"})
    features = Flatten(maps)  y = MatMul(features, w) }}"""
    path = folder / "net.onnx"
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path


def test_an_onnx_file_of_floats_sees_the_pixels_that_were_named(photos):
    seen = Seen(told=str(exported(photos)), pixels="unit", device=CPU).model()
    logits = seen.logits(paths(photos))
    assert logits.min() > 0.3
    assert logits.max() < 0.7  # the mean of noise


def test_an_onnx_file_of_bytes_needs_no_word(limen, photos):
    exported(photos, kind="uint8")
    ended = limen("shift", "counter", "photos", "--model", "net.onnx", "--json")
    assert ended.code == 0
    assert ended.data[0]["name"] == "net"


def test_an_onnx_file_of_any_size_is_asked_at_the_one_given(photos):
    path = exported(photos, side="S")
    model = Seen(told=str(path), pixels="imagenet", size=6, device=CPU).model()
    assert model.prepare(Image.new("RGB", (20, 30))).shape == (3, 6, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_have_the_published_mean_and_deviation(kind):
    grey = KINDS[kind](4)(Image.new("RGB", (9, 7), (128, 128, 128)))
    means = {"imagenet": 0.485, "half": 0.5, "clip": 0.48145466, "unit": 0.0}
    deviations = {"imagenet": 0.229, "half": 0.5, "clip": 0.26862954, "unit": 1.0}
    expected = (128 / 255 - means[kind]) / deviations[kind]
    assert grey[0, 0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert grey.dtype == torch.float32


def test_the_middle_square_is_seen():
    striped = np.zeros((8, 24, 3), np.uint8)
    striped[:, 8:16] = 255
    assert (Pixels(8, share=1.0)(Image.fromarray(striped)) == 1).all()


def test_each_model_of_a_comparison_has_weights_of_its_own(limen, squeezed, vit, photos):
    ended = limen("shift", "counter", "photos", "--model", "vit", "--compare",
                  "torchvision:mobilenet_v3_small", "--compare-weights", "mine.safetensors",
                  "--device", "cpu", "--json")  # fmt: skip
    assert ended.code == 0
    assert [one["name"] for one in ended.data] == ["vit", "mobilenet_v3_small"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--model", "resnet_50"], "nearest: resnet50"),
        (["--model", "lite9"], "nearest: lite0"),
        (["--model", "torchvision:deit_tiny"], "nearest"),
        (["--model", "jax:resnet50"], "must begin with torchvision: or timm:"),
        (["--model", "resnet18"], "say torchvision:resnet18 or timm:resnet18"),
        (["--model", "torchvision:resnet18.a1_in1k"], "no weights called 'a1_in1k'"),
        (["--model", "mobilenet_v2"], "needs --weights"),
        (["--model", "vit", "--compare", "mobilenet_v2"], "needs --compare-weights"),
        (["--model", "vit", "--compare-weights", "x"], "needs --compare"),
        (["--model", "mobilenet_v2", "--weights", "none.safetensors"], "no such file"),
        (["--model", "mobilenet_v2", "--weights", "names.txt"], "pickled weights can run code"),
        (["--model", "mobilenet_v2", "--weights", "other.safetensors"], "torchvision's mobilenet"),
        (["--model", "mobilenet_v2", "--weights", "broken.safetensors"], "must be a .safetensors"),
        (["--model", "vit", "--weights", "hub"], "has its own"),
        (["--model", "none/vit"], "there is none"),
        (["--model", "names.txt"], "it is another file"),
        (["--model", "net.onnx"], "--pixels must be one of imagenet, half, clip, unit"),
        (["--model", "net.onnx", "--pixels", "raw"], "got 'raw'"),
        (["--model", "net.onnx", "--pixels", "unit", "--size", "7"], "must take squares of 7"),
        (["--model", "pair"], "needs --labels"),
        (["--model", "pickled", "--labels", "names.txt"], "pickled, which can run code"),
        (["--model", "partial", "--labels", "names.txt"], "must hold all weights"),
        (["--model", "words"], "must be an image classifier or an image-text pair"),
        (["--model", "photos"], "cannot be loaded"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_had_is_one_sentence(
    limen, transformers, torchvision, vit, photos, asked, said
):
    if "pair" in asked or "pickled" in asked or "partial" in asked:
        pair(transformers, "CLIP", photos / asked[1])
    if "pickled" in asked:
        (photos / "pickled/model.safetensors").rename(photos / "pickled/pytorch_model.bin")
    if "partial" in asked:
        from safetensors.torch import load_file

        held = load_file(photos / "partial/model.safetensors")
        save_file({"logit_scale": held["logit_scale"]}, photos / "partial/model.safetensors",
                  metadata={"format": "pt"})  # fmt: skip
    if "words" in asked:
        (photos / "words").mkdir()
        told = {"model_type": "bert", "architectures": ["BertModel"]}
        (photos / "words/config.json").write_text(json.dumps(told))
    if "net.onnx" in asked:
        exported(photos)
    save_file(nn.Linear(2, 2).state_dict(), photos / "other.safetensors")
    (photos / "broken.safetensors").write_bytes(b"nothing")
    ended = limen("shift", "counter", "photos", *asked, "--device", "cpu", "--into", "page")
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert not (photos / "page").exists()


def test_an_onnx_file_of_any_size_asks_for_one(limen, photos):
    exported(photos, side="S")
    ended = limen("shift", "counter", "photos", "--model", "net.onnx", "--pixels", "unit")
    assert ended.code == 2
    assert "--size" in ended.err


def test_an_onnx_file_of_no_pictures_is_refused(limen, photos):
    onnx = pytest.importorskip("onnx")
    text = """<ir_version: 10, opset_import: ["": 17]>
    net (float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }"""
    (photos / "net.onnx").write_bytes(onnx.parser.parse_model(text).SerializeToString())
    ended = limen("shift", "counter", "photos", "--model", "net.onnx", "--pixels", "unit")
    assert ended.code == 2
    assert "must take pictures" in ended.err
