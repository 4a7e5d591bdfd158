"""Causal language models and tokenizers, to and from folders: safetensors, no foreign code."""

import copy
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn

from limen._core.errors import UsageError, WorkError
from limen._core.optional import require
from limen.run.progress import drawn
from limen.run.store import read_json, replacing

if TYPE_CHECKING:
    import transformers

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_TOKENIZERS = ("tokenizer*", "*vocab*", "*.model", "tekken.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def load_model(
    where: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """Load a causal language model, in eval mode, without running foreign code.

    Weights come from safetensors or GGUF only, and a repository's own code is never run. A GGUF
    file is dequantised once, into a model that trains and saves like any other.

    Args:
        where: A folder, a hub id (org/name), a .gguf file, or the folder of a PEFT adapter, which
            is put on its base model with its weights trainable.
        dtype: Type of the weights; None takes the stored one (float32 for GGUF).
        device: Where the model shall stand; None leaves it where transformers puts it.

    Returns:
        The model.

    Raises:
        UsageError: Nothing there, pickled weights, missing weights, or no causal language model.
        WorkError: The hub could not be reached.

    Example:
        >>> import tempfile, transformers
        >>> config = transformers.LlamaConfig(vocab_size=8, hidden_size=4, intermediate_size=4,
        ...     num_hidden_layers=1, num_attention_heads=1)
        >>> folder = tempfile.mkdtemp()
        >>> transformers.LlamaForCausalLM(config).save_pretrained(folder)
        >>> sum(p.numel() for p in load_model(folder).parameters())  # 2 * 32 + 7 * 16 + 3 * 4
        188
    """
    path = _located(where)
    if path is None or (path.is_dir() and not (path / "adapter_config.json").is_file()):
        model = _from_weights(where, dtype=dtype)
    elif path.is_file():
        model = _from_gguf(path, dtype=dtype)
    else:
        model = _with_adapter(path, dtype=dtype)
    return model if device is None else model.to(device)


def load_tokenizer(where: str | Path) -> "transformers.PreTrainedTokenizerBase":
    """Load the tokenizer that lies with a model.

    Args:
        where: As for `load_model`; an adapter without a tokenizer has its base model's.

    Returns:
        The tokenizer.

    Raises:
        UsageError: Nothing there, or no tokenizer with it.
        WorkError: The hub could not be reached.

    Example:
        >>> import tempfile, tokenizers, transformers
        >>> words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"two": 0, "four": 1}, "two"))
        >>> folder = tempfile.mkdtemp()
        >>> words = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
        >>> _ = words.save_pretrained(folder)
        >>> load_tokenizer(folder)("four")["input_ids"]
        [1]
    """
    path = _located(where)
    if path and path.is_dir() and not any(any(path.glob(kind)) for kind in _TOKENIZERS):
        if (path / "adapter_config.json").is_file():
            return load_tokenizer(_base_of(path))
        raise UsageError(f"{where} must hold a tokenizer beside the model; there is none")
    read = require("transformers", extra="llm").AutoTokenizer.from_pretrained
    with _loading(where):
        if path is not None and path.is_file():
            require("gguf", extra="llm")
            tokenizer = read(str(path.parent), gguf_file=path.name, trust_remote_code=False)
        else:
            tokenizer = read(str(path or where), trust_remote_code=False)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise UsageError(f"{where} must hold a tokenizer beside the model; there is none")
    return tokenizer


def save_model(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase",
    into: str | Path,
    *,
    merge: bool = True,
) -> Path:
    """Write a folder that `AutoModelForCausalLM.from_pretrained` loads: whole, or not at all.

    Args:
        model: A model of transformers, with or without a PEFT adapter; it is not changed.
        tokenizer: Its tokenizer, written beside it.
        into: The folder; one that exists is replaced.
        merge: Add an adapter to the weights; False writes the adapter alone.

    Returns:
        The folder.

    Raises:
        WorkError: The disk refused (no space, no permission).

    Example:
        >>> import tempfile, tokenizers, transformers
        >>> words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"two": 0, "four": 1}, "two"))
        >>> words = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
        >>> model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=2,
        ...     hidden_size=4, intermediate_size=4, num_hidden_layers=1, num_attention_heads=1))
        >>> save_model(model, words, tempfile.mkdtemp() + "/model").name
        'model'
    """
    plain: Any = model
    if merge and hasattr(model, "merge_and_unload"):
        plain = copy.deepcopy(plain).merge_and_unload()
    into = Path(into)
    with replacing(into) as temporary, _quiet():
        plain.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return into


def _located(where: str | Path) -> Path | None:
    # A folder or .gguf file; None for a hub id.
    path = Path(where).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix == ".gguf"):
        return path
    if path.is_file():
        raise UsageError(f"{where} must be a folder, a hub id or a .gguf file; it is another file")
    if isinstance(where, str) and _HUB_ID.fullmatch(where) and path.suffix != ".gguf":
        return None
    raise UsageError(f"{where} must be a folder, a .gguf file or a hub id org/name: nothing there")


