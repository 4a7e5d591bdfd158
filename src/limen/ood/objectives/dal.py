"""Outlier exposure at the worst distribution near the outliers, in feature space."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear

from limen._core.errors import UsageError
from limen.ood.objectives.losses import oe
from limen.ood.seen import View
from limen.search.ascent import climb_sphere
from limen.search.ball import to_length
from limen.train import ranks
from limen.train.losses import Loss

Mode = Literal["ball", "dual", "official"]
_Head = tuple[Tensor, Tensor | None]
_CLASSES = 16  # directions tried for each row


@dataclass(frozen=True)
class DAL:
    """Outlier exposure where shifted features hurt most; lower is less sure around the outliers.

    `L = mean_i max_d oe(W (e_i + d) + b)` over outliers i with features e_i, the shift d within a
    budget; d is then a constant, and the gradient reaches W, b and, through e, the network. The
    maximum is searched in feature space alone, in closed form, `grad_d = W^T (softmax(z) - 1/C)`,
    so it costs no pass. oe is convex in d: no step uphill can lower it.

    `mode` says how the budget is kept:

    - "ball": `||d_i||_2 <= R` for each outlier, `R = radius`, or where `relative`
      `R = radius * median_i ||e_i||`. The first of `steps` moves goes to the best of the
      directions `w_k - mean(w)` and the gradient, the others are full Frank-Wolfe steps. The
      budget binds, and the value never falls from step to step.
    - "dual": the Wasserstein ball's dual with the cost `mean |d|`, as released. `steps` normalised
      gradient steps of length `step` climb `oe - gamma * cost` from a start in [0, 1e-4), and once
      a batch `gamma <- clip(gamma - beta (rho - cost), 0, gamma_max)`, with the mean cost before
      the last step. At the default `rho` it is "official"; a budget binds below
      `steps * step / sqrt(width)`.
    - "official": "dual" at the published numbers, `rho = 10` among them. As
      `cost <= steps * step / sqrt(width)` stays below rho, gamma is 0 after the first batch and
      what acts is the length `steps * step`, not rho.

    Published weight 0.5; score with MSP. Logged: "gain", by how much the search raised the loss;
    "radius", or "gamma" (as the next batch takes it) and "cost".

    Args:
        radius: Of the ball, at least 0; 0 is outlier exposure exactly.
        relative: Whether `radius` counts in median feature lengths of the batch's outliers.
        mode: "ball", "dual" or "official".
        steps: Moves of the search; None means 3 in a ball, else 10. 0 is outlier exposure.
        step: Length of a dual step.
        rho: Budget of the dual, in mean absolute shift.
        beta: Step length of gamma.
        gamma0: Where gamma begins.
        gamma_max: Its upper end.

    Raises:
        UsageError: A value out of range, or one that the mode does not take.

    Reference:
        Wang et al., Learning to Augment Distributions for Out-of-Distribution Detection,
        NeurIPS 2023. "dual" and "official" follow its released code (tmlr-group/DAL); the ball and
        its solver are departures.

    Example:
        >>> weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
        >>> shift = DAL().worst(torch.tensor([[1.0, 0.5]]), weight, torch.zeros(3), radius=1.5)
        >>> round(shift.norm().item(), 4)
        1.5
    """

    radius: float = 0.5
    relative: bool = True
    mode: Mode = "ball"
    steps: int | None = None
    step: float = 1.0
    rho: float = 10.0
    beta: float = 0.01
    gamma0: float = 0.01
    gamma_max: float = 10.0
    weight: ClassVar[float] = 0.5
    forwards: ClassVar[str] = "both"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UsageError(f"mode={self.mode!r} must be one of {', '.join(get_args(Mode))}")
        low = {n: getattr(self, n) for n in ("radius", "step", "rho", "beta", "gamma0")}
        bad = {n: x for n, x in low.items() if not 0 <= x < float("inf")}
        if bad or (self.steps or 0) < 0 or not self.gamma0 <= self.gamma_max:
            raise UsageError(
                f"{', '.join(low)}, steps must be at least 0, gamma0 at most gamma_max; got {self}"
            )
        changed = _changed(self, _FOREIGN[self.mode])
        if changed:
            raise UsageError(f"mode={self.mode!r} does not take {', '.join(changed)}")

    def begin(self, _model: object) -> dict[str, Any]:
        """The state: gamma, where there is one."""
        return {} if self.mode == "ball" else {"gamma": torch.tensor(float(self.gamma0))}

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's outliers, shifted.

        Args:
            view: What the step has seen.

        Returns:
            "outlier", at least log C, and the values to log.
        """
        outlier = view.require_outliers()
        with torch.autocast(outlier.logits.device.type, enabled=False):
            features, head = outlier.features.float(), view.head
            weight, bias = head.weight.float(), None if head.bias is None else head.bias.float()
            start = oe(outlier.logits.float())
            shift, told = self._searched(view, features.detach(), (weight.detach(), bias))
            loss = start if shift is None else oe(linear(features + shift, weight, bias))
        return {"outlier": loss, "gain": (loss - start).detach(), **told}

    def worst(
        self,
        features: Float[Tensor, "rows width"],
        weight: Float[Tensor, "classes width"],
        bias: Float[Tensor, " classes"] | None = None,
        *,
        radius: float,
    ) -> Float[Tensor, "rows width"]:
        """The shift inside a ball that raises `oe` most, for each row.

        Exact up to the search: the maximum of a convex function in a ball has no closed form.
        Never below the loss without a shift, as the gradient is among the first directions.

        Args:
            features: Of outliers.
            weight: The head's.
            bias: The head's.
            radius: Of the ball.

        Returns:
            Shifts of that length; rows whose loss does not depend on the features stay.
        """
        moves = 3 if self.steps is None else self.steps
        if moves == 0 or radius == 0:
            return torch.zeros_like(features)

        def slope(shift: Tensor) -> Tensor:
            return slope_of(linear(features + shift, weight, bias), weight)

        start = _best_direction(features, weight, bias, radius=radius)
        return climb_sphere(start, slope, radius=radius, steps=moves - 1)

    @torch.no_grad()
    def _searched(
        self, view: View, features: Tensor, head: _Head
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """The shift, None where nothing was searched, and what to log of it."""
        if self.mode != "ball":
            return self._dual(view, features, head)
        radius = self.radius * (features.norm(dim=-1).median().item() if self.relative else 1.0)
        told = {"radius": features.new_tensor(radius)}
        if self.steps == 0 or radius == 0:
            return None, told
        return self.worst(features, *head, radius=radius), told

    def _dual(
        self, view: View, features: Tensor, head: _Head
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Climb the penalised loss by normalised steps, then move gamma."""
        steps = 10 if self.steps is None else self.steps
        gamma, cost = view.state["gamma"].to(features.device), features.new_zeros(())
        if steps == 0:
            return None, {"gamma": gamma, "cost": cost}
        shift = 1e-4 * torch.rand(features.shape, generator=view.stream("DAL")).to(features)
        for _ in range(steps):
            cost = shift.abs().mean()
            slope = slope_of(linear(features + shift, *head), head[0])
            slope = slope - gamma * shift.sign() / shift.shape[1]
            shift = shift + to_length(slope, self.step)
        cost = torch.as_tensor(ranks.summed([cost.item()], cost.device)).to(cost)[0] / ranks.world()
        view.state["gamma"] = (gamma - self.beta * (self.rho - cost)).clamp(0, self.gamma_max)
        return shift, {"gamma": view.state["gamma"], "cost": cost}


_BALL = ("radius", "relative")
_DUAL = ("step", "rho", "beta", "gamma0", "gamma_max")
_FOREIGN = {"ball": _DUAL, "dual": _BALL, "official": (*_BALL, *_DUAL)}


def slope_of(
    logits: Float[Tensor, "rows classes"], weight: Float[Tensor, "classes width"]
) -> Float[Tensor, "rows width"]:
    """The gradient of each row's `oe` by its features: `W^T (softmax(z) - 1/C)`.

    Args:
        logits: Of the rows.
        weight: The head's.

    Returns:
        One gradient a row.
    """
    return (logits.softmax(-1) - 1 / logits.shape[1]) @ weight


def _changed(objective: DAL, names: tuple[str, ...]) -> list[str]:
    """Those of the settings that are not at their default."""
    fields = objective.__dataclass_fields__
    return [name for name in names if getattr(objective, name) != fields[name].default]


def _best_direction(
    features: Tensor, weight: Tensor, bias: Tensor | None, *, radius: float
) -> Tensor:
    """For each row the best shift of length `radius` along a class's weight or the gradient.

    Moving all probability to one class is what raises `oe`; `w_k - mean(w)` does it for class k.
    """
    logits = linear(features, weight, bias)
    slope = to_length(slope_of(logits, weight), radius)
    ways = to_length(weight - weight.mean(0), radius)
    likely = logits.topk(min(_CLASSES, len(weight))).indices
    tried = torch.cat([
        oe((logits[:, None] + (ways @ weight.T)[likely]).flatten(0, 1), reduction="none")
        .view_as(likely),
        oe(logits + slope @ weight.T, reduction="none")[:, None],
    ], dim=1)  # fmt: skip
    best = tried.argmax(-1, keepdim=True)
    along = ways[likely.gather(1, best.clamp(max=likely.shape[1] - 1))[:, 0]]
    return torch.where(best == likely.shape[1], slope, along)
