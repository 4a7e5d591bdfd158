"""Gradient surgery: bend one gradient so that, to first order, it does not harm another."""

from dataclasses import dataclass
from math import acos, degrees, nan, sqrt

from limen.algebra.inner import gram
from limen.algebra.vector import ParamVector, matched


@dataclass(frozen=True)
class Conflict:
    """How two gradients stand to each other, and what it takes to make peace.

    Attributes:
        dot: Inner product of goal and guard; negative when a step along the goal harms the guard.
        goal_squared: Squared length of the goal.
        guard_squared: Squared length of the guard.

    Example:
        >>> Conflict(dot=-2.0, goal_squared=9.0, guard_squared=1.0).coefficient
        2.0
    """

    dot: float
    goal_squared: float
    guard_squared: float

    @property
    def harms(self) -> bool:
        """Whether the goal must be bent."""
        return self.dot < 0 and self.guard_squared > 0

    @property
    def coefficient(self) -> float:
        """Kappa >= 0: how much of the guard is added to the goal; zero without a conflict."""
        return -self.dot / self.guard_squared if self.harms else 0.0

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two, nan when one of them vanishes."""
        scale = sqrt(self.goal_squared) * sqrt(self.guard_squared)
        return max(-1.0, min(1.0, self.dot / scale)) if scale > 0 else nan

    @property
    def angle(self) -> float:
        """The angle in degrees; above 90 there is a conflict."""
        return degrees(acos(self.cosine)) if self.cosine == self.cosine else nan


def conflict(goal: ParamVector, guard: ParamVector) -> Conflict:
    """Measure the conflict between two gradients in one pass over the parameters.

    Args:
        goal: Gradient of the loss to go down.
        guard: Gradient of the loss that must not go up; same names and shapes.

    Returns:
        The three inner products that decide everything else.

    Raises:
        UsageError: The two vectors do not carry the same names and shapes.

    Example:
        >>> import torch
        >>> up, right = (ParamVector({"w": torch.tensor(x)}) for x in ([0.0, 1.0], [1.0, 0.0]))
        >>> conflict(up, right).angle
        90.0
    """
    return Conflict(*gram(matched(goal, guard)))


def rectified(goal: ParamVector, guard: ParamVector) -> ParamVector:
    """The vector nearest to `goal` whose inner product with `guard` is not negative.

    Solves `min |g - goal|^2  s.t.  <g, guard> >= 0`: without a conflict the answer is `goal`
    itself, bit for bit; else `goal + kappa * guard` with `kappa = -<goal, guard> / |guard|^2`,
    which is orthogonal to `guard`. A small descent step along it does not raise the guard's loss,
    to first order and for plain gradient descent only: Adam's step is another vector (see
    `limen.Rectify(on="update")`).

    Args:
        goal: Gradient of the loss to go down.
        guard: Gradient of the loss that must not go up; same names and shapes.

    Returns:
        The rectified gradient. Antiparallel inputs give zero; a zero guard gives `goal`.

    Reference:
        Wang et al., GRU: Mitigating the Trade-off between Unlearning and Retention for LLMs,
        ICML 2025, closed form of section 3.

    Example:
        >>> import torch
        >>> goal = ParamVector({"w": torch.tensor([1.0, -2.0, 2.0])})
        >>> guard = ParamVector({"w": torch.tensor([0.0, 1.0, 0.0])})
        >>> rectified(goal, guard)["w"].tolist()
        [1.0, 0.0, 2.0]
    """
    found = conflict(goal, guard)
    return goal + guard * found.coefficient if found.harms else goal