def _from_weights(where: str | Path, *, dtype: torch.dtype | None) -> nn.Module:
    transformers = require("transformers", extra="llm")
    path = _located(where)
    name = str(path or where)
    with _loading(where):
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
    _require_causal(config, name)
    if path is not None:
        _require_safetensors(path)
    with _loading(where):
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            name,
            dtype=dtype or "auto",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, in a sentence
        )
    _require_shapes(info["mismatched_keys"], where)
    _require_all(info["missing_keys"], where)
    return model


def _from_gguf(path: Path, *, dtype: torch.dtype | None) -> nn.Module:
    require("gguf", extra="llm")
    auto = require("transformers", extra="llm").AutoModelForCausalLM
    with _loading(path):
        dense, info = auto.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            dtype=dtype or torch.float32,
            output_loading_info=True,
        )
    _require_all(info["missing_keys"], path)
    # What transformers returns counts as quantised and refuses to be saved; its numbers do not.
    config = copy.deepcopy(dense.config)
    config.name_or_path = str(path)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.random.fork_rng(devices=[]):
        model = auto.from_config(config, dtype=dense.dtype)
    model.load_state_dict(dense.state_dict())
    return model.eval()


def _with_adapter(path: Path, *, dtype: torch.dtype | None) -> nn.Module:
    if not (path / "adapter_model.safetensors").is_file():
        _require_safetensors(path)
        raise UsageError(f"{path} must hold adapter_model.safetensors; there is none")
    peft = require("peft", extra="llm")
    base = load_model(_base_of(path), dtype=dtype)
    with _loading(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # peft, of transformers
        return peft.PeftModel.from_pretrained(base, str(path), is_trainable=True).eval()


def _base_of(adapter: Path) -> str:
    base = read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise UsageError(f"{adapter}/adapter_config.json must name its base model; it names none")
    return str(base)


def _require_causal(config: Any, name: str) -> None:
    known = require("transformers", extra="llm").MODEL_FOR_CAUSAL_LM_MAPPING
    named = config.architectures or []
    causal = type(config) in known and (
        known[type(config)].__name__ in named
        if named
        else getattr(config, "is_decoder", None) is not False
    )
    if not causal:
        kind = ", ".join(named) or config.model_type
        raise UsageError(f"{name} must be a causal language model; it is a {kind}")


def _require_all(missing: Collection[str], where: str | Path) -> None:
    # transformers would fill the gaps with random numbers.
    if missing:
        raise UsageError(
            f"{where} must hold all weights of the model; {len(missing)} are missing, "
            f"{min(missing)} among them"
        )


def _require_shapes(mismatched: Collection[Any], where: str | Path) -> None:
    # Each is a name with both shapes, or the name alone.
    if mismatched:
        names = [key if isinstance(key, str) else key[0] for key in mismatched]
        raise UsageError(
            f"{where} must hold weights of the shapes that its configuration gives; {len(names)} "
            f"have others, {min(names)} among them"
        )


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    if any(file for pattern in _PICKLES for file in folder.glob(pattern)):
        raise UsageError(
            f"{folder} must hold safetensors; its weights are pickled, and pickle checkpoints can "
            "run code: convert them to safetensors first"
        )
    raise UsageError(f"{folder} must hold the model's weights as safetensors; there are none")


@contextmanager
def _loading(where: str | Path) -> Iterator[None]:
    # One sentence for whatever transformers and the hub say on failure.
    try:
        with _quiet():
            yield
    except (OSError, ValueError, SafetensorError) as failed:
        why = str(failed).strip().split("\n")[0]
        if _unreachable(failed):
            raise WorkError(
                f"{where} is not a folder here, and the hub could not be reached: {why}"
            ) from failed
        raise UsageError(f"{where} cannot be loaded: {why}") from failed


@contextmanager
def _quiet() -> Iterator[None]:
    # Transformers' bars would fill a log file, and its reports repeat what we say in a sentence.
    voice = require("transformers", extra="llm").utils.logging
    shown, level = voice.is_progress_bar_enabled(), voice.get_verbosity()
    voice.set_verbosity_error()
    if not drawn():
        voice.disable_progress_bar()
    try:
        yield
    finally:
        voice.set_verbosity(level)
        if shown:
            voice.enable_progress_bar()


def _unreachable(error: BaseException | None) -> bool:
    hub = require("huggingface_hub", extra="llm").errors
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError | hub.LocalEntryNotFoundError):
            return True
        error = error.__cause__ or error.__context__
    return False
