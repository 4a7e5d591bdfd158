"""Virtual outliers from the edges of the classes' Gaussians, in feature space."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from limen._core.errors import UsageError
from limen.ood.seen import View
from limen.search.tails import normal_tails
from limen.train.losses import Loss


@dataclass(frozen=True)
class VOS:
    """Logistic loss that tells inliers' energies from virtual outliers'; lower tells them better.

    Each class keeps its last `queue` features. From their class means and one shared covariance,
    `draws` points are drawn for each class and the `select` least likely ones kept: virtual
    outliers v, which no data set is needed for. With `e(z) = logsumexp_k(z_k + eta_k)`, scaled to
    mean 0 and deviation 1 over the two kinds by constants of the batch,
    `L = -1/2 mean_inliers log sigmoid(a e + b) - 1/2 mean_virtual log sigmoid(-(a e + b))`.
    Inliers' energies carry gradient to the whole network, virtual ones to its head.

    eta, log a and b are no parameters of the network: they take one gradient step of length `rate`
    a batch on the detached logits, inside this objective's state, which travels in checkpoints; the
    network then meets them as constants. The loss is 0, and gives no gradient, until every class
    has `queue` features and `start` batches have passed. Weight 0.1 is the published one.

    Departures from the paper: weights of the energy are `e^eta`, not `relu(omega)`, which can
    switch a class off for good; the two-way softmax over (w e + c) is written as the logistic
    function that it equals, of scaled energies, with a > 0, so that it is always the outliers that
    are pushed to the smaller e; inliers and virtual outliers have a mean each, not one over their
    union; the least likely of `draws` points are drawn directly, from the law that they have.

    Args:
        queue: Features kept for each class, 2 or more.
        draws: Points drawn for each class.
        select: How many of them are kept, least likely first.
        ridge: Added to the covariance's diagonal, above 0.
        rate: Step length of eta, log a and b.
        start: Batches before the loss begins.

    Raises:
        UsageError: A value out of range.

    Reference:
        Du, Wang, Cai, Li, VOS: Learning What You Don't Know by Virtual Outlier Synthesis,
        ICLR 2022, equations 2 to 7.

    Example:
        >>> VOS(queue=100).select
        1
    """

    queue: int = 1000
    draws: int = 10_000
    select: int = 1
    ridge: float = 1e-4
    rate: float = 0.1
    start: int = 0
    weight: ClassVar[float] = 0.1
    forwards: ClassVar[str] = "inliers"
    counts: ClassVar[str] = "inliers"
    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.queue < 2 or self.start < 0:
            raise UsageError(f"queue={self.queue} must be 2 or more, start={self.start} 0 or more")
        if not 1 <= self.select <= self.draws:
            raise UsageError(f"select={self.select} must be 1 to draws={self.draws}")
        if not (0 < self.ridge < float("inf") and 0 < self.rate < float("inf")):
            raise UsageError(f"ridge={self.ridge} and rate={self.rate} must be positive")

    def begin(self, _model: object) -> dict[str, Any]:
        """An empty state; sizes are known at the first batch."""
        return {}

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's inliers and as many virtual outliers as classes x `select`.

        Args:
            view: What the step has seen.

        Returns:
            "outlier", at least 0.
        """
        state, inlier = view.state, view.inlier
        self._remember(view, classes=inlier.logits.shape[1])
        if view.step < self.start or int(state["pushed"].min()) < self.queue:
            return {"outlier": 0.0 * inlier.logits.sum()}
        logits = view.head(self.virtual(state["queue"], view.stream("VOS")))
        self._learn(state, inlier.logits.detach().float(), logits.detach().float())
        return {"outlier": _told_apart(state, inlier.logits, logits)}

    def virtual(
        self, queue: Float[Tensor, "classes queue width"], stream: torch.Generator
    ) -> Float[Tensor, "outliers width"]:
        """Virtual outliers: for each class the least likely of `draws` points.

        Args:
            queue: Features of each class.
            stream: Random numbers.

        Returns:
            `classes * select` rows, in the features' precision.
        """
        means = queue.double().mean(1)
        centred = (queue.double() - means[:, None]).flatten(0, 1)
        covariance = centred.T @ centred / len(centred)
        covariance.diagonal().add_(self.ridge)
        points = normal_tails(*means.shape, draws=self.draws, select=self.select, stream=stream).to(
            means
        )
        found = means[:, None] + points @ torch.linalg.cholesky(covariance).T
        return found.flatten(0, 1).to(queue)

    def _remember(self, view: View, *, classes: int) -> None:
        """The newest features of each class take the places of its oldest."""
        state, features, labels = view.state, view.inlier.features.detach(), view.labels
        if not state:
            state["queue"] = features.new_zeros(classes, self.queue, features.shape[1])
            state["pushed"] = torch.zeros(classes, dtype=torch.int64, device=features.device)
        member = labels[:, None] == torch.arange(classes, device=labels.device)
        order = member.cumsum(0).gather(1, labels[:, None])[:, 0] - 1  # place within its class
        rows = member.sum(0)
        fresh = order >= (rows - self.queue)[labels]
        place = (state["pushed"][labels] + order) % self.queue
        state["queue"][labels[fresh], place[fresh]] = features[fresh]
        state["pushed"] += rows

    @torch.enable_grad()
    def _learn(self, state: dict[str, Any], inlier: Tensor, virtual: Tensor) -> None:
        """One gradient step of eta, log a and b."""
        if "eta" not in state:
            state["eta"] = torch.zeros_like(inlier[0])
            state["log a"], state["b"] = inlier.new_zeros(()), inlier.new_zeros(())
        names = ("eta", "log a", "b")
        leaves = [state[name].detach().requires_grad_() for name in names]
        loss = _told_apart(dict(zip(names, leaves, strict=True)), inlier, virtual)
        grads = torch.autograd.grad(loss, leaves)
        for name, leaf, grad in zip(names, leaves, grads, strict=True):
            state[name] = leaf.detach() - self.rate * grad


def _told_apart(state: dict[str, Any], inlier: Tensor, virtual: Tensor) -> Tensor:
    """The logistic loss of two sets of logits."""
    inside, outside = ((logits + state["eta"]).logsumexp(-1) for logits in (inlier, virtual))
    middle = (inside.detach().mean() + outside.detach().mean()) / 2
    width = torch.cat([inside.detach() - middle, outside.detach() - middle]).square().mean().sqrt()
    slope = state["log a"].exp() / width.clamp(min=1e-6)
    inside, outside = (slope * (e - middle) + state["b"] for e in (inside, outside))
    return -(logsigmoid(inside).mean() + logsigmoid(-outside).mean()) / 2
