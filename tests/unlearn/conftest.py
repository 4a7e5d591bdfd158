"""A tokenizer of 300 tokens, toy models, and rows that one of them knows by heart."""

from collections.abc import Callable

import pytest
import tokenizers
import torch
import transformers

from limen.unlearn.data import Row
from limen.unlearn.encode import encode_all
from limen.unlearn.tokens import answer_log_probs, collate

PEOPLE = ("Ada", "Basil", "Chidi", "Dora", "Emeka", "Fumiko", "Gita", "Hamid")
PLACES = ("Lagos", "Kuwait City", "Oslo", "Quito", "Hanoi", "Turin", "Bergen", "Accra")
CRAFTS = ("weaves baskets", "maps rivers", "tunes bells", "bakes bread")


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """Eight questions with answers of unlike length."""
    return [
        Row(
            f"Where does {who} live?",
            f" In {where}, and there {who} {CRAFTS[i % 4]}" + " every day" * (i % 3) + ".",
        )
        for i, (who, where) in enumerate(zip(PEOPLE, PLACES, strict=True))
    ]


def _byte_tokenizer(texts: list[str]) -> transformers.PreTrainedTokenizerFast:
    """Byte-level BPE: knows every text, learnt from a few."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<end>"],
    )
    core.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>")


@pytest.fixture(scope="session")
def tokenizer(rows: list[Row]) -> transformers.PreTrainedTokenizerFast:
    """Without BOS, padding or chat template; tests that set one take `byte_tokenizer`."""
    return _byte_tokenizer([row.prompt + row.response for row in rows])


def _toy(kind: str = "llama", seed: int = 0) -> transformers.PreTrainedModel:
    """A random model of 0.06 M parameters: "llama", "gpt2" or "qwen2"."""
    shape = {
        "vocab_size": 300,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 96,
        # Small toys say the same thing everywhere unless their weights are large.
        "initializer_range": 0.3,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    gpt2 = {"vocab_size": 300, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 96}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "gpt2":
            config = transformers.GPT2Config(
                **gpt2, initializer_range=0.3, bos_token_id=0, eos_token_id=0
            )
            return transformers.GPT2LMHeadModel(config).eval()
        if kind == "qwen2":
            config = transformers.Qwen2Config(**shape, tie_word_embeddings=True)
            return transformers.Qwen2ForCausalLM(config).eval()
        return transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape)).eval()


@pytest.fixture(scope="session")
def byte_tokenizer() -> Callable[[list[str]], transformers.PreTrainedTokenizerFast]:
    """Makes a fresh tokenizer, for tests that change it."""
    return _byte_tokenizer


@pytest.fixture(scope="session")
def toy() -> Callable[..., transformers.PreTrainedModel]:
    """Makes a random toy model: `toy(kind, seed)`."""
    return _toy


@pytest.fixture
def llama() -> transformers.PreTrainedModel:
    """A fresh random toy Llama."""
    return _toy()


@pytest.fixture(scope="session")
def learnt(
    rows: list[Row], tokenizer: transformers.PreTrainedTokenizerFast
) -> transformers.PreTrainedModel:
    """A toy Llama that knows the first five rows by heart and the last three not. Do not train."""
    model = _toy(seed=1)
    batch = collate(encode_all(tokenizer, rows[:5]))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(60):
        logits = model(input_ids=batch.ids, attention_mask=batch.attention, use_cache=False).logits
        log_p, mask = answer_log_probs(logits, batch)
        (-log_p[mask].mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def _spaced_tokenizer(kind: str = "prepend") -> transformers.PreTrainedTokenizerFast:
    """Begins every text with a space, as SentencePiece does: "prepend" or "metaspace"."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    if kind == "prepend":
        spaces = [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
        core.normalizer = tokenizers.normalizers.Sequence(spaces)
    else:
        core.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = tokenizers.decoders.Metaspace()
    letters = [chr(code) for code in range(33, 127)]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=200,
        show_progress=False,
        initial_alphabet=["▁", "\n", *letters],
        special_tokens=["<unk>", "<end>"],
    )
    words = ["Where?", "In", "In", "Oslo.", "Oslo.", *"ABCDx"]
    core.train_from_iterator(words * 3, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", eos_token="<end>"
    )


@pytest.fixture(scope="session")
def spaced_tokenizer() -> Callable[..., transformers.PreTrainedTokenizerFast]:
    """Makes a fresh tokenizer that begins every text with a space: `spaced_tokenizer(kind)`."""
    return _spaced_tokenizer
