"""Failed work: one sentence, exit code 1, the last good checkpoint kept; repeating goes on."""

import json
from errno import ENOSPC

import pytest
import torch
import transformers
from cli_files import written
from safetensors import SafetensorError

from limen import unlearn
from limen.run import store, tree
from limen.unlearn.objectives.wga import WGA

RUN = {"steps": 6, "save_every": 2, "lr": 3e-3}


def failed(ended):
    """The one sentence of failed work."""
    assert (ended.code, ended.out) == (1, "")
    sentence = ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    return sentence


def weights(folder):
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    """The weights of the run that nothing disturbed."""
    from limen.cli.app import ending
    from limen.run.progress import talk

    folder = tmp_path_factory.mktemp("whole")
    assert ending(["unlearn", "train", *given.options(into=folder / "out", **RUN)]) == 0
    talk(on=False)
    return weights(folder / "out")


def no_space(*_args, **_kwargs):
    raise OSError(ENOSPC, "No space left on device")


def test_no_space_for_a_checkpoint(limen, given, tmp_path, monkeypatch, whole):
    command = ["unlearn", "train", *given.options(into="out", **RUN)]
    writes = []

    def full(*args, **kwargs):
        writes.append(args)
        if len(writes) > 1:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        save(*args, **kwargs)

    save = tree.save_file
    monkeypatch.setattr(tree, "save_file", full)
    assert "could not be written: I/O error: No space left on device" in failed(limen(*command))
    assert (tmp_path / "out/checkpoint/latest").read_text() == "step-000002\n"
    assert not (tmp_path / "out" / "model").exists()
    monkeypatch.setattr(tree, "save_file", save)
    assert limen(*command).code == 0
    assert weights(tmp_path / "out") == whole


@pytest.mark.parametrize("what", ["model", "report.html", "result.json"])
def test_no_space_for_the_product(limen, given, tmp_path, monkeypatch, whole, what):
    def full(nest, path):
        (no_space if path.name == what else take_place)(nest, path)

    take_place = store._take_place
    monkeypatch.setattr(store, "_take_place", full)
    command = ["unlearn", "train", *given.options(into="out", **RUN)]
    sentence = failed(limen(*command))
    assert sentence == f"limen: out/{what} could not be written: No space left on device"
    assert not (tmp_path / "out" / what).exists()
    assert (tmp_path / "out/checkpoint/latest").read_text() == "step-000006\n"
    monkeypatch.setattr(store, "_take_place", take_place)
    monkeypatch.setattr(torch.optim.AdamW, "step", None)  # all steps were taken before
    assert limen(*command).code == 0
    assert weights(tmp_path / "out") == whole


def test_no_space_for_the_log(limen, given, monkeypatch):
    class Full(type(given.model)):
        def open(self, mode="r", **kwargs):
            if mode == "a" and self.name == "log.jsonl":
                no_space()
            return super().open(mode, **kwargs)

    monkeypatch.setattr("limen.run.folder.Path", Full)
    sentence = failed(limen("unlearn", "train", *given.options(into="out", **RUN)))
    assert sentence == "limen: out/log.jsonl could not be written: No space left on device"


def test_a_loss_that_is_no_number_fails_again_at_the_same_step(limen, given, tmp_path, monkeypatch):
    usual = WGA.__call__

    def breaks(self, log_p, mask, log_q=None):
        loss = usual(self, log_p, mask, log_q)
        return loss * torch.nan if log_p.detach()[mask].mean() < -2 else loss  # the state decides

    monkeypatch.setattr(WGA, "__call__", breaks)
    command = ["unlearn", "train", *given.options(into="out", steps=40, save_every=2, lr=3e-3)]
    first = failed(limen(*command))
    assert "loss 'forget' is nan at step " in first
    assert first.endswith("the checkpoint in out stands; lower the learning rate or clip")
    saved = (tmp_path / "out/checkpoint/latest").read_text()
    step = int(first.split("at step ")[1].split(";")[0])
    assert saved == f"step-{step - step % 2:06d}\n"
    assert failed(limen(*command)) == first
    assert (tmp_path / "out/checkpoint/latest").read_text() == saved
    logged = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in logged] == list(range(1, step + 1))


def test_the_row_whose_output_is_no_number_is_named(limen, given, tmp_path):
    tokenizer = unlearn.load_tokenizer(given.model)
    rows = [{"prompt": "a", "response": word} for word in ("bc", "zz", "de")]
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("z")["input_ids"][0]] = torch.inf
    unlearn.save_model(model, tokenizer, tmp_path / "model")
    written(tmp_path / "rows.jsonl", rows)
    options = given.options(model="model", forget="rows.jsonl", retain=None, into="out")
    sentence = failed(limen("unlearn", "train", *options, "--no-rectify"))
    assert "--forget: row 2: the model's output is not a number" in sentence
