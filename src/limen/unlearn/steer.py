"""Act on effects before training: leave out what would cost more than it removes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import nn

from limen._core.errors import UsageError
from limen.algebra.vector import ParamVector
from limen.unlearn.effects import effects, pg_effects
from limen.unlearn.step import Objective
from limen.unlearn.task import Task

HOW = ("drop", "weigh", "freeze")


@dataclass(frozen=True)
class Steer:
    """Use the G-effect once, before the first step.

    A forget row's harm is how fast the retain rows' risk rises when that row is suppressed, the
    negative of its retaining PG-effect; its use is how fast the forget rows' risk rises. A layer's
    harm is the same for the objective's gradient in that layer. What does no harm is never touched.

    Args:
        how: "drop" leaves out the most harmful rows; "weigh" gives every row the weight
            use / (use + harm), scaled to mean 1 (rows that do harm and are of no use get 0);
            "freeze" holds the most harmful layers still.
        share: Share of the rows or layers that is dropped or frozen at most, in (0, 1), rounded
            down but to one at least; not used by "weigh".

    Raises:
        UsageError: A value out of range.

    Reference:
        PG-effects: Wang et al., Rethinking LLM Unlearning Objectives, ICLR 2025. What is done
        with them here is ours; the paper only looks at them.

    Example:
        >>> Steer("drop").rows(np.array([[-4.0, -1.0], [-4.0, 1.0], [-1.0, -2.0], [-1.0, 0.0]]))
        array([1., 1., 0., 1.])
    """

    how: str = "drop"
    share: float = 0.25

    def __post_init__(self) -> None:
        if self.how not in HOW:
            raise UsageError(f"how={self.how!r} must be one of {', '.join(HOW)}")
        if not 0 < self.share < 1:
            raise UsageError(f"share={self.share} must lie between 0 and 1")

    def rows(self, found: np.ndarray) -> np.ndarray:
        """Weight of each forget row.

        Args:
            found: PG-effects, (rows, 2): on the forget rows' risk and on the retain rows'.

        Returns:
            With "drop" 0 or 1; with "weigh" weights of mean 1, all 1 where no row is of use.
        """
        use, harm = np.maximum(-found[:, 0], 0), np.maximum(-found[:, 1], 0)
        if self.how == "drop":
            return _spared(harm, self.share).astype(float)
        weights = np.divide(use, use + harm, out=np.ones_like(use), where=use + harm > 0)
        return weights / weights.mean() if weights.any() else np.ones_like(weights)

    def layers(self, names: list[str], retain: np.ndarray) -> list[str]:
        """The layers to freeze.

        Args:
            names: Every layer that trains, at least two.
            retain: Effect of the objective's gradient on the retain rows' risk, by layer; negative
                where a step along it does harm.

        Raises:
            UsageError: There is one layer; frozen, it would leave none.
        """
        if len(names) < 2:
            raise UsageError(
                f"how={self.how!r} needs two layers that train, to leave one; there is "
                f"{', '.join(names) or 'none'}"
            )
        spared = _spared(np.maximum(-retain, 0), self.share)
        return [name for name, kept in zip(names, spared, strict=True) if not kept]

    def check(self, task: Task) -> None:
        """Refuse a task that leaves nothing to measure or nothing to train on.

        Raises:
            UsageError: No retain rows, or a single forget row where rows are dropped or weighed.
        """
        if not task.retain:
            raise UsageError(f"{self} needs retain rows, to measure harm; the task has none")
        if self.how != "freeze" and len(task.forget) < 2:
            raise UsageError(
                f"how={self.how!r} needs two rows to forget, to prefer one; there is one: take "
                "'freeze'"
            )


def _spared(harm: np.ndarray, share: float) -> np.ndarray:
    """True but for the most harmful `share`, one at least; never for what does no harm."""
    # 0.29 * 100 is a little less than 29.
    worst = np.argsort(-harm, kind="stable")[: max(1, int(share * len(harm) + 1e-9))]
    spared = np.ones(len(harm), dtype=bool)
    spared[worst[harm[worst] > 0]] = False
    return spared


@dataclass(frozen=True)
class Course:
    """What a steer came to on one model and task.

    Args:
        task: The task, without the rows that were dropped.
        row_weight: Weight of each forget row; None where all count alike.
        frozen: Layers to hold still.

    Example:
        >>> Course.__dataclass_fields__["frozen"].default
        ()
    """

    task: Task
    row_weight: tuple[float, ...] | None = None
    frozen: tuple[str, ...] = ()


def course(steer: Steer | None, model: nn.Module, task: Task, *, objective: Objective) -> Course:
    """Measure the effects that a steer needs, and decide.

    Args:
        steer: What to do; None does nothing.
        model: The model before unlearning.
        task: Its rows.
        objective: The loss on the forget rows.

    Returns:
        The task to train on, weights of its rows, and layers to freeze.

    Raises:
        UsageError: As `Steer.check`, or there is one layer to freeze.
    """
    if steer is None:
        return Course(task)
    steer.check(task)
    if steer.how == "freeze":
        found = effects(model, None, objective=objective, forget=task, by="layer")
        harm = found.sides["retain"].layers
        return Course(task, frozen=tuple(steer.layers(list(found.names), harm)))
    weights = steer.rows(np.stack(pg_effects(model, None, forget=task), 1))
    if steer.how == "drop":
        out = [int(i) for i in np.flatnonzero(weights == 0)]
        return Course(task.without(out) if out else task)
    return Course(task, row_weight=tuple(weights.tolist()))


@contextmanager
def held_still(model: nn.Module, layers: tuple[str, ...]) -> Iterator[None]:
    """Inside the block the named layers do not train."""
    groups = ParamVector.of(model).grouped("layer")
    names = {name for layer in layers for name in groups[layer]}
    held = [p for name, p in model.named_parameters() if name in names]
    try:
        for p in held:
            p.requires_grad = False
        yield
    finally:
        for p in held:
            p.requires_grad = True
