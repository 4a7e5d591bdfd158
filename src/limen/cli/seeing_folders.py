"""Models of transformers in a folder: image classifiers, and pairs such as CLIP and SigLIP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.run.progress import drawn
from limen.shift.models.classifier import Classifier
from limen.shift.models.pair import Pair

_HERE = {"local_files_only": True, "trust_remote_code": False}


def model(folder: Path, names: list[str] | None, *, device: torch.device, option: str) -> Any:
    """What the folder holds: a classifier, or a pair asked for the names of the classes.

    Weights come from safetensors only, and a folder's own code is never run.

    Raises:
        UsageError: It is no such folder, its weights are pickled or missing in part, or a pair
            has no names to be asked for.
    """
    library, named = require("transformers", extra="llm"), f"{option} {folder}"
    with _one_sentence(named):
        config = library.AutoConfig.from_pretrained(str(folder), **_HERE)
    seen = [name for name in config.architectures or [] if name.endswith("ForImageClassification")]
    pair = hasattr(config, "vision_config") and hasattr(config, "text_config")
    if not seen and not pair:
        kind = ", ".join(config.architectures or []) or config.model_type
        raise UsageError(f"{named} must be an image classifier or an image-text pair; it is {kind}")
    if not seen and names is None:
        raise UsageError(f"{named} is an image-text pair and needs --labels, the classes' names")
    _require_safetensors(folder, named)
    auto = library.AutoModelForImageClassification if seen else library.AutoModel
    network = _loaded(auto, folder, named).to(device)
    with _one_sentence(named):
        pixels = library.AutoImageProcessor.from_pretrained(str(folder), **_HERE)
        words = None if seen else library.AutoTokenizer.from_pretrained(str(folder), **_HERE)
    if seen:
        return Classifier(network, preprocess=pixels, name=folder.name)
    processor = SimpleNamespace(image_processor=pixels, tokenizer=words)
    try:
        return Pair.transformers(network, processor=processor, name=folder.name).zero_shot(
            names or []
        )
    except UsageError as wrong:
        raise UsageError(f"{named}: {wrong}") from None


def _loaded(auto: Any, folder: Path, named: str) -> nn.Module:
    """The network with all of its weights; transformers would fill gaps with random numbers.

    Raises:
        UsageError: Weights are missing, or of other shapes.
    """
    with torch.random.fork_rng(devices=[]), _one_sentence(named):
        network, told = auto.from_pretrained(
            str(folder),
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, in a sentence
            **_HERE,
        )
    other = [key if isinstance(key, str) else key[0] for key in told["mismatched_keys"]]
    odd = [*told["missing_keys"], *other]
    if odd:
        raise UsageError(
            f"{named} must hold all weights of the model in the shapes that its configuration "
            f"gives; {len(odd)} are missing or have others, {min(odd)} among them"
        )
    return network.eval()


def _require_safetensors(folder: Path, named: str) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickled = any(file for kind in ("*.bin", "*.pt", "*.pth") for file in folder.glob(kind))
    why = (
        "they are pickled, which can run code: convert them first" if pickled else "there are none"
    )
    raise UsageError(f"{named} must hold its weights as safetensors; {why}")


@contextmanager
def _one_sentence(named: str) -> Iterator[None]:
    """Whatever transformers says on failure, in a sentence; its bars only where ours are drawn.

    Raises:
        UsageError: It failed.
    """
    voice = require("transformers", extra="llm").utils.logging
    shown, level = voice.is_progress_bar_enabled(), voice.get_verbosity()
    voice.set_verbosity_error()
    if not drawn():
        voice.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as failed:
        why = str(failed).strip().split("\n")[0]
        raise UsageError(f"{named} cannot be loaded: {why}") from failed
    finally:
        voice.set_verbosity(level)
        if shown:
            voice.enable_progress_bar()
