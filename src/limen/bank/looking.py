"""Networks as a bank asks them: a batch in, logits and features out, nothing left changed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from limen.algebra.modes import in_mode
from limen.bank.content import model_hash
from limen.bank.grams import Grams
from limen.bank.network import called, classifier, logits_of, name_in, observed


class Answer(NamedTuple):
    """One batch's arrays, float32, on the CPU."""

    logits: np.ndarray | None
    features: np.ndarray | None
    grams: np.ndarray | None


@runtime_checkable
class Looking(Protocol):
    """What a bank needs of a network."""

    weight: np.ndarray | None
    bias: np.ndarray | None
    layers: tuple[int, ...]

    def settings(self) -> dict[str, Any]:
        """Everything that decides the arrays, beside the data; JSON values."""

    def ready(self) -> Any:
        """A context: inside it the network may be asked."""

    def __call__(self, inputs: Any) -> Answer:
        """One pass."""


class TorchLooking:
    """A torch network, looked at in eval mode without gradients, on its own device.

    Args:
        model: Any classifier, or an encoder that ends in `nn.Identity`.
        head: As for `head_of`; a submodule that is not linear gives features without a weight.
        grams: The statistics to keep.
        dtype: Autocast to this type; None: as the weights are.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        head: str | None = None,
        grams: Grams | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.model, self.grams, self.dtype = model, grams, dtype
        self.head = classifier(model, head)
        self.layers: tuple[int, ...] = ()
        self.weight: np.ndarray | None = None
        self.bias: np.ndarray | None = None
        if isinstance(self.head, nn.Linear):
            bias = self.head.bias
            self.weight = _array(self.head.weight)
            self.bias = None if bias is None else _array(bias)
        first = next(iter([*model.parameters(), *model.buffers()]), None)
        self.device = torch.device("cpu") if first is None else first.device
        self._checked = False
        self._caught: list[Tensor] = []

    def settings(self) -> dict[str, Any]:
        """Model, head, statistics and precision."""
        grams = self.grams
        return {
            "model": model_hash(self.model),
            "head": None if self.head is None else name_in(self.model, self.head),
            "powers": None if grams is None else list(grams.powers),
            "maps": None if grams is None or grams.layers is None else list(grams.layers),
            "dtype": None if self.dtype is None else str(self.dtype),
        }

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Eval mode and no gradients; afterwards every module has its own mode back."""
        grams = self.grams
        catching: Any = nullcontext([]) if grams is None else grams.caught(self.model)
        with in_mode(self.model, training=False), torch.no_grad(), catching as self._caught:
            yield

    def __call__(self, inputs: Any) -> Answer:
        """One pass, inside `ready`."""
        inputs = _moved(inputs, self.device)
        self._caught.clear()
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            logits, features = self._seen(inputs)
        self.layers = tuple(part.shape[1] for part in self._caught)
        grams = _array(torch.cat(self._caught, dim=1)) if self._caught else None
        return Answer(_array(logits), _array(features), grams)

    def _seen(self, inputs: Any) -> tuple[Tensor | None, Tensor | None]:
        if self.head is None:
            return logits_of(called(self.model, inputs)), None
        (logits, features), left = observed(self.model, inputs, layer=self.head)
        if isinstance(self.head, nn.Identity):
            return None, features
        if not self._checked and not torch.equal(left.float(), logits.float()):
            self.weight = self.bias = None  # something follows the head: logits are not linear
        self._checked = True
        return logits, features


def _moved(inputs: Any, device: torch.device) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _moved(value, device) for name, value in inputs.items()}
    return inputs.to(device, non_blocking=True) if isinstance(inputs, Tensor) else inputs


def _array(tensor: Tensor | None) -> Any:
    # Copied where float() and cpu() did not: a model may answer with a view of its own buffer.
    if tensor is None:
        return None
    return tensor.detach().float().cpu().numpy().copy()
