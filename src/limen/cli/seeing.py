"""The models that `limen shift counter` asks: a name, a folder or a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limen._core.errors import UsageError
from limen.cli import seeing_folders, seeing_libraries, seeing_onnx
from limen.shift.lite import lite0, lite0_pixels
from limen.shift.lite_pair import lite_pair
from limen.shift.models.classifier import Classifier
from limen.shift.models.embeddings import Embeddings

_SAVED = (".npz", ".safetensors")
_OWN = ("lite0", "lite-pair")


def saved(told: str, *, option: str) -> Embeddings:
    """Saved embeddings, called after their file.

    Raises:
        UsageError: They cannot be read, or are no embeddings of one pair.
    """
    try:
        found = Embeddings.read(told)
    except UsageError as wrong:
        where = "" if str(wrong).startswith(told) else f" {told}:"
        raise UsageError(f"{option}{where} {wrong}") from None
    found.name = Path(told).stem
    return found


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How the command line names a model.

    Attributes:
        told: A name, a folder or a file.
        device: Where a network shall stand.
        weights: A file of a network's weights, or "hub"; None: none was given.
        pixels: What an ONNX network's pixels are; None: not told.
        size: Side of its pictures; None: as the file says.
        names: Of the classes; None: not told.
        option: Which option named it.
    """

    told: str
    device: torch.device
    weights: str | None = None
    pixels: str | None = None
    size: int | None = None
    names: list[str] | None = None
    option: str = "--model"

    def model(self) -> Any:
        """The model itself.

        Raises:
            UsageError: There is none of that name, it cannot be read, or an option is missing.
        """
        path, named = Path(self.told), f"{self.option} {self.told}"
        known = self.told in _OWN or path.exists()
        if known and self.weights is not None:
            own = seeing_libraries.weights_option(self.option)
            raise UsageError(
                f"{own} is for the name of a network of torchvision or timm; {named} has its own"
            )
        if self.told in _OWN:
            return self._own()
        if path.is_dir():
            return seeing_folders.model(path, self.names, device=self.device, option=self.option)
        if path.suffix == ".onnx":
            return seeing_onnx.model(path, pixels=self.pixels, size=self.size, option=self.option)
        if path.is_file() and path.suffix in _SAVED:
            return saved(self.told, option=self.option)
        if path.is_file():
            raise UsageError(
                f"{named} must be a folder, saved embeddings (.npz, .safetensors) or an .onnx "
                "file; it is another file"
            )
        if path.suffix in _SAVED or "/" in self.told:
            raise UsageError(f"{named} must be a file or folder here; there is none")
        return seeing_libraries.model(
            self.told, self.weights, device=self.device, option=self.option, others=_OWN
        )

    def _own(self) -> Any:
        if self.told == "lite0":
            network = lite0().to(self.device)
            return Classifier(network, preprocess=lite0_pixels, name="EfficientNet-Lite0")
        if self.names is None:
            raise UsageError(
                f"{self.option} lite-pair needs --labels, the names of the 1,000 classes"
            )
        return lite_pair(self.names).zero_shot(self.names)
