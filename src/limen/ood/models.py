"""Picture classifiers in a folder: weights, classes and how pictures are normalised."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limen._core.errors import UsageError, nearest
from limen._core.optional import require
from limen.ood import nets
from limen.ood.augment import Augment
from limen.run.store import read_json, replacing, write_json

_ABOUT, _WEIGHTS = "classifier.json", "model.safetensors"
_TIMM = "timm:"


@dataclass(frozen=True)
class About:
    """What one must know of a classifier to use it.

    Attributes:
        net: How it is built: "WRN(16, 2)", "ResNet(8)", "timm:resnet18".
        classes: Names of its classes, in the order of its logits.
        size: Height and width of its pictures.
        mean: Of each channel on the scale 0 to 1, taken off before the net.
        std: Of each channel, divided by.
        extra: Logits behind the known classes', as NTOM's one.

    Example:
        >>> About("LeNet", ("cat", "dog"), size=28).classes
        ('cat', 'dog')
    """

    net: str
    classes: tuple[str, ...]
    size: int
    mean: tuple[float, ...] = Augment.mean
    std: tuple[float, ...] = Augment.std
    extra: int = 0


class Classifier(nn.Module):
    """A network that takes pictures as they are, bytes or 0 to 1, and normalises them itself.

    Attributes:
        net: The network behind the normalisation.
        about: What one must know to use it.

    Args:
        about: What to build.
        seed: Of the initial weights.

    Raises:
        UsageError: An unknown network or setting.

    Example:
        >>> model = Classifier(About("LeNet", ("cat", "dog"), size=28))
        >>> tuple(model(torch.zeros(5, 3, 28, 28, dtype=torch.uint8)).shape)
        (5, 2)
    """

    def __init__(self, about: About, *, seed: int = 0):
        super().__init__()
        self.about = about
        self.net = build(about.net, classes=len(about.classes) + about.extra, seed=seed)
        self._plain = Augment(mean=about.mean, std=about.std).plain

    def forward(
        self, images: Float[Tensor, "rows channels height width"] | Tensor
    ) -> Float[Tensor, "rows classes"]:
        """Logits.

        Args:
            images: Bytes, or floats of 0 to 1.

        Returns:
            One number for each class, and for the extra ones.
        """
        logits: Tensor = self.net(self._plain(images))
        return logits


def build(text: str, *, classes: int, seed: int = 0) -> nn.Module:
    """A fresh network by name: one of `limen.ood.nets` with its settings, or one of timm.

    Args:
        text: "LeNet", "WRN(16, 2)", "ResNet(depth=8)", or "timm:" and a name that timm knows.
        classes: Its outputs.
        seed: Of the initial weights; timm's are drawn from the same seed.

    Returns:
        The network, for pictures of three channels.

    Raises:
        UsageError: An unknown name, or settings that it does not take.

    Example:
        >>> type(build("WRN(16, 2)", classes=10)).__name__
        'WRN'
    """
    if text.startswith(_TIMM):
        return _from_timm(text.removeprefix(_TIMM), classes=classes, seed=seed)
    name, places, settings = _parsed(text)
    folded = {known.casefold(): known for known in nets.__all__}
    if name.casefold() not in folded:
        raise UsageError(f"network {name!r} is not known; nearest: {nearest(name, nets.__all__)}")
    make: Callable[..., nn.Module] = getattr(nets, folded[name.casefold()])
    takes = signature(make).parameters
    own = {"classes": classes, "seed": seed, **({"channels": 3} if "channels" in takes else {})}
    ordered = [n for n, p in takes.items() if p.kind is p.POSITIONAL_OR_KEYWORD and n not in own]
    given = {**dict(zip(ordered, places, strict=False)), **settings}
    unknown = [n for n in given if n not in takes or n in own]
    if unknown or len(places) > len(ordered):
        lack = f"no setting {unknown[0]!r}" if unknown else f"no more than {len(ordered)} by place"
        known = ", ".join(n for n in takes if n not in own) or "none"
        raise UsageError(f"network {text!r} has {lack}; it takes {known}")
    missing = [
        n for n, p in takes.items() if p.default is p.empty and n not in own and n not in given
    ]
    if missing:
        raise UsageError(f"network {text!r} needs a setting {missing[0]!r}")
    return make(**given, **own)


def save_classifier(model: Classifier, folder: Path) -> None:
    """Write weights, then what they are; each file is whole or absent.

    Args:
        model: The classifier.
        folder: Made if absent.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_classifier(Classifier(About("LeNet", ("cat", "dog"), size=28)), folder)
        >>> load_classifier(folder).about.classes
        ('cat', 'dog')
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _WEIGHTS) as temporary:
        state = {name: t.detach().cpu().contiguous() for name, t in model.net.state_dict().items()}
        save_file(state, temporary)
    about = model.about
    write_json(folder / _ABOUT, {**vars(about), "classes": list(about.classes)})


def load_classifier(folder: str | Path) -> Classifier:
    """A classifier that `save_classifier` wrote, in eval mode, on the CPU.

    Args:
        folder: Where it lies, or the run folder that holds it as `model/`.

    Returns:
        The classifier.

    Raises:
        UsageError: There is none, or its files do not fit one another.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> save_classifier(Classifier(About("LeNet", ("a", "b"), size=28)), folder / "model")
        >>> load_classifier(folder).training
        False
    """
    path = Path(folder)
    path = path if (path / _ABOUT).is_file() else path / "model"
    if not (path / _ABOUT).is_file():
        raise UsageError(
            f"{folder} must hold a classifier that 'limen ood train' wrote; {_ABOUT} is not there"
        )
    told: Any = read_json(path / _ABOUT)
    try:
        held: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
        about = About(**held)
        model = Classifier(about)
        model.net.load_state_dict(load_file(path / _WEIGHTS))
    except (AttributeError, TypeError, RuntimeError, OSError, SafetensorError) as wrong:
        why = str(wrong).splitlines()[0]
        raise UsageError(f"{path} must hold a whole classifier: {why}") from wrong
    return model.eval()


def _parsed(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name, settings by place and settings by name.

    Raises:
        UsageError: It is neither a name nor a name with settings.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            places = [ast.literal_eval(value) for value in node.args]
            return node.func.id, places, {
                str(k.arg): ast.literal_eval(k.value) for k in node.keywords
            }  # fmt: skip
    except (SyntaxError, ValueError):
        pass
    raise UsageError(f"network {text!r} must be a name, or a name with settings: 'WRN(16, 2)'")


def _from_timm(name: str, *, classes: int, seed: int) -> nn.Module:
    timm = require("timm", extra="vision")
    known = timm.list_models()
    if name not in known:
        raise UsageError(f"timm has no network {name!r}; nearest: {nearest(name, known)}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return made
