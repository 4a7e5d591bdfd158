"""The classifier that `limen ood` asks: a folder that train wrote, or an ONNX file."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from limen._core.errors import UsageError
from limen.bank.bank import FeatureBank
from limen.bank.content import model_hash
from limen.bank.grams import Grams
from limen.bank.network import head_of
from limen.bank.onnx import Onnx
from limen.ood.data import Images
from limen.ood.models import Classifier, load_classifier
from limen.ood.scores.extra_class import extra_class
from limen.ood.scores.protocol import sees

_BYTES, _FLOATS = "tensor(uint8)", "tensor(float)"


@dataclass(frozen=True)
class Seer:
    """A classifier, and what one must know to show it pictures.

    Attributes:
        where: As it was given.
        network: What a bank asks.
        hash: Of its content.
        size: Height and width of its pictures.
        classes: Their names; empty where nobody knows them.
        floats: Whether it takes pixels from 0 to 1, not bytes.
    """

    where: str
    network: Any
    hash: str
    size: int
    classes: tuple[str, ...] = ()
    floats: bool = False

    def bank(
        self, sets: Mapping[str, Images], scores: Sequence[Any], *, into: Path | None = None
    ) -> FeatureBank:
        """Every set forwarded once, or taken from the bank that lies at `into`.

        Raises:
            UsageError: A bank of another model or of other pictures.
        """
        given = {name: self.inputs(images) for name, images in sets.items()}
        grams = Grams() if _needs_grams(scores) else None
        try:
            return FeatureBank.extract(self.network, given, into=into, grams=grams)
        except UsageError as wrong:
            raise UsageError(_banked(wrong, into)) from None

    def inputs(self, images: Images) -> Any:
        """Pixels as the network takes them, with the labels where there are some."""
        pixels: Any = images.inputs
        pixels = pixels.astype(np.float32) / 255 if self.floats else pixels
        tensor = torch.from_numpy(pixels)
        return tensor if images.labels is None else (tensor, torch.from_numpy(images.labels))

    def check_bank(self, into: Path) -> None:
        """Refuse a bank of another model before any picture is read.

        Raises:
            UsageError: So it is, or it is no bank.
        """
        if not (into / "bank.json").is_file():
            if into.exists() and (not into.is_dir() or any(into.iterdir())):
                raise UsageError(f"--bank {into} must be empty or a bank; it holds other things")
            return
        try:
            FeatureBank.open(into, model=self.network)
        except UsageError as wrong:
            raise UsageError(_banked(wrong, into)) from None


def load(where: str, device: torch.device, *, scores: Sequence[Any] = ()) -> Seer:
    """A classifier in a folder, or an ONNX file.

    Raises:
        UsageError: There is none, or its pictures have no one size; an ONNX file for a score of
            feature maps.
    """
    if Path(where).suffix == ".onnx":
        if _needs_grams(scores):
            raise UsageError("--score Gram looks at feature maps, which an ONNX file does not show")
        return _onnx(where)
    try:
        model = asked(load_classifier(where), scores).to(device)
    except UsageError as wrong:
        raise UsageError(f"--model {wrong}") from None
    about = model.about
    return Seer(where, model, model_hash(model), about.size, about.classes)


def asked(model: Classifier, scores: Sequence[Any]) -> Classifier:
    """The classifier with the logits that the scores look at; see `knowing`.

    Raises:
        UsageError: `extra_class` of a model that has none.
    """
    extra = [score for score in scores if score is extra_class]
    if not extra:
        return knowing(model)
    if not model.about.extra:
        raise UsageError("has no class for outliers, which extra_class scores; train it with NTOM")
    return model  # `judge` shows the other scores the known classes' logits alone


def knowing(model: Classifier) -> Classifier:
    """The classifier with the logits of the classes it knows, and no others.

    What NTOM teaches a class of its own gets less of the others' logits; the extra one would make
    an outlier look certain.
    """
    about = model.about
    if not about.extra:
        return model
    known, classes = deepcopy(model), len(about.classes)
    head = head_of(known)
    head.weight = nn.Parameter(head.weight.detach()[:classes].clone())
    if head.bias is not None:
        head.bias = nn.Parameter(head.bias.detach()[:classes].clone())
    head.out_features = classes
    known.about = replace(about, extra=0)
    return known


def _onnx(where: str) -> Seer:
    network = Onnx(where)
    inputs = network.session.get_inputs()
    shape = inputs[0].shape
    fixed = len(inputs) == 1 and len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]
    if not fixed or not isinstance(shape[2], int) or inputs[0].type not in (_BYTES, _FLOATS):
        raise UsageError(
            f"--model {where} must take pictures (rows, 3, size, size), bytes or floats of 0 to 1; "
            f"it takes {inputs[0].type} {shape}"
        )
    floats = inputs[0].type == _FLOATS
    return Seer(where, network, str(network.settings()["model"]), shape[2], floats=floats)


def _needs_grams(scores: Sequence[Any]) -> bool:
    return any("grams" in sees(score) for score in scores)


def _banked(wrong: UsageError, into: Path | None) -> str:
    said = str(wrong)
    if into is None:
        return said
    return re.sub(rf"(^|into=){re.escape(str(into))}(?=\s)", f"--bank {into}", said)
