import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from limen._core.errors import UsageError, WorkError
from limen.unlearn import load_model, load_tokenizer, save_model
from limen.unlearn import models as module
from limen.unlearn.scores.one_pass import recall

IDS = torch.arange(12).view(2, 6)


def logits(model):
    with torch.no_grad():
        return model(IDS, use_cache=False).logits


@pytest.fixture
def saved(llama, tokenizer, tmp_path) -> Path:
    return save_model(llama, tokenizer, tmp_path / "model")


@pytest.fixture
def adapted(saved) -> torch.nn.Module:
    """A LoRA model whose adapter does something."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers the old way
        model = peft.get_peft_model(load_model(saved), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    return model.eval()


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_a_model_comes_back_as_it_was_saved(toy, kind, tokenizer, tmp_path):
    model = toy(kind)
    again = load_model(save_model(model, tokenizer, tmp_path / "model"))
    assert torch.equal(logits(again), logits(model))
    assert not again.training


def test_what_is_saved_loads_with_transformers_alone(saved, llama):
    again = transformers.AutoModelForCausalLM.from_pretrained(saved)
    assert torch.equal(logits(again), logits(llama))


def test_the_tokenizer_comes_back_too(saved, tokenizer, rows):
    again = load_tokenizer(saved)
    assert [again(r.response)["input_ids"] for r in rows] == [
        tokenizer(r.response)["input_ids"] for r in rows
    ]


def test_tied_weights_stay_tied(toy, tokenizer, tmp_path):
    again = load_model(save_model(toy("qwen2"), tokenizer, tmp_path / "model"))
    assert again.lm_head.weight is again.model.embed_tokens.weight


def test_weights_come_in_the_type_asked_for(saved):
    assert load_model(saved, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert load_model(saved).dtype == torch.float32


def test_the_model_stands_on_the_device_asked_for(saved):
    assert load_model(saved, device="cpu").device == torch.device("cpu")


def test_an_existing_folder_is_replaced_as_a_whole(saved, toy, tokenizer):
    (saved / "stray.txt").write_text("old")
    save_model(toy(seed=5), tokenizer, saved)
    assert not (saved / "stray.txt").exists()
    assert torch.equal(logits(load_model(saved)), logits(toy(seed=5)))


def test_a_failed_save_leaves_the_old_model_and_nothing_else(saved, toy, tokenizer, monkeypatch):
    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    model = toy(seed=5)
    before = logits(load_model(saved))
    monkeypatch.setattr(model, "save_pretrained", no_space)
    with pytest.raises(WorkError, match="No space left"):
        save_model(model, tokenizer, saved)
    assert torch.equal(logits(load_model(saved)), before)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_adapter_is_merged_into_the_weights(adapted, tokenizer, tmp_path):
    before = logits(adapted)
    again = transformers.AutoModelForCausalLM.from_pretrained(
        save_model(adapted, tokenizer, tmp_path / "merged")
    )
    # the merged weights are one float32 sum, the adapter's path is two products
    torch.testing.assert_close(logits(again), before, rtol=1e-3, atol=1e-3)
    assert torch.equal(logits(adapted), before)


def test_an_adapter_alone_loads_on_its_base(adapted, tokenizer, tmp_path):
    folder = save_model(adapted, tokenizer, tmp_path / "adapter", merge=False)
    assert not (folder / "model.safetensors").exists()
    again = load_model(folder)
    assert torch.equal(logits(again), logits(adapted))
    assert all("lora" in n for n, p in again.named_parameters() if p.requires_grad)


def test_an_adapter_without_tokenizer_has_its_bases(adapted, tokenizer, tmp_path):
    folder = save_model(adapted, tokenizer, tmp_path / "adapter", merge=False)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert len(load_tokenizer(folder)) == len(tokenizer)


@pytest.mark.parametrize("where", ["none", "./no/such", "/no/such/folder", "none.gguf", "a/b.gguf"])
@pytest.mark.parametrize("load", [load_model, load_tokenizer])
def test_a_folder_that_does_not_exist_is_refused(load, where):
    with pytest.raises(UsageError, match="nothing there"):
        load(where)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(UsageError, match="another file"):
        load_model(file)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt"])
def test_pickled_weights_are_refused(saved, name):
    (saved / "model.safetensors").rename(saved / name)
    with pytest.raises(UsageError, match="pickle checkpoints can run code"):
        load_model(saved)


def test_a_pickled_adapter_is_refused(adapted, tokenizer, tmp_path):
    folder = save_model(adapted, tokenizer, tmp_path / "adapter", merge=False)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(UsageError, match="pickle checkpoints can run code"):
        load_model(folder)


def test_a_folder_without_weights_is_refused(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="there are none"):
        load_model(saved)


def test_missing_weights_are_never_made_up(saved):
    from safetensors.torch import load_file, save_file

    weights = load_file(saved / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"1 are missing, model.norm.weight"):
        load_model(saved)


def bert() -> transformers.PreTrainedModel:
    shape = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2}
    return transformers.BertForMaskedLM(
        transformers.BertConfig(vocab_size=30, intermediate_size=8, **shape)
    )


def t5() -> transformers.PreTrainedModel:
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    )


def classifier() -> transformers.PreTrainedModel:
    return transformers.LlamaForSequenceClassification(
        transformers.LlamaConfig(
            vocab_size=30,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )


@pytest.mark.parametrize("make", [bert, t5, classifier])
def test_models_that_are_not_causal_are_refused(make: Callable, tmp_path):
    model = make()
    model.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=f"causal language model; it is a {type(model).__name__}"):
        load_model(tmp_path)


def test_a_config_that_names_no_architecture_is_judged_by_its_type(saved, tmp_path):
    config = json.loads((saved / "config.json").read_text())
    del config["architectures"]
    (saved / "config.json").write_text(json.dumps(config))
    assert load_model(saved)
    transformers.BertConfig().save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="it is a bert"):
        load_model(tmp_path / "bert")


def test_code_of_the_repository_is_never_run(saved):
    config = json.loads((saved / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
    (saved / "config.json").write_text(json.dumps(config))
    (saved / "own.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_model(saved)


def test_a_model_without_tokenizer_is_said_to_lack_one(saved):
    for file in saved.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UsageError, match=r"tokenizer|cannot be loaded"):
        load_tokenizer(saved)


@pytest.mark.parametrize("load", [load_model, load_tokenizer])
def test_an_unreachable_hub_is_failed_work_and_not_wrong_use(monkeypatch, load):
    def offline(*_: object, **__: object) -> None:
        raise OSError("cannot connect\nmore") from ConnectionError()

    for auto in (transformers.AutoConfig, transformers.AutoTokenizer):
        monkeypatch.setattr(auto, "from_pretrained", offline)
    with pytest.raises(WorkError, match=r"the hub could not be reached: cannot connect$"):
        load("org/model")


def test_a_repository_that_does_not_exist_is_wrong_use(monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise OSError("org/model is not a valid model identifier")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", unknown)
    with pytest.raises(UsageError, match="cannot be loaded: org/model is not"):
        load_model("org/model")


def write_gguf(model: transformers.PreTrainedModel, file: Path) -> None:
    """The toy as llama.cpp stores it: its own names, and rotary heads interleaved."""
    gguf = pytest.importorskip("gguf")
    c = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(c.rope_parameters["rope_theta"])
    writer.add_vocab_size(c.vocab_size)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, c.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        array = tensor.numpy()
        heads = {"q_proj": c.num_attention_heads, "k_proj": c.num_key_value_heads}
        for part, count in heads.items():
            if part in name:
                halves = array.reshape(count, 2, -1, array.shape[1])
                array = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_becomes_a_model_that_trains_and_saves(llama, tokenizer, rows, tmp_path):
    write_gguf(llama, tmp_path / "toy.gguf")
    before = torch.get_rng_state()
    model = load_model(tmp_path / "toy.gguf")
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(logits(model), logits(llama))
    assert all(p.requires_grad for p in model.parameters())
    again = load_model(save_model(model, tokenizer, tmp_path / "model"))
    assert torch.equal(logits(again), logits(model))
    np.testing.assert_allclose(
        recall(model, tokenizer, rows).loss, recall(llama, tokenizer, rows).loss, rtol=1e-4
    )


def test_a_gguf_file_that_lacks_weights_is_refused(llama, tmp_path):
    del llama.model.norm.weight
    write_gguf(llama, tmp_path / "toy.gguf")
    with pytest.raises(UsageError, match=r"1 are missing, model.norm.weight"):
        load_model(tmp_path / "toy.gguf")


def test_nothing_heavy_is_imported_before_it_is_needed():
    assert not {"transformers", "peft", "gguf"} & set(vars(module))
