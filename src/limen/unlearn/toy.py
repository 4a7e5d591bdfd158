"""A small real task from the standard library: passages of Python's own documentation.

`pydoc_data.topics` is on every machine with Python. A byte-level BPE tokenizer and a Llama of
about a million parameters, both trained here, learn passages of it by heart; the passages of one
topic are then to be forgotten.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from limen._core.errors import UsageError
from limen._core.optional import require
from limen._core.streams import torch_stream
from limen.unlearn.data import Row

if TYPE_CHECKING:
    import transformers

TOPICS = (
    "comparisons", "customization", "del", "exceptions", "formatstrings", "global", "import",
    "naming", "raise", "slicings", "strings", "with",
)  # fmt: skip
_FORGOTTEN, _KEPT = 9, 3  # passages of the topic to forget, and of each of the others


@dataclass(frozen=True)
class Passages:
    """Passages of the language reference, cut into a prompt and its continuation.

    Attributes:
        forget: The passages of the topic to forget.
        retain: Those of the other topics.
        texts: The whole text of all topics, for the tokenizer.
        topic: The topic to forget.
    """

    forget: list[Row]
    retain: list[Row]
    texts: list[str]
    topic: str


def passages(topic: str = "with", *, words: int = 40, prompt_words: int = 8) -> Passages:
    """Some forty passages of twelve topics of Python's language reference.

    Args:
        topic: The topic to forget, one of `TOPICS`.
        words: Length of a passage in words, longer than its prompt.
        prompt_words: How many of them are the prompt, at least 1.

    Returns:
        The passages: nine of the topic to forget, three of each other one, none overlapping.

    Raises:
        UsageError: The topic is not one of these, or a topic holds no passage so long.

    Example:
        >>> found = passages()
        >>> len(found.forget), len(found.retain)
        (9, 33)
    """
    from pydoc_data.topics import topics

    if topic not in TOPICS:
        raise UsageError(f"topic={topic!r} must be one of {', '.join(TOPICS)}")
    if not 0 < prompt_words < words:
        raise UsageError(f"prompt_words={prompt_words} must be at least 1 and below words={words}")

    rows: dict[str, list[Row]] = {}
    for name in TOPICS:
        tokens = re.findall(r"\s*\S+", topics[name].split("\n", 3)[-1])
        starts = range(0, len(tokens) - words + 1, words)
        rows[name] = [
            Row(
                prompt="".join(tokens[s : s + prompt_words]).lstrip(),
                response="".join(tokens[s + prompt_words : s + words]),
                where=f"{name}:{s}",
            )
            for s in starts[: _FORGOTTEN if name == topic else _KEPT]
        ]
        if not rows[name]:
            raise UsageError(f"words={words} must fit the topic {name!r}, of {len(tokens)} words")
    retain = [row for name in TOPICS if name != topic for row in rows[name]]
    return Passages(rows[topic], retain, [topics[name] for name in TOPICS], topic)


def toy_tokenizer(
    texts: list[str], *, vocabulary: int = 2048
) -> "transformers.PreTrainedTokenizerFast":
    """A byte-level BPE tokenizer trained on `texts`; never meets an unknown character.

    Args:
        texts: What to train on.
        vocabulary: Largest number of tokens, above 256.

    Returns:
        A fast tokenizer of transformers.

    Example:
        >>> tokenizer = toy_tokenizer(["a b a b"] * 4, vocabulary=260)
        >>> tokenizer.decode(tokenizer("b a")["input_ids"])
        'b a'
    """
    tokenizers = require("tokenizers", extra="llm")
    transformers = require("transformers", extra="llm")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>"
    )


def toy_model(
    tokenizer: "transformers.PreTrainedTokenizerBase",
    *,
    width: int = 128,
    layers: int = 4,
    seed: int = 0,
) -> "transformers.LlamaForCausalLM":
    """A Llama of about a million parameters with random weights, in eval mode.

    Args:
        tokenizer: Decides the size of the vocabulary.
        width: Hidden size, a multiple of 32.
        layers: Number of blocks.
        seed: Decides the weights; the global generator is left as it was.

    Returns:
        The model, with tied embeddings.

    Raises:
        UsageError: `width` is no multiple of 32.

    Example:
        >>> model = toy_model(toy_tokenizer(["a b"], vocabulary=260), width=32, layers=1)
        >>> sum(p.numel() for p in model.parameters())
        21664
    """
    if width < 32 or width % 32:
        raise UsageError(f"width={width} must be a multiple of 32, the width of one head")
    transformers = require("transformers", extra="llm")
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch_stream(seed, "toy model").initial_seed() % 2**31))
        model = transformers.LlamaForCausalLM(config)
    return model.eval()
