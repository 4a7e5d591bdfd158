"""What a run will need, told before it starts."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from limen._core.errors import UsageError, WorkError, nearest
from limen.algebra.modes import in_mode
from limen.unlearn.activation_checkpointing import activation_checkpointing

STATES = {"adamw": 2, "sgd": 0}
"""Copies of the trained weights that an optimiser keeps."""
MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes at the worst moment of a training step, by what they hold; lower is cheaper.

    What lasts, and on top of it the larger of what a pass over the data needs (activations and
    logits) and of what is held only while the weights move; those two never meet.

    Attributes:
        weights: Parameters and buffers.
        gradients: Of the trained weights.
        optimiser: Its state.
        surgery: An average of each guard's gradient.
        reference: The trained weights before unlearning.
        activations: Of one micro-batch forward and backward.
        logits: The same, of what is as wide as the vocabulary.
        moving: Copies of the trained weights while the optimiser steps or the reference stands in.

    Example:
        >>> found = MemoryEstimate(weights=2**30, gradients=2**29, logits=2**28, moving=2**27)
        >>> print(found)
        about 1.75 GiB: weights 1.00, gradients 0.50 + logits 0.25
    """

    weights: int = 0
    gradients: int = 0
    optimiser: int = 0
    surgery: int = 0
    reference: int = 0
    activations: int = 0
    logits: int = 0
    moving: int = 0

    @property
    def total(self) -> int:
        """What has to fit at once."""
        return sum(self._lasting().values()) + sum(self._passing().values())

    def __str__(self) -> str:
        unit, word = (2**30, "GiB") if self.total >= 2**30 else (2**20, "MiB")
        lasting, passing = (
            ", ".join(f"{name} {size / unit:.2f}" for name, size in part.items() if size)
            for part in (self._lasting(), self._passing())
        )
        return f"about {self.total / unit:.2f} {word}: {lasting} + {passing}"

    def _lasting(self) -> dict[str, int]:
        names = ("weights", "gradients", "optimiser", "surgery", "reference")
        return {name: getattr(self, name) for name in names}

    def _passing(self) -> dict[str, int]:
        if self.moving > self.activations + self.logits:
            return {"moving": self.moving}
        return {"activations": self.activations, "logits": self.logits}


def memory_estimate(
    model: nn.Module,
    *,
    rows: int,
    length: int,
    optimizer: str = "adamw",
    rectify: bool = False,
    guards: int = 1,
    on: str = "gradient",
    reference: bool = False,
    mixed: str | None = None,
    checkpointing: bool = False,
) -> MemoryEstimate:
    """Memory of a training step at its worst moment, without taking one; lower is cheaper.

    What lasts is counted: weights, gradients, optimiser, averages. What comes and goes is played
    through: a forward and a backward pass on tensors that have a shape and no content, whose
    sizes are added up as they live and die. So it knows no architecture by name, and needs neither
    the memory nor the time of a step; where torch cannot play an operation without content (experts
    in one grouped product, in types that it does not know), there is no estimate. Every token
    counts as one of an answer, which makes it an upper bound; fragments and what the device itself
    needs come on top.

    Args:
        model: A causal language model; what is frozen in it is not trained. Stays as it is.
        rows: Rows of a micro-batch, at least 1.
        length: Tokens of the longest row, prompt included, at least 2.
        optimizer: "adamw" or "sgd".
        rectify: Whether surgery is done.
        guards: How many losses it guards, at least 1.
        on: "gradient" or "update", as for `Rectify`.
        reference: Whether a loss looks at the whole model before (KL, RMU, UNDIAL).
        mixed: "bf16" or "fp16" for autocast over the weights' own type.
        checkpointing: Whether activations are computed twice.

    Returns:
        The bytes, by what they hold; `print` shows one line in GiB. On one process: when the model
        is sharded, all but activations and logits are divided.

    Raises:
        UsageError: A value out of range.
        WorkError: The pass cannot be played through.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> model = toy_model(toy_tokenizer(["a b"], vocabulary=260), width=32, layers=1)
        >>> found = memory_estimate(model, rows=2, length=8, rectify=True)
        >>> found.gradients == 4 * 21664, found.optimiser == 8 * 21664, found.surgery == 4 * 21664
        (True, True, True)
        >>> memory_estimate(model, rows=4, length=8).logits > found.logits
        True
    """
    _check(rows=rows, length=length, guards=guards, optimizer=optimizer, on=on, mixed=mixed)
    trained = [p for p in model.parameters() if p.requires_grad]
    size = sum(p.nbytes for p in trained)
    wide = sum(p.numel() * max(4, p.element_size()) for p in trained)
    at_once = optimizer == "adamw" and any(p.is_cuda for p in trained)  # all tensors together
    stepping = size * (at_once + (rectify and on == "update"))
    with activation_checkpointing(model) if checkpointing else nullcontext():
        try:
            played = _played(model, rows=rows, length=length, mixed=mixed)
        except (RuntimeError, TypeError, ValueError) as unknown:
            why = (str(unknown).splitlines() or [type(unknown).__name__])[0].rstrip(".")
            raise WorkError(
                f"memory cannot be estimated for {type(model).__name__}: {why}"
            ) from unknown
    return MemoryEstimate(
        weights=sum(t.nbytes for t in (*model.parameters(), *model.buffers())),
        gradients=size,
        optimiser=STATES[optimizer] * size,
        surgery=guards * wide if rectify else 0,
        reference=size if reference else 0,
        activations=played.peak - played.logits,
        logits=played.logits,
        moving=max(stepping, size if reference else 0),
    )


