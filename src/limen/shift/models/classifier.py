"""Any ImageNet classifier as a model of `shift`."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.bank.network import called, head_of, logits_of, observed
from limen.bank.onnx import Onnx
from limen.measure._numbers import Numbers
from limen.shift.models.asking import asked, device_of, dtype_of, moved, quiet
from limen.shift.models.pixels import preparing


class Classifier:
    """A classifier of torch, torchvision, timm or transformers, or an ONNX file, asked for logits.

    Each photo passes once, in eval mode without gradients, on the model's own device and in its
    own precision; the model is left as it was. The preprocessing is the model's own: another crop
    or another mean is another model.

    Args:
        model: An `nn.Module` that answers with logits, or a path, bytes or session of ONNX.
        preprocess: A PIL image to pixels: `weights.transforms()` of torchvision, the image
            processor of transformers, any function. None: found for timm's models and `Lite0`;
            without one only arrays of prepared pixels are taken.
        columns: Which logits are the classes asked for, in their order, where the model has more
            or other ones (21,841 classes, or a background class before the 1,000); None: all.
        head: The layer whose input `embed` gives, where `limen.bank.head_of` finds a wrong one.
        workers: Threads that open photos.
        name: What tables call it; None: the class's name.

    Raises:
        UsageError: A preprocessing that is none, or columns that are not whole numbers from 0.

    Example:
        >>> import torch
        >>> model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), columns=[4, 0])
        >>> model.logits(torch.zeros(3, 3, 2, 2)).shape, model.embed(np.ones((1, 3, 2, 2))).shape
        ((3, 2), (1, 12))
    """

    def __init__(
        self,
        model: Any,
        *,
        preprocess: Any = None,
        columns: Numbers | None = None,
        head: str | None = None,
        workers: int = 1,
        name: str | None = None,
    ):
        self.model = model if isinstance(model, nn.Module) else Onnx(model)
        self.name = name or (
            type(model).__name__ if isinstance(model, nn.Module) else _title(model)
        )
        self.prepare = preparing(_own(model) if preprocess is None else preprocess)
        self.columns = None if columns is None else _whole(columns)
        self.head, self.workers = head, workers

    def logits(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows classes"]:
        """Rows of logits; the highest is the prediction.

        Args:
            images: Paths, PIL images, or an array of prepared pixels.
            batch: How many go through the network at once.

        Returns:
            float32.

        Raises:
            UsageError: A photo that cannot be read, an answer that is not finite logits, or fewer
                logits than `columns` asks for.
        """
        return self._asked(images, batch, wanted=("logits",))[0]

    def embed(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows width"]:
        """The features that the last linear layer reads.

        Args:
            images: Paths, PIL images, or an array of prepared pixels.
            batch: How many go through the network at once.

        Returns:
            float32.

        Raises:
            UsageError: As `logits`; or the model shows no features.
        """
        return self._asked(images, batch, wanted=("features",))[0]

    def both(
        self, images: Any, batch: int = 64
    ) -> tuple[Float[np.ndarray, "rows classes"], Float[np.ndarray, "rows width"]]:
        """Logits and features from one pass an image.

        Args:
            images: Paths, PIL images, or an array of prepared pixels.
            batch: How many go through the network at once.

        Returns:
            What `logits` and `embed` would.

        Raises:
            UsageError: As `embed`.
        """
        logits, features = self._asked(images, batch, wanted=("logits", "features"))
        return logits, features

    def _asked(self, images: Any, batch: int, *, wanted: tuple[str, ...]) -> tuple[Any, ...]:
        modules = [self.model] if isinstance(self.model, nn.Module) else []
        with quiet(modules):
            return asked(
                lambda pixels: tuple(map(self._answer(pixels, wanted).get, wanted)),
                images,
                prepare=self.prepare,
                size=batch,
                workers=self.workers,
                what=self.name,
            )

    def _answer(self, pixels: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(self.model, Onnx):
            found = self.model(pixels)
            if found.features is None and "features" in wanted:
                raise UsageError(f"{self.name} shows no features; add them to the ONNX outputs")
            return {"logits": self._kept(found.logits), "features": found.features}
        inputs = moved(pixels, device_of([self.model]), dtype_of([self.model]))
        if "features" not in wanted:  # works for models whose head is not one linear layer
            return {"logits": self._kept(logits_of(called(self.model, inputs)))}
        seen, _ = observed(self.model, inputs, layer=head_of(self.model, self.head))
        return {"logits": self._kept(seen.logits), "features": seen.features}

    def _kept(self, logits: Any) -> Any:
        if self.columns is None:
            return logits
        if logits.shape[1] <= self.columns.max():
            raise UsageError(
                f"columns asks for logit {self.columns.max()}, and {self.name} has "
                f"{logits.shape[1]}; they are counted from 0"
            )
        return logits[:, self.columns]


def _own(model: Any) -> Any:
    """The preprocessing that a model brings with it; None where it brings none."""
    from limen.shift.lite import Lite0, lite0_pixels

    if isinstance(model, Lite0):
        return lite0_pixels
    if isinstance(model, nn.Module) and getattr(model, "pretrained_cfg", None):
        data = require("timm.data", extra="vision")
        return data.create_transform(**data.resolve_model_data_config(model), is_training=False)
    return None


def _whole(columns: Numbers) -> np.ndarray:
    found = np.asarray(columns)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu" or found.min() < 0:
        raise UsageError(f"columns must be whole numbers from 0, one a class, got {columns!r}")
    return found


def _title(model: Any) -> str:
    return Path(model).stem if isinstance(model, str | Path) else "onnx"
