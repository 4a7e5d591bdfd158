"""A classifier seen from outside: its last layer, and one pass that gives logits and features."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from limen._core.errors import UsageError, nearest

# What the classifier is called in torchvision, timm, transformers and most code beside them.
_NAMES = ("fc", "classifier", "head", "heads", "classification_head", "score", "linear")


class Seen(NamedTuple):
    """What one pass shows: the logits, and the features that the head made them of.

    Example:
        >>> logits, features = see(nn.Sequential(nn.ReLU(), nn.Linear(2, 3)), -torch.ones(1, 2))
        >>> tuple(logits.shape), features.abs().tolist()
        ((1, 3), [[0.0, 0.0]])
    """

    logits: Float[Tensor, "rows classes"]
    features: Float[Tensor, "rows width"]


def head_of(model: nn.Module, head: str | None = None) -> nn.Linear:
    """The linear layer that turns features into logits.

    It is the named one; else what timm's `get_classifier()` answers; else the last `nn.Linear`
    inside the submodule with a classifier's usual name (`fc`, `classifier`, `head`, ...); else the
    last `nn.Linear` registered.

    Args:
        model: Any classifier.
        head: The submodule's dotted name, where the rule finds another layer than the right one.

    Returns:
        The layer itself, not a copy.

    Raises:
        UsageError: There is no such submodule, it is not linear, or the model has no linear layer.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> head_of(model) is model[2], head_of(model, "0") is model[0]
        (True, True)
    """
    found = classifier(model, head)
    if found is None:
        kind = type(model).__name__
        raise UsageError(f"the model needs an nn.Linear that makes its logits; {kind} has none")
    if not isinstance(found, nn.Linear):
        what = "the model's get_classifier()" if head is None else f"head={head!r}"
        kind = type(found).__name__
        raise UsageError(f"{what} must be an nn.Linear and is {kind}; name another by head=")
    return found


def classifier(model: nn.Module, head: str | None = None) -> nn.Module | None:
    """The layer that `head_of` finds, linear or not; None where the model has no linear layer.

    Raises:
        UsageError: There is no submodule called `head`.
    """
    if isinstance(model, DistributedDataParallel):
        model = model.module
    if head is not None:
        return _named(model, head)
    timms: Any = getattr(model, "get_classifier", None)
    if callable(timms):
        found: nn.Module = timms()
        return found
    for part in [*(getattr(model, name, None) for name in _NAMES), model]:
        layers = _linears(part)
        if layers:
            return layers[-1]
    return None


def see(model: nn.Module, inputs: Tensor | Mapping[str, Any], *, head: str | None = None) -> Seen:
    """Logits and features from one pass, by `model(inputs)`; gradients flow where enabled.

    A hook catches what enters the head, so the model is called as its training loop calls it,
    sharded or not; of a compiled model the module inside is called. Where the head scores every
    token and the model keeps one row of them (decoder classifiers of transformers), the features
    are that token's.

    Args:
        model: Any classifier; it may return logits, an object or dict that holds them by that
            name, or a tuple that has them first.
        inputs: A batch, or a dict of keyword arguments.
        head: As for `head_of`.

    Returns:
        Logits (rows, classes) and features (rows, width); the features are the head's own input,
        not a copy.

    Raises:
        UsageError: `head_of`'s reasons; or the head took no part in the pass, or its shape is not
            that of logits.

    Example:
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
        >>> logits, features = see(model, torch.ones(2, 2, 2))
        >>> tuple(logits.shape), features.tolist()
        ((2, 3), [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    """
    return observed(model, inputs, layer=head_of(model, head))[0]


def observed(
    model: nn.Module, inputs: Tensor | Mapping[str, Any], *, layer: nn.Module
) -> tuple[Seen, Float[Tensor, "rows classes"]]:
    """One pass: what `see` returns, and what the layer itself answered for the same rows.

    The two differ where something stands between the layer and the model's answer.

    Raises:
        UsageError: As `see`.
    """
    model = getattr(model, "_orig_mod", model)  # compiled code does not call new hooks
    caught: list[tuple[Tensor, Tensor]] = []
    with hooked(layer, lambda entered, left: caught.append((entered, left))):
        logits = logits_of(called(model, inputs))
    if not caught:
        raise UsageError(
            f"the head {name_in(model, layer)!r} must take part in the model's pass and did not; "
            "name the right layer by head="
        )
    entered, left = caught[-1]
    if entered.dim() == 3 and left.shape[::2] == logits.shape:
        rows, token = torch.arange(len(logits), device=left.device), _token(left, logits)
        entered, left = entered[rows, token], left[rows, token]
    if entered.dim() != 2 or left.shape != logits.shape:
        raise UsageError(
            f"the head {name_in(model, layer)!r} must turn (rows, width) into logits of shape "
            f"{tuple(logits.shape)}; it turned {tuple(entered.shape)} into {tuple(left.shape)}; "
            "name the right layer by head="
        )
    return Seen(logits, entered), left


@contextmanager
def hooked(layer: nn.Module, tell: Callable[[Tensor, Tensor], None]) -> Iterator[None]:
    """For the block, `tell(input, output)` after every call of the layer."""
    hook = layer.register_forward_hook(lambda _, entered, left: tell(entered[0], left))
    try:
        yield
    finally:
        hook.remove()


def called(model: nn.Module, inputs: Tensor | Mapping[str, Any]) -> Any:
    """The model's answer to a batch: a dict is spread over its keyword arguments."""
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def logits_of(answer: Any) -> Tensor:
    """The logits in whatever a model answers.

    Raises:
        UsageError: There is no (rows, classes) tensor where logits belong.
    """
    found = getattr(answer, "logits", answer)
    if isinstance(found, Mapping):
        found = found.get("logits")
    if isinstance(found, tuple | list) and found:
        found = found[0]
    if not isinstance(found, Tensor) or found.dim() != 2:
        what = tuple(found.shape) if isinstance(found, Tensor) else type(answer).__name__
        raise UsageError(f"the model must answer with logits of shape (rows, classes), not {what}")
    return found


def name_in(model: nn.Module, layer: nn.Module) -> str:
    """The layer's dotted name in the model."""
    return next(name for name, found in model.named_modules() if found is layer)


def _named(model: nn.Module, head: str) -> nn.Module:
    layers = dict(model.named_modules())
    if head not in layers:
        close = nearest(head, [name for name, layer in layers.items() if _is_linear(layer)])
        raise UsageError(f"head={head!r} must name a submodule; the nearest linear ones: {close}")
    return layers[head]


def _linears(model: nn.Module | None) -> list[nn.Linear]:
    modules = model.modules() if isinstance(model, nn.Module) else ()
    return [layer for layer in modules if isinstance(layer, nn.Linear)]


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear)


def _token(scores: Tensor, logits: Tensor) -> Tensor:
    """Which token of each row the logits were taken from; the last where several are equal."""
    same = (scores == logits[:, None]).all(-1).int()
    return same.shape[1] - 1 - same.flip(1).argmax(1)
