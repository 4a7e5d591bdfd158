"""Training for the environment that is worst off."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.shift.remedies.rows import Predict, Rows
from limen.shift.remedies.training import Batch, Training
from limen.train.losses import Loss


@dataclass(frozen=True)
class GroupDRO:
    """The loss of the worst group, by weights that grow where the loss is high.

    After each batch `q_j <- q_j exp(eta risk_j)`, scaled to sum 1, and the step minimises
    `sum_j q_j risk_j`: gradient descent against exponentiated-gradient ascent, towards
    `min_h max_j risk_j`. It guards against the worst of the groups seen and all their mixtures,
    which is the hull of the sources, and promises nothing outside.

    Args:
        eta: Step of the weights, above 0.
        by: What a group is: "class", "environment", or "group" for pairs of both.
        training: Network and optimiser.

    Raises:
        UsageError: `eta` not positive.

    Reference:
        S. Sagawa, P. W. Koh, T. Hashimoto and P. Liang, "Distributionally robust neural networks
        for group shifts", ICLR 2020, algorithm 1. Departures: batches are drawn from all rows, not
        from one group, and a group absent from a batch keeps its weight until the scaling; the
        strong decay that they find necessary in large networks is the user's to set.

    Example:
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> GroupDRO(training=Training(steps=20))(rows, seed=0)(np.array([[3.0]])).shape
        (1, 2)
    """

    eta: float = 0.05
    by: str = "environment"
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if not 0 < self.eta < float("inf"):
            raise UsageError(f"eta={self.eta} must be above 0")

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor.

        Raises:
            UsageError: `by` is none of the three.
        """
        step = _Step(int(rows.groups(self.by).max()) + 1, self.eta)
        return self.training.run(rows, step, seed=seed, by=self.by)


def exponentiated(
    weights: Float[np.ndarray, " groups"], risks: Float[np.ndarray, " groups"], eta: float
) -> Float[np.ndarray, " groups"]:
    """Group weights after one round: `q_j exp(eta risk_j)`, scaled to sum 1; worse = heavier.

    Args:
        weights: 0 or more, sum 1.
        risks: Loss of each group.
        eta: Step, above 0.

    Returns:
        New weights.

    Example:
        >>> exponentiated(np.array([0.5, 0.5]), np.array([0.0, np.log(3.0)]), 1.0).round(3).tolist()
        [0.25, 0.75]
    """
    grown = weights * np.exp(eta * (risks - risks.max()))
    return grown / grown.sum()


class _Step:
    def __init__(self, groups: int, eta: float) -> None:
        self.weights = np.full(groups, 1 / groups)
        self.eta = eta

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Loss]:
        losses = nn.functional.cross_entropy(model(batch.inputs), batch.labels, reduction="none")
        risks = group_means(losses, batch.groups, len(self.weights))
        self.weights = exponentiated(self.weights, risks.detach().double().numpy(), self.eta)
        return {"task": (torch.from_numpy(self.weights).to(risks) * risks).sum()}


def group_means(losses: Tensor, groups: Tensor, count: int) -> Tensor:
    """Mean loss of each group; 0 for one without rows.

    Args:
        losses: One for each row.
        groups: Code of each row.
        count: Groups.

    Returns:
        (count,).

    Example:
        >>> group_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 2]), 3).tolist()
        [2.0, 0.0, 5.0]
    """
    total = losses.new_zeros(count).index_add(0, groups, losses)
    held = torch.bincount(groups, minlength=count).clamp(min=1)
    return total / held