class _Living(TorchDispatchMode):
    """The most bytes that tensors made inside have held at once, and how much of it was logits."""

    def __init__(self, logits: frozenset[int]):
        super().__init__()
        self.sizes = logits
        self.live: dict[int, tuple[StorageWeakRef, int, bool]] = {}
        self.peak = self.logits = 0

    def __torch_dispatch__(  # noqa: PLR0917  torch's order
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        made = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and _key(leaf) not in given:
                storage = leaf.untyped_storage()
                self.live[_key(leaf)] = (
                    StorageWeakRef(storage), storage.nbytes(), leaf.numel() in self.sizes,
                )  # fmt: skip
        self.live = {key: held for key, held in self.live.items() if not held[0].expired()}
        now = sum(size for _, size, _ in self.live.values())
        if now > self.peak:
            self.peak = now
            self.logits = sum(size for _, size, wide in self.live.values() if wide)
        return made


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Pass(nn.Module):
    """A forward and a backward pass: both within, where the model has its empty weights."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mixed: str | None) -> None:
        """The token-mean NLL of `ids`, and its gradients."""
        with torch.autocast("cpu", MIXED[mixed]) if mixed else nullcontext():
            logits = self.model(input_ids=ids, use_cache=False).logits
            said = logits[:, :-1].flatten(0, 1)
            del logits
            loss = functional.cross_entropy(said.float(), ids[:, 1:].flatten())
            del said
        loss.backward()


def _played(model: nn.Module, *, rows: int, length: int, mixed: str | None) -> _Living:
    """A pass on tensors without content, whose gradients die at once."""
    vocabulary = int(model.config.vocab_size)  # type: ignore[union-attr, arg-type]
    sizes = frozenset(rows * n * vocabulary for n in (length, length - 1))
    once = _Pass(model)
    with _silent(), FakeTensorMode(), in_mode(once, training=True):
        empty = _empty(once)
        ids = torch.zeros(rows, length, dtype=torch.int64)
        with _Living(sizes) as living:
            torch.func.functional_call(once, empty, (ids, mixed))
    return living


@contextmanager
def _silent() -> Iterator[None]:
    """Without torch's own account of an operation that it cannot play: it is raised as well."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _empty(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers without content; a gradient is dropped as soon as it is there."""
    found: dict[str, Tensor] = {}
    for name, p in model.named_parameters():
        found[name] = nn.Parameter(torch.empty(p.shape, dtype=p.dtype), p.requires_grad)
        if p.requires_grad:
            found[name].register_post_accumulate_grad_hook(_drop)
    for name, buffer in model.named_buffers():
        found[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return found


def _drop(parameter: Tensor) -> None:
    parameter.grad = None


def _check(*, rows: int, length: int, guards: int, **words: str | None) -> None:
    for name, value, least in (("rows", rows, 1), ("length", length, 2), ("guards", guards, 1)):
        if value < least:
            raise UsageError(f"{name}={value} must be at least {least}")
    allowed = {"optimizer": [*STATES], "on": ["gradient", "update"], "mixed": [*MIXED]}
    for name, known in allowed.items():
        word = words[name]
        if word not in known and not (name == "mixed" and word is None):
            raise UsageError(
                f"{name}={word!r} must be one of {', '.join(known)}; nearest: "
                f"{nearest(str(word), known, count=1)}"
            )
