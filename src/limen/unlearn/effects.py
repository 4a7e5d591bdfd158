"""What one step of an objective does to the risk of rows: the G-effect, before the step is taken.

A step `theta - lr v` along the objective's gradient v changes the risk R of a set of rows by
`-lr <gradient of R, v>` to first order. That inner product is the effect: negative, the risk
rises, which is wanted of what is to be forgotten and feared for what is to be kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from torch import nn

from limen._core.errors import UsageError, nearest
from limen.algebra.vector import ParamVector
from limen.measure.interval import Interval, bootstrap
from limen.unlearn.data import Source
from limen.unlearn.encode import require_fit
from limen.unlearn.risk import (
    answer_counts,
    gradient,
    moved_by_layers,
    moved_by_tokens,
    risk_gradient,
    together,
)
from limen.unlearn.step import Objective, Step
from limen.unlearn.task import Task
from limen.unlearn.tokens import collate

if TYPE_CHECKING:
    import transformers

METHODS = {"layer": ("ghost",), "row": ("ghost", "jvp"), "token": ("jvp",)}
"""How effects can be computed by each resolution; the first is the faster."""
BROKEN = "\N{REPLACEMENT CHARACTER}"
"""What stands for bytes that are no whole character."""
WINDOW = 32
"""Tokens decoded together: a long answer is not decoded anew for each of its tokens."""


@dataclass(frozen=True)
class Side:
    """Effects on one set of rows.

    Args:
        table: Effect on each row's risk, of each layer (or of all together).
        tokens: Answer tokens of each row, its weight in the set.
        risk: Each row's risk, in nats.
        norm: Length of the gradient of the set's risk; nan where nobody asked for it.

    Example:
        >>> side = Side(np.array([[1.0, 4.0]]), np.array([2, 1]), np.zeros(2))
        >>> side.layers, side.total  # (2 * 1 + 1 * 4) / 3
        (array([2.]), 2.0)
    """

    table: Float64[np.ndarray, "layers rows"]
    tokens: Int64[np.ndarray, " rows"]
    risk: Float64[np.ndarray, " rows"]
    norm: float = nan

    @property
    def rows(self) -> Float64[np.ndarray, " rows"]:
        """Effect on each row's risk."""
        return self.table.sum(0)

    @property
    def layers(self) -> Float64[np.ndarray, " layers"]:
        """Effect of each layer on the set's risk: over rows weighed by their tokens."""
        return self.table @ self.tokens / self.tokens.sum()

    @property
    def total(self) -> float:
        """Effect on the set's risk: the sum over layers."""
        return float(self.layers.sum())

    def interval(self, layer: int | None = None, *, seed: int = 0) -> Interval:
        """Where the effect on the population of such rows lies: 95 %, by bootstrap over rows.

        Args:
            layer: Position of a layer; None for the total.
            seed: Decides the draws.

        Returns:
            The interval, for this direction.
        """
        values = self.rows if layer is None else self.table[layer]

        def mean(rows: np.ndarray, axis: int) -> np.ndarray:
            chosen = rows.astype(int)
            weights = self.tokens[chosen]
            return (values[chosen] * weights).sum(axis) / weights.sum(axis)

        return bootstrap(np.arange(len(values)), mean, seed=seed)


@dataclass(frozen=True)
class Effects:
    """Effects of one direction on what is to be forgotten and on what is to be kept.

    Args:
        by: "layer", "row" or "token".
        names: Name of each value along the first axis: layers; or rows, first those to forget.
        forget: Effects on the rows to forget: (layers), (rows) or (rows, tokens); nan beyond a
            row's answer. Negative: the step raises the risk, that is, forgets.
        retain: Effects on the rows to keep, likewise; None without such rows.
        sides: Both sets in full, by "forget" and "retain".
        norm: Length of the direction.
        tokens: With by="token" each row's answer tokens as text, in the order of `names`; joined
            they are the answer. A character of several tokens stands with the last of them, and
            the others are empty.

    Example:
        >>> side = Side(np.array([[-3.0, -3.0]]), np.array([1, 1]), np.zeros(2), norm=2.0)
        >>> e = Effects("layer", ("norm",), side.layers, None, {"forget": side}, norm=3.0)
        >>> e.total, e.predicted(0.1), e.cosine
        ({'forget': -3.0}, {'forget': 0.30000000000000004}, {'forget': -0.5})
    """

    by: str
    names: tuple[str, ...]
    forget: Float64[np.ndarray, "..."]
    retain: Float64[np.ndarray, "..."] | None
    sides: Mapping[str, Side]
    norm: float
    tokens: tuple[tuple[str, ...], ...] = field(default=(), repr=False)

    @property
    def total(self) -> dict[str, float]:
        """Effect on each set's risk, its mean over all answer tokens."""
        return {name: side.total for name, side in self.sides.items()}

    @property
    def cosine(self) -> dict[str, float]:
        """Effects over both gradients' lengths, in [-1, 1]: comparable between objectives.

        Raises:
            UsageError: The lengths were not asked for.
        """
        if any(np.isnan(side.norm) for side in self.sides.values()):
            raise UsageError("cosine must be asked for: effects(..., cosine=True)")
        lengths = {name: side.norm * self.norm for name, side in self.sides.items()}
        return {name: e / lengths[name] if lengths[name] else 0.0 for name, e in self.total.items()}

    def predicted(self, lr: float) -> dict[str, float]:
        """Change of each set's risk that a step of plain descent makes, to first order: -lr e.

        Args:
            lr: Length of the step in units of the direction.
        """
        return {name: -lr * e for name, e in self.total.items()}


