"""The risk of rows, their token-mean negative log-likelihood, and how it moves with the weights."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.algebra.effect import directional
from limen.algebra.modes import in_mode
from limen.algebra.shards import reshard
from limen.algebra.vector import ParamVector
from limen.train.ghost import ghost_products
from limen.train.losses import Back, Loss, in_order
from limen.unlearn.encode import Encoded
from limen.unlearn.pairing import Pair
from limen.unlearn.refusals import TURNS
from limen.unlearn.sights import logits_of
from limen.unlearn.step import Step
from limen.unlearn.task import Task
from limen.unlearn.tokens import Tokens, answer_log_probs, collate


class Moved(NamedTuple):
    """How the rows' risk moves along a vector.

    Args:
        names: Name of each group of parameters.
        table: Derivative of each row's risk, within each group of parameters.
        risk: Each row's risk, in nats.

    Example:
        >>> Moved(("norm",), np.ones((1, 3)), np.zeros(3)).table.shape
        (1, 3)
    """

    names: tuple[str, ...]
    table: Float64[np.ndarray, "groups rows"]
    risk: Float64[np.ndarray, " rows"]


def token_risks(model: nn.Module, tokens: Tokens) -> Float[Tensor, "rows answer"]:
    """Negative log-likelihood of each answer token, 0 beyond an answer; lower is better known."""
    return -answer_log_probs(logits_of(model, tokens), tokens)[0]


def row_risks(model: nn.Module, tokens: Tokens) -> Float[Tensor, " rows"]:
    """Mean negative log-likelihood of each row's answer tokens; lower is better known."""
    return token_risks(model, tokens).sum(1) / tokens.answer[:, 1:].sum(1)


def _total_risk(model: nn.Module, tokens: Tokens) -> Tensor:
    return token_risks(model, tokens).sum()


def answer_counts(tokens: Tokens) -> Int64[np.ndarray, " rows"]:
    """Answer tokens of each row."""
    return tokens.answer[:, 1:].sum(1).cpu().numpy()


def together(_name: str) -> str:
    """One group for all parameters."""
    return "all"


def risks_now(model: nn.Module, tokens: Tokens, *, batch: int) -> Float64[np.ndarray, " rows"]:
    """Each row's risk, in nats; the model in eval mode meanwhile."""
    found = np.empty(len(tokens))
    with in_mode(model, training=False), torch.no_grad():
        for rows, part in parts(model, tokens, batch=batch):
            found[rows] = _array(row_risks(model, part))
    reshard(model)
    return found


def moved_by_layers(
    model: nn.Module, tokens: Tokens, along: ParamVector, *, batch: int, by: Any = "layer"
) -> Moved:
    """Derivative of each row's risk along a vector, by groups of parameters: ghost products."""
    tables: dict[str, np.ndarray] = {name: np.empty(len(tokens)) for name in along.grouped(by)}
    risk = np.empty(len(tokens))
    with in_mode(model, training=False):
        for rows, part in parts(model, tokens, batch=batch):
            losses = partial(row_risks, tokens=part)
            found = ghost_products(model, losses, along, rows=len(part), by=by)
            risk[rows] = _array(found.losses)
            for name, products in zip(found.names, found.products, strict=True):
                tables[name][rows] = _array(products)
    return Moved(tuple(tables), np.stack(list(tables.values())), risk)


def moved_by_tokens(
    model: nn.Module, tokens: Tokens, along: ParamVector, *, batch: int
) -> tuple[Float64[np.ndarray, "rows answer"], Float64[np.ndarray, "rows answer"]]:
    """Derivative of each answer token's risk along a vector, and the risk; nan beyond an answer."""
    counts = answer_counts(tokens)
    slopes, risks = (np.full((len(tokens), counts.max()), np.nan) for _ in range(2))
    with in_mode(model, training=False):
        for rows, part in parts(model, tokens, batch=batch):
            both = directional(model, partial(token_risks, tokens=part), along)
            for row, level, slope in zip(rows, *map(_array, both), strict=True):
                risks[row, : counts[row]] = level[: counts[row]]
                slopes[row, : counts[row]] = slope[: counts[row]]
    return slopes, risks


