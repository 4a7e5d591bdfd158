"""The two encoders of a pair, as each library has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen.bank.outputs import array_of
from limen.shift.models.asking import device_of, moved

Tokenizer = Callable[[list[str]], Any]


class Towers(NamedTuple):
    """Encoders of photos and texts, and what makes logits of their cosines."""

    image: Callable[[Any], Any]
    text: Callable[[list[str]], Any]
    modules: tuple[nn.Module, ...] = ()
    scale: float = 1.0
    bias: float = 0.0
    name: str = "pair"


def open_clip(model: nn.Module, tokenizer: Tokenizer) -> Towers:
    """Encoders of an open_clip model.

    Raises:
        UsageError: It cannot encode images, or texts.
    """
    _refuse_lacking(model, "encode_image", "encode_text")
    encoder: Any = model

    def text(texts: list[str]) -> Any:
        return encoder.encode_text(moved(tokenizer(texts), device_of([model])))

    return Towers(encoder.encode_image, text, (model,), *_logit(model), type(model).__name__)


def transformers(model: nn.Module, processor: Any) -> Towers:
    """Encoders of a dual encoder of transformers.

    Raises:
        UsageError: Model or processor lacks a part.
    """
    _refuse_lacking(model, "get_image_features", "get_text_features")
    _refuse_lacking(processor, "image_processor", "tokenizer")
    encoder: Any = model
    config = encoder.config
    limit = getattr(config.text_config, "max_position_embeddings", None)
    # SigLIP was trained on texts filled up to the limit, without a mask; the others on masked ones
    filled = "max_length" if str(config.model_type).startswith("siglip") else True

    def image(pixels: Any) -> Any:
        inputs = pixels if isinstance(pixels, dict) else {"pixel_values": pixels}
        return _pooled(encoder.get_image_features(**inputs))

    def text(texts: list[str]) -> Any:
        tokens = processor.tokenizer(
            texts, padding=filled, truncation=True, max_length=limit, return_tensors="pt"
        )
        return _pooled(encoder.get_text_features(**moved(dict(tokens), device_of([model]))))

    return Towers(image, text, (model,), *_logit(model), type(model).__name__)


def onnx(
    image: Any, text: Any, *, tokenizer: Tokenizer, outputs: tuple[str | None, str | None]
) -> Towers:
    """Encoders of two ONNX networks.

    Raises:
        UsageError: It is no ONNX network, or has no such output.
        MissingExtraError: onnxruntime is not installed.
    """
    seeing, reading = _session("image", image), _session("text", text)
    names = _output(seeing, outputs[0]), _output(reading, outputs[1])
    return Towers(
        lambda pixels: seeing.run([names[0]], _feed(seeing, pixels))[0],
        lambda texts: reading.run([names[1]], _feed(reading, tokenizer(texts)))[0],
        name="onnx",
    )


def _pooled(answer: Any) -> Tensor:
    """The shared space's rows; older releases answer with them, newer ones with a record.

    Raises:
        UsageError: There are no such rows in the answer.
    """
    found = answer if isinstance(answer, Tensor) else getattr(answer, "pooler_output", None)
    if not isinstance(found, Tensor):
        kind = type(answer).__name__
        raise UsageError(f"the model must answer with embeddings, got {kind}")
    return found


def _logit(model: nn.Module) -> tuple[float, float]:
    """Scale and bias that the model learned; scales are kept as logarithms."""
    scale, bias = getattr(model, "logit_scale", None), getattr(model, "logit_bias", None)
    known = isinstance(scale, Tensor) and scale.numel() == 1
    shift = isinstance(bias, Tensor) and bias.numel() == 1
    return (
        float(torch.as_tensor(scale).detach().float().exp()) if known else 1.0,
        float(torch.as_tensor(bias).detach().float()) if shift else 0.0,
    )


def _session(role: str, model: Any) -> Any:
    if hasattr(model, "get_inputs"):
        return model
    runtime = require("onnxruntime", extra="vision")
    if isinstance(model, str | Path) and not Path(model).is_file():
        raise UsageError(f"{role}={model} must be an ONNX file; there is no such file")
    content = str(model) if isinstance(model, Path) else model
    try:
        return runtime.InferenceSession(content, providers=runtime.get_available_providers())
    except Exception as broken:  # onnxruntime's errors share no base but this
        raise UsageError(f"{role} must be an ONNX network: {broken}") from broken


def _output(session: Any, name: str | None) -> str:
    names = [output.name for output in session.get_outputs()]
    if name is None:
        return next((each for each in names if "embed" in each.lower()), names[0])
    if name not in names:
        raise UsageError(f"the network has no output {name!r}; the nearest: {nearest(name, names)}")
    return name


def _feed(session: Any, given: Any) -> dict[str, np.ndarray]:
    """Arrays by the names of the inputs, in the types that they have.

    Raises:
        UsageError: An input lacks.
    """
    wanted = {each.name: each.type for each in session.get_inputs()}
    if not hasattr(given, "keys"):
        if len(wanted) != 1:
            raise UsageError(f"the network has inputs {sorted(wanted)}: give a dict of them")
        given = {next(iter(wanted)): given}
    lacking = sorted(set(wanted) - set(given))
    if lacking:
        raise UsageError(
            f"the network needs inputs {sorted(wanted)}, got {sorted(given)}; {lacking[0]!r} lacks"
        )
    return {name: array_of(given[name]).astype(_type(kind)) for name, kind in wanted.items()}


def _type(kind: str) -> type[np.generic]:
    known = {"int64": np.int64, "int32": np.int32, "float16": np.float16, "double": np.float64,
             "bool": np.bool_}  # fmt: skip
    return known.get(kind.removeprefix("tensor(").rstrip(")"), np.float32)


def _refuse_lacking(thing: Any, *names: str) -> None:
    lacking = [name for name in names if not hasattr(thing, name)]
    if lacking:
        kind = type(thing).__name__
        raise UsageError(f"{kind} must have {' and '.join(names)}; it lacks {', '.join(lacking)}")
