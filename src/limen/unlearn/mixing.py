"""Models between the one before and the one after, and what each of them still knows."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.blend import blend
from limen.algebra.shifted import placed
from limen.run.progress import progress, say
from limen.unlearn.scores.one_pass import Recall, recall

Before = nn.Module | Mapping[str, Tensor] | str | Path | None


@dataclass
class Mixing:
    """A model that can stand anywhere between two checkpoints, and remembers what it scored.

    Weight 0 is the model before, weight 1 the model after. Each weight is scored once.

    Args:
        model: The model after; it is moved for scoring and put back exactly.
        before: Named parameters of the model before; None scales a LoRA adapter instead, which
            mixes the same weights without a copy of them.
        task: Rows to score.
        batch: Rows in a forward pass.

    Example:
        >>> mixing = Mixing(nn.Linear(1, 1, bias=False), {"weight": torch.zeros(1, 1)}, task=None)
        >>> with mixing.at(0.0):
        ...     mixing.model.weight.item()
        0.0
    """

    model: nn.Module
    before: Mapping[str, Tensor] | None
    task: Any
    batch: int = 16
    seen: dict[float, tuple[Recall, Recall]] = field(default_factory=dict)

    def at(self, weight: float) -> AbstractContextManager[None]:
        """Inside the block the model stands at this weight."""
        if self.before is None:
            return _adapter_scaled(self.model, weight)
        params = dict(self.model.named_parameters())
        after = {name: params[name].detach() for name in self.before}
        before = {name: _beside(value, after[name]) for name, value in self.before.items()}
        return placed(self.model, blend(before, after, weight))

    def score(self, weight: float) -> tuple[Recall, Recall]:
        """Scores of the forget rows and of the retain rows at this weight."""
        if weight not in self.seen:
            with self.at(weight):
                self.seen[weight] = tuple(  # type: ignore[assignment]
                    recall(self.model, None, rows, batch=self.batch)
                    for rows in (self.task.forget, self.task.retain)
                )
        return self.seen[weight]

    def kept(self, weight: float) -> float:
        """Mean extraction strength of the retain rows."""
        return _mean(self.score(weight)[1])

    def remembered(self, weight: float) -> float:
        """Mean extraction strength of the forget rows."""
        return _mean(self.score(weight)[0])

    @torch.no_grad()
    def settle(self, weight: float) -> None:
        """Leave the model at this weight for good; what was scored no longer holds."""
        self.seen.clear()
        if self.before is None:
            for layer, name in _adapters(self.model):
                layer.lora_B[name].weight.mul_(weight)
            return
        with self.at(weight):
            params = dict(self.model.named_parameters())
            chosen = {name: params[name].detach().clone() for name in self.before}
        for name, value in chosen.items():
            params[name].copy_(value)


def require_knowledge(mixing: Mixing) -> None:
    """Refuse a model before that knows nothing of one of the sets: shares of it mean nothing.

    Raises:
        UsageError: So it is.
    """
    for side, value in (("retain", mixing.kept(0.0)), ("forget", mixing.remembered(0.0))):
        if not value > 0:
            raise UsageError(
                f"the model before must know the {side} rows to some degree; its extraction "
                f"strength on them is {value}: nothing can be compared"
            )


def search(mixing: Mixing, *, keep: float, tolerance: float, grid: int) -> None:
    """Score the weights that decide: both ends, a coarse grid, and a bisection.

    The bisection assumes that knowledge kept falls with the weight; the grid catches the cases
    in which it does not.

    Args:
        mixing: What to score; the results stay in `mixing.seen`.
        keep: Share of the retain rows' extraction strength to keep.
        tolerance: Width at which the bisection stops.
        grid: Number of evenly spaced weights to score, ends included.

    Raises:
        UsageError: The model before knows nothing of one of the sets, a tolerance that is not
            positive, or fewer than two weights.
    """
    if not tolerance > 0 or grid < 2:
        raise UsageError(f"tolerance={tolerance} must be above 0, and grid={grid} at least 2")
    require_knowledge(mixing)
    bar = keep * mixing.kept(0.0) - 1e-12
    weights = np.linspace(0.0, 1.0, grid).tolist()
    halvings = max(0, ceil(log2(weights[1] / tolerance)))
    with progress("calibrating", total=len(weights) + halvings) as advance:
        for weight in weights:
            mixing.score(weight)
            advance(note=f"weight {weight:.2f}")
        low = max(weight for weight in weights if mixing.kept(weight) >= bar)
        short = [weight for weight in weights if weight < low and mixing.kept(weight) < bar]
        if short:
            say(
                f"retention does not fall steadily: weight {short[0]:.2f} keeps too little, "
                f"{low:.2f} enough; read the whole curve"
            )
        high = min((weight for weight in weights if weight > low), default=low)
        for _ in range(halvings):
            if high - low > tolerance:
                middle = (low + high) / 2
                low, high = (middle, high) if mixing.kept(middle) >= bar else (low, middle)
            advance(note=f"weight {low:.3f}")


def weights_of(before: Before, model: nn.Module) -> Mapping[str, Tensor] | None:
    """The parameters of the model before that belong to `model`, by name.

    None where scaling the adapter of `model` leads back to it: nothing was given, or the very
    weights that the adapter lies on.

    Raises:
        UsageError: They do not fit the model, or nothing was given and no adapter's scale leads
            back to the model before.
    """
    if before is None:
        _require_scalable(model)
        return None
    if isinstance(before, str | Path):
        from limen.unlearn.models import load_model

        before = load_model(before)
    if isinstance(before, nn.Module) and _adapters(model) and not _adapters(before):
        _require_base(model, before)
        return None
    params = dict(model.named_parameters())
    needed = {name for name, p in params.items() if p.requires_grad}
    if isinstance(before, nn.Module):
        before = {name: p.detach() for name, p in before.named_parameters()}
        needed = set(params)
    unknown = sorted(set(before) - set(params))[:3]
    missing = sorted(needed - set(before))[:3]
    if unknown or missing:
        raise UsageError(
            f"before must be the same model at other weights; {unknown or missing} "
            f"{'are not in' if unknown else 'are missing for'} the model after"
        )
    for name, value in before.items():
        if value.shape != params[name].shape:
            raise UsageError(
                f"before must have the shapes of the model after; {name} is "
                f"{tuple(value.shape)} there and {tuple(params[name].shape)} here"
            )
    return before


def _mean(scores: Recall) -> float:
    """Over the rows that have an answer; nan where none has."""
    known = scores.extraction_strength[scores.tokens > 0]
    return float(known.mean()) if known.size else float("nan")


def _beside(value: Tensor, other: Tensor) -> Tensor:
    """On the other's device, and not narrower: `blend` answers in the type of its first."""
    return value.to(other.device, torch.promote_types(value.dtype, other.dtype))