class PGEffects(NamedTuple):
    """What suppressing each forget row by itself does.

    Args:
        removal: `<gradient of the forget set's risk, gradient of log p(row)>`; the more negative,
            the more suppressing the row raises the risk of all rows to forget.
        retention: The same with the retain set's risk; the more negative, the more it harms.

    Example:
        >>> PGEffects(np.array([-2.0]), np.array([0.5])).removal
        array([-2.])
    """

    removal: Float64[np.ndarray, " rows"]
    retention: Float64[np.ndarray, " rows"]


def effects(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    *,
    objective: Objective | Step | ParamVector,
    forget: Source | Task,
    retain: Source | None = None,
    by: str = "layer",
    method: str | None = None,
    before: nn.Module | None = None,
    batch: int = 16,
    cosine: bool = False,
) -> Effects:
    """The G-effect of an objective: negative raises the risk, which is wanted of `forget` alone.

    `e(D) = <gradient of R(D), gradient of the objective>`, R being the mean negative
    log-likelihood of the answer tokens of D. By layer it is the exact share of each block (shares
    sum to e); by row and by token it is the effect on their own risk (over tokens the mean is e).
    The objective's gradient runs over all rows to forget; no gradient of a row or token is formed.

    Args:
        model: A causal language model, taken where it stands, in eval mode.
        tokenizer: Its tokenizer; None with a `Task`.
        objective: What would be descended: an objective; a `Step`, for the sum of its losses; or
            the direction itself, such as an optimiser's update.
        forget: Rows to forget, or a `Task` with both sets.
        retain: Rows to keep.
        by: "layer", "row" or "token".
        method: "ghost" (one forward, one backward to activations) or "jvp" (one forward on dual
            numbers); both give effects by row, where None takes the ghosts.
        before: The model before unlearning, for objectives with a reference; None takes `model`.
        batch: Rows in one pass, at least 1; the values do not depend on it.
        cosine: Also find the length of the risks' gradients, for one more backward of each set.

    Returns:
        The effects, the risks, and what follows from them.

    Raises:
        UsageError: Unknown `by`, a `method` that cannot give it, or rows that do not fit.

    Reference:
        Wang et al., Rethinking LLM Unlearning Objectives: A Gradient Perspective and Go Beyond,
        ICLR 2025. Departures: exact over whole sets instead of averages over micro-batches, all
        rows weighed by tokens, layers named one by one.

    Example:
        >>> from limen.unlearn import GA
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["a b"], vocabulary=260)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> rows = [{"prompt": "a", "response": " b a"}]
        >>> e = effects(model, tokenizer, objective=GA(), forget=rows, cosine=True)
        >>> round(e.cosine["forget"], 4)  # ascent runs against the risk's own gradient
        -1.0
    """
    ways = METHODS.get(by)
    if ways is None:
        raise UsageError(f"by={by!r} must be one of {nearest(by, METHODS)}")
    if method not in (None, *ways):
        raise UsageError(f"method={method!r} must be one of {', '.join(ways)} with by={by!r}")
    task = _task(tokenizer, forget, retain)
    require_fit(model, [*task.forget, *task.retain])
    along = _direction(model, objective, task, before=before, batch=batch)
    rows = {"forget": collate(task.forget)}
    if task.retain:
        rows["retain"] = collate(task.retain)
    sides: dict[str, Side] = {}
    fine: dict[str, np.ndarray] = {}
    layers: tuple[str, ...] = ()
    for name, tokens in rows.items():
        norm = risk_gradient(model, tokens, batch=batch).norm() if cosine else nan
        if (method or ways[0]) == "ghost":
            layers, table, risk = moved_by_layers(model, tokens, along, batch=batch)
        else:
            fine[name], each = moved_by_tokens(model, tokens, along, batch=batch)
            table, risk = np.nanmean(fine[name], 1)[None], np.nanmean(each, 1)
        sides[name] = Side(table, answer_counts(tokens), risk, norm)
    values = {name: _values(by, side, fine.get(name)) for name, side in sides.items()}
    return Effects(
        by,
        layers if by == "layer" else _row_names(task),
        values["forget"],
        values.get("retain"),
        sides,
        along.norm(),
        _texts(task) if by == "token" else (),
    )