def risk_gradient(model: nn.Module, tokens: Tokens, *, batch: int) -> ParamVector:
    """Gradient of a set's risk, the mean over its answer tokens, by micro-batches."""
    total = answer_counts(tokens).sum()

    def losses() -> Iterator[tuple[Loss, float]]:
        for _, part in parts(model, tokens, batch=batch):
            yield partial(_total_risk, model, part), 1 / total

    return _summed(model, losses())


def gradient(
    model: nn.Module, step: Step, task: Task, *, batch: int, guards: bool = False
) -> ParamVector:
    """Gradient of a step's losses, each over the whole of its set, by micro-batches.

    With `guards` the task's further sets to keep are losses too.

    Raises:
        UsageError: `batch` is below 1.
    """
    sides = {"forget": task.forget, "retain": task.retain, **(task.guards if guards else {})}
    cut = {name: _chunks(rows, batch) for name, rows in sides.items() if rows}
    device = next(model.parameters()).device

    def losses() -> Iterator[tuple[Loss, float]]:
        for name in in_order(step(model, _pair(task, cut, {}).to(device))):
            pairs = [_pair(task, cut, {name: chunk}).to(device) for chunk in cut[name]]
            counts = [step.weigh(pair)[name] for pair in pairs]
            for pair, count in zip(pairs, counts, strict=True):
                yield step(model, pair)[name], count / max(sum(counts), 1)

    return _summed(model, losses())


def _summed(model: nn.Module, losses: Iterator[tuple[Loss, float]]) -> ParamVector:
    """Gradient of a sum of weighted losses in eval mode; the model's own `.grad` is put back."""
    params = {name: p for name, p in model.named_parameters() if p.requires_grad}
    kept = {name: p.grad for name, p in params.items()}
    back = Back(model)
    try:
        for p in params.values():
            p.grad = None
        with in_mode(model, training=False), torch.enable_grad():
            for loss, share in losses:
                back(loss, share)
        return ParamVector.grads(params)
    finally:
        for name, p in params.items():
            p.grad = kept[name]


def parts(model: nn.Module, tokens: Tokens, *, batch: int) -> Iterator[tuple[list[int], Tokens]]:
    """Micro-batches of rows of like length, without needless padding, on the model's device.

    Yields:
        Positions of the rows in `tokens`, and the rows.

    Raises:
        UsageError: `batch` is below 1.
    """
    if batch < 1:
        raise UsageError(f"batch={batch} must be at least 1")
    device = next(model.parameters()).device
    lengths = tokens.attention.sum(1)
    order = lengths.argsort(stable=True)
    for rows in order.split(batch):
        longest = int(lengths[rows].max())
        wide = (tokens.ids, tokens.attention, tokens.answer)
        ids, attention, answer = (field[rows, :longest] for field in wide)
        yield rows.tolist(), Tokens(ids, attention, answer, tokens.row[rows]).to(device)


def _chunks(rows: Sequence[Encoded], batch: int) -> list[Tokens]:
    if batch < 1:
        raise UsageError(f"batch={batch} must be at least 1")
    return [collate(rows[start : start + batch]) for start in range(0, len(rows), batch)]


def _pair(task: Task, cut: dict[str, list[Tokens]], chosen: dict[str, Tokens]) -> Pair:
    """The chosen rows of a side, beside the first ones of all others."""
    kept = {name: chunks[0] for name, chunks in cut.items()} | chosen
    forget = kept.pop("forget")

    def refusals() -> Tokens:
        return collate([task.refusals[row * TURNS] for row in forget.row.tolist()])

    return Pair(forget, kept.pop("retain", None), kept, refusals)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()
