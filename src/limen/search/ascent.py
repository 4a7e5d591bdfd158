"""Uphill, row by row: with a step, or without one where the function is convex."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen.search.ball import to_length

Gradient = Callable[[Float[Tensor, "rows width"]], Float[Tensor, "rows width"]]


@torch.no_grad()
def ascend(
    start: Float[Tensor, "rows width"],
    gradient: Gradient,
    *,
    steps: int,
    step: float,
    project: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "rows width"]:
    """Climb by normalised gradient steps: `x <- project(x + step g / ||g||)`, each row by itself.

    Of a convex function no such step, however long, lowers the value, as long as nothing is
    projected: the function lies above its tangent. A row whose gradient is 0 stays.

    Args:
        start: Where each row begins.
        gradient: Of the function to climb, for each row.
        steps: How many.
        step: Their length, at least 0.
        project: Back into the allowed set, after each step; None allows everything.

    Returns:
        Where each row ends.

    Raises:
        UsageError: `steps` or `step` is negative.

    Example:
        >>> ascend(torch.tensor([[3.0, 4.0]]), lambda x: 2 * x, steps=2, step=2.5)  # |x|^2
        tensor([[6., 8.]])
    """
    if steps < 0 or not step >= 0:
        raise UsageError(f"steps={steps} and step={step} must be at least 0")
    found = start
    for _ in range(steps):
        found = found + to_length(gradient(found), step)
        found = found if project is None else project(found)
    return found


@torch.no_grad()
def climb_sphere(
    start: Float[Tensor, "rows width"], gradient: Gradient, *, radius: float, steps: int
) -> Float[Tensor, "rows width"]:
    """Climb a convex function inside a ball: `x <- radius g / ||g||`, which needs no step size.

    The tangent at x is highest on the ball at `radius g / ||g||`, and a convex function lies above
    its tangent: started inside the ball, the value never falls. (Frank and Wolfe's step of full
    length.) The maximum lies on the sphere, so nothing is lost by staying there. A row whose
    gradient is 0 stays.

    Args:
        start: Where each row begins, inside the ball.
        gradient: Of the function to climb, for each row.
        radius: Of the ball, at least 0.
        steps: How many.

    Returns:
        Where each row ends.

    Raises:
        UsageError: `steps` or `radius` is negative.

    Reference:
        Journée, Nesterov, Richtárik, Sepulchre, Generalized Power Method for Sparse Principal
        Component Analysis, JMLR 2010, algorithm 1.

    Example:
        >>> slopes = torch.tensor([1.0, 10.0])  # x^2 / 2 + 5 y^2: the longer axis wins
        >>> climb_sphere(torch.tensor([[1.0, 1.0]]), lambda x: slopes * x, radius=1.0, steps=1)
        tensor([[0.0995, 0.9950]])
    """
    if steps < 0 or not radius >= 0:
        raise UsageError(f"steps={steps} and radius={radius} must be at least 0")
    found = start
    for _ in range(steps):
        slope = gradient(found)
        moved = (slope != 0).any(-1, keepdim=True)
        found = torch.where(moved, to_length(slope, radius), found)
    return found