def _require_base(model: nn.Module, before: nn.Module) -> None:
    """Without its adapter the model must be the one before; then the adapter can be scaled.

    Raises:
        UsageError: It is another, or more than an adapter was trained.
    """
    base = {
        name.removeprefix("base_model.model.").replace(".base_layer.", "."): p
        for name, p in model.named_parameters()
        if not {"lora_A", "lora_B"} & set(name.split("."))
    }
    known = dict(before.named_parameters())
    if base.keys() != known.keys() or not all(
        p.shape == known[name].shape and torch.equal(p, known[name].to(p))
        for name, p in base.items()
    ):
        raise UsageError(
            "before must be the model that the adapter lies on; its weights are others: merge the "
            "adapter first (save_model does), then all weights are mixed"
        )
    _require_scalable(model)


def _require_scalable(model: nn.Module) -> None:
    """Scaling mixes weights only where LoRA matrices, and nothing else, were trained.

    Raises:
        UsageError: It is not so.
    """
    layers = [layer for layer, _ in _adapters(model)]
    if not layers:
        raise UsageError("before=None needs a LoRA model, whose adapter is scaled; give before")
    if any(layer.merged for layer in layers):
        raise UsageError("before=None needs an adapter that is not merged; unmerge it first")
    others = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and not {"lora_A", "lora_B"} & set(name.split("."))
    ]
    if others:
        raise UsageError(
            f"before=None needs a model of which only LoRA matrices train; {others[0]} does too: "
            "give before"
        )


def _adapters(model: nn.Module) -> list[tuple[Any, str]]:
    """Every LoRA layer with the name of each of its adapters."""
    modules: list[Any] = list(model.modules())
    layers = [m for m in modules if hasattr(m, "lora_B") and hasattr(m, "scaling")]
    return [(layer, name) for layer in layers for name in layer.scaling if name in layer.lora_B]


@contextmanager
def _adapter_scaled(model: nn.Module, weight: float) -> Iterator[None]:
    kept = [(layer, name, layer.scaling[name]) for layer, name in _adapters(model)]
    try:
        for layer, name, scale in kept:
            layer.scaling[name] = scale * weight
        yield
    finally:
        for layer, name, scale in kept:
            layer.scaling[name] = scale
