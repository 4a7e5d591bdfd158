"""Networks of torchvision and timm by name, with weights from a file or, if asked for, the hub."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from limen._core.errors import UsageError, WorkError, nearest
from limen._core.optional import require
from limen.bank.network import classifier
from limen.shift.models.classifier import Classifier

HUB = "hub"
"""The word that allows a download."""


@dataclass(frozen=True)
class _Library:
    """One library's networks: how they are listed, made, filled, and shown pictures."""

    name: str
    names: Callable[[], list[str]]
    made: Callable[[str, int | None], nn.Module]
    fetched: Callable[[str], nn.Module]
    preprocess: Callable[[str], Any]


def weights_option(option: str) -> str:
    """The option with the weights of the network that `option` names."""
    return "--weights" if option == "--model" else f"{option}-weights"


def model(
    told: str,
    weights: str | None,
    *,
    device: torch.device,
    option: str,
    others: Sequence[str] = (),
) -> Classifier:
    """The network of that name; `torchvision:` or `timm:` may stand before it.

    After a dot may stand which weights: `resnet50.IMAGENET1K_V1`, `resnet50.a1_in1k`. They decide
    the preprocessing.

    Raises:
        UsageError: No network has that name (answered with the nearest three), both libraries
            have it, `weights` is missing or not of this network.
        WorkError: The hub cannot be reached.
    """
    library, name = _found(told, option, others)
    own = weights_option(option)
    if weights is None:
        raise UsageError(
            f"{option} {told} needs {own}: a .safetensors file of that network, or {HUB} to "
            "download the published ones"
        )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the libraries, on random weights
        network = (
            _fetched(library, name, f"{option} {told}")
            if weights == HUB
            else _filled(library, name, _read(Path(weights), own), file=f"{own} {weights}")
        )
    preprocess = library.preprocess(name)
    return Classifier(network.to(device), preprocess=preprocess, name=name)


def _found(told: str, option: str, others: Sequence[str]) -> tuple[_Library, str]:
    libraries = {library.name: library for library in (_torchvision(), _timm())}
    before, colon, name = told.rpartition(":")
    if colon and before not in libraries:
        raise UsageError(
            f"{option} {told!r} must begin with torchvision: or timm:, or with neither"
        )
    asked = [libraries[before]] if colon else list(libraries.values())
    plain = name.partition(".")[0]
    holders = [library for library in asked if plain in library.names()]
    if not holders:
        known = [*others, *(known for library in asked for known in library.names())]
        raise UsageError(f"{option} {told!r} is not known; nearest: {nearest(plain, known)}")
    tagged = [library for library in holders if _has_tag(library, name)]
    if not tagged:
        raise UsageError(
            f"{option} {told!r}: {plain} has no weights called {name[len(plain) + 1 :]!r}"
        )
    if len(tagged) > 1:
        choices = " or ".join(f"{library.name}:{name}" for library in tagged)
        raise UsageError(
            f"{option} {told!r} is a network of two libraries, whose weights and pixels differ: "
            f"say {choices}"
        )
    return tagged[0], name


def _has_tag(library: _Library, name: str) -> bool:
    plain, dot, tag = name.partition(".")
    if not dot:
        return True
    if library.name == "torchvision":
        models = require("torchvision.models", extra="vision")
        return tag in models.get_model_weights(plain).__members__
    return name in require("timm", extra="vision").list_pretrained(f"{plain}.*")


def _filled(library: _Library, name: str, state: Mapping[str, Tensor], *, file: str) -> nn.Module:
    """The network with the weights of a file.

    Raises:
        UsageError: They are not of this network.
    """
    with torch.device("meta"):
        empty = library.made(name, None)
    network = library.made(name, _classes(empty, state))
    try:
        network.load_state_dict(state)
    except RuntimeError as other:
        reason = " ".join(str(other).split("\n", 2)[1].split())[:160]
        raise UsageError(
            f"{file} must hold the weights of {library.name}'s {name}: {reason}"
        ) from None
    return network.eval()


def _classes(network: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """Rows of the last layer's weight in the file; None: nobody knows."""
    last = classifier(network)
    name = next((name for name, layer in network.named_modules() if layer is last), None)
    weight = state.get(f"{name}.weight")
    return None if last is None or weight is None else len(weight)


def _read(path: Path, own: str) -> dict[str, Tensor]:
    if not path.is_file():
        raise UsageError(
            f"{own} {path} must be a .safetensors file, or {HUB}; there is no such file"
        )
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{own} {path} must be a .safetensors file, as pickled weights can run code: convert "
            "them by safetensors.torch.save_file(torch.load(..., weights_only=True), ...)"
        )
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as broken:
        raise UsageError(f"{own} {path} must be a .safetensors file: {broken}") from None


def _fetched(library: _Library, name: str, named: str) -> nn.Module:
    try:
        return library.fetched(name).eval()
    except (OSError, RuntimeError) as absent:
        reason = str(absent).strip().splitlines()[0]
        raise WorkError(f"{named}: the published weights could not be had: {reason}") from absent


def _torchvision() -> _Library:
    models = require("torchvision.models", extra="vision")

    def published(name: str) -> Any:
        plain, _, tag = name.partition(".")
        return models.get_model_weights(plain)[tag or "DEFAULT"]

    def made(name: str, classes: int | None) -> nn.Module:
        more = {} if classes is None else {"num_classes": classes}
        return models.get_model(name.partition(".")[0], weights=None, **more)

    def fetched(name: str) -> nn.Module:
        chosen = published(name)
        network = made(name, len(chosen.meta["categories"]))
        network.load_state_dict(
            chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)
        )
        return network

    return _Library(
        "torchvision", lambda: models.list_models(module=models), made, fetched,
        lambda name: published(name).transforms(),
    )  # fmt: skip


def _timm() -> _Library:
    timm = require("timm", extra="vision")

    def made(name: str, classes: int | None) -> nn.Module:
        more = {} if classes is None else {"num_classes": classes}
        return timm.create_model(name, **more)

    return _Library(
        "timm", timm.list_models, made, lambda name: timm.create_model(name, pretrained=True),
        lambda name: None,  # Classifier finds what a network of timm brings
    )  # fmt: skip