def pg_effects(
    model: nn.Module,
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    *,
    forget: Source | Task,
    retain: Source | None = None,
    batch: int = 16,
) -> PGEffects:
    """What suppressing each forget row by itself would do to both sets; negative raises a risk.

    `e(s) = <gradient of R(D), gradient of log p(s)>` for each row s to forget, log p its mean over
    the answer's tokens: by the side of both risks, which rows are worth suppressing and which only
    harm. Two gradients of sets, then two passes over the rows to forget; no row's is formed.

    Args:
        model: A causal language model, taken where it stands, in eval mode.
        tokenizer: Its tokenizer; None with a `Task`.
        forget: Rows to forget, or a `Task` with both sets.
        retain: Rows to keep.
        batch: Rows in one pass, at least 1.

    Returns:
        Removal and retention, each one value for each row to forget.

    Raises:
        UsageError: No rows to keep, or rows that do not fit.

    Reference:
        Wang et al., Rethinking LLM Unlearning Objectives: A Gradient Perspective and Go Beyond,
        ICLR 2025 (the point-wise effect). Departure: log p is the mean over tokens, so that long
        rows do not weigh more.

    Example:
        >>> from limen.unlearn.toy import toy_model, toy_tokenizer
        >>> tokenizer = toy_tokenizer(["a b"], vocabulary=260)
        >>> model = toy_model(tokenizer, width=32, layers=1)
        >>> found = pg_effects(model, tokenizer, forget=[{"prompt": "a", "response": " b"}],
        ...                    retain=[{"prompt": "b", "response": " c"}])
        >>> bool(found.removal[0] < 0)  # the only row to forget: minus its gradient's square
        True
    """
    task = _task(tokenizer, forget, retain)
    if not task.retain:
        raise UsageError("retain must hold rows for the effect on retention; it has none")
    require_fit(model, [*task.forget, *task.retain])
    tokens = collate(task.forget)

    def effect(side: str) -> np.ndarray:
        along = risk_gradient(model, collate(getattr(task, side)), batch=batch)
        return -moved_by_layers(model, tokens, along, batch=batch, by=together).table[0]

    return PGEffects(effect("forget"), effect("retain"))


def _task(
    tokenizer: "transformers.PreTrainedTokenizerBase | None",
    forget: Source | Task,
    retain: Source | None,
) -> Task:
    if isinstance(forget, Task):
        if retain is not None:
            raise UsageError("retain must be left out with a Task, which has its own")
        return forget
    if tokenizer is None:
        raise UsageError("tokenizer=None needs a Task; pass the model's tokenizer")
    return Task(tokenizer, forget=forget, retain=retain)


def _direction(
    model: nn.Module,
    objective: Objective | Step | ParamVector,
    task: Task,
    *,
    before: nn.Module | None,
    batch: int,
) -> ParamVector:
    if isinstance(objective, ParamVector):
        return objective
    given = objective if isinstance(objective, Step) else Step(objective)
    weights = None if given.row_weight is None else given.row_weight.tolist()
    step = Step(given.forget, given.retain, weight=given.weight, row_weight=weights)
    step.prepare(model if before is None else before, task.batches(batch))
    return gradient(model, step, task, batch=batch, guards=isinstance(objective, Step))


def _values(by: str, side: Side, fine: np.ndarray | None) -> np.ndarray:
    if by == "layer":
        return side.layers
    return side.rows if fine is None or by == "row" else fine


def _row_names(task: Task) -> tuple[str, ...]:
    sides = {"forget": task.forget, "retain": task.retain}
    return tuple(f"{name} {item.row + 1}" for name, part in sides.items() for item in part)


def _texts(task: Task) -> tuple[tuple[str, ...], ...]:
    said = (item.ids[item.answer :] for item in [*task.forget, *task.retain])
    return tuple(_pieces(task.tokenizer, list(ids)) for ids in said)


def _pieces(tokenizer: "transformers.PreTrainedTokenizerBase", ids: list[int]) -> tuple[str, ...]:
    """What each token adds to the text; a character that is not whole yet waits for the rest."""

    def decoded(start: int, end: int) -> str:
        return str(tokenizer.decode(ids[start:end], clean_up_tokenization_spaces=False))

    whole, start, border, found = "", 0, 0, []
    for end in range(1, len(ids) + 1):
        text = decoded(start, end)
        ready = text if end == len(ids) else text.rstrip(BROKEN)
        found.append(ready[len(whole) :])
        whole = ready
        if ready == text:
            if end - start >= WINDOW:
                start = border  # whole characters before, so that the next token keeps its space
                whole = decoded(start, end)
            border = end
    return tuple(found)
