"""An ONNX network as a model, and the pixels that it was trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.bank.onnx import Onnx
from limen.shift.models.classifier import Classifier

_BYTES, _FLOATS = "tensor(uint8)", "tensor(float)"


@dataclass(frozen=True)
class Pixels:
    """A PIL image to the pixels of a network that takes floats.

    The middle square that is `share` of the shorter side, brought to `size` by bicubic
    interpolation; then (pixel / 255 - mean) / deviation. `deviation` None leaves bytes.

    Attributes:
        size: Height and width.
        mean: Of each channel, taken off.
        deviation: Of each channel, by which it is divided.
        share: Of the shorter side.
    """

    size: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] | None = (1.0, 1.0, 1.0)
    share: float = 0.875

    def __call__(self, image: Any) -> Float[Tensor, "3 high wide"] | Tensor:
        """The pixels."""
        wide, high = image.size
        edge = min(wide, high) * self.share
        left, upper = (wide - edge) / 2, (high - edge) / 2
        square = image.convert("RGB").resize(
            (self.size, self.size), 3, box=(left, upper, left + edge, upper + edge)
        )
        seen = np.array(square).transpose(2, 0, 1)
        if self.deviation is None:
            return torch.from_numpy(np.ascontiguousarray(seen))
        mean, deviation = (
            np.array(each, np.float32).reshape(3, 1, 1) for each in (self.mean, self.deviation)
        )
        return torch.from_numpy((seen.astype(np.float32) / 255 - mean) / deviation)


def _imagenet(size: int) -> Pixels:
    return Pixels(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _half(size: int) -> Pixels:
    return Pixels(size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _clip(size: int) -> Pixels:
    mean = (0.48145466, 0.4578275, 0.40821073)
    return Pixels(size, mean, (0.26862954, 0.26130258, 0.27577711), share=1.0)


KINDS: dict[str, Callable[[int], Pixels]] = {
    "imagenet": _imagenet, "half": _half, "clip": _clip, "unit": Pixels,
}  # fmt: skip
"""What `--pixels` may say."""


def model(path: Path, *, pixels: str | None, size: int | None, option: str) -> Classifier:
    """The network of a file, with the preprocessing that was named.

    Raises:
        UsageError: It is no network of pictures, leaves size or pixels open, or has another size.
    """
    network = Onnx(path)
    inputs = network.session.get_inputs()
    kind, shape = inputs[0].type, list(inputs[0].shape)
    if len(inputs) != 1 or kind not in (_BYTES, _FLOATS) or len(shape) != 4 or shape[1] != 3:
        raise UsageError(
            f"{option} {path} must take pictures (rows, 3, size, size), bytes or floats; it takes "
            f"{', '.join(f'{each.type} {each.shape}' for each in inputs)}"
        )
    preprocess = _pixels(kind, pixels, _side(shape, size, f"{option} {path}"), option=option)
    return Classifier(network.session, preprocess=preprocess, name=path.stem)


def _side(shape: list[Any], size: int | None, named: str) -> int:
    fixed = {side for side in shape[2:] if isinstance(side, int)}
    if len(fixed) > 1 or (size is not None and fixed - {size}):
        raise UsageError(
            f"{named} must take squares of {size or 'one size'}; it takes {shape[2]} x {shape[3]}"
        )
    if not fixed and size is None:
        raise UsageError(
            f"{named} takes pictures of any size: say by --size on which it was judged"
        )
    return size or fixed.pop()


def _pixels(kind: str, pixels: str | None, size: int, *, option: str) -> Pixels:
    if kind == _BYTES:
        return Pixels(size, deviation=None)
    if pixels not in KINDS:
        told = (
            f"got {pixels!r}" if pixels else f"as {option} takes floats of a scale it does not tell"
        )
        raise UsageError(f"--pixels must be one of {', '.join(KINDS)}, {told}")
    return KINDS[pixels](size)
