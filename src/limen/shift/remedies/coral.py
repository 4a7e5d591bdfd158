"""Training with features whose mean and covariance agree between environments."""

from dataclasses import dataclass, field
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from limen._core.errors import UsageError
from limen.bank.network import head_of
from limen.shift.remedies.rows import Predict, Rows
from limen.shift.remedies.training import Batch, Training
from limen.train.losses import Loss


@dataclass(frozen=True)
class CORAL:
    """Cross-entropy plus, over pairs of environments, how far the features before the head differ.

        loss + weight mean_{i<j} ( ||m_i - m_j||^2 + ||C_i - C_j||_F^2 ) / width

    Features that look alike in all sources may look alike in the target too, if the target differs
    from the sources as they differ from one another.

    Args:
        weight: Of the penalty, 0 or more.
        training: Network and optimiser; the network needs a layer before its head.

    Raises:
        UsageError: A weight below 0, or a head alone.

    Reference:
        B. Sun and K. Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV
        2016 workshops. Departures: between sources, no target is seen; means are aligned too, as is
        usual in domain generalisation; divided by the width, not by four times its square.

    Example:
        >>> import numpy as np
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> CORAL(training=Training(steps=20))(rows, seed=0)(np.array([[3.0]])).shape
        (1, 2)
    """

    weight: float = 1.0
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise UsageError(f"weight={self.weight} must be 0 or more")
        if self.training.net is None and not self.training.hidden:
            raise UsageError("CORAL aligns the features before the head: hidden must be above 0")

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor.

        Raises:
            UsageError: The network has no linear head.
        """
        return self.training.run(rows, self._step, seed=seed)

    def _step(self, model: nn.Module, batch: Batch) -> dict[str, Loss]:
        seen: list[Tensor] = []
        hook = head_of(model).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            logits = model(batch.inputs)
        finally:
            hook.remove()
        task = nn.functional.cross_entropy(logits, batch.labels)
        return {"task": task, "coral": self.weight * apart(seen[0], batch.groups)}


def apart(features: Float[Tensor, "batch width"], groups: Tensor) -> Tensor:
    """How far means and covariances of the groups' features lie apart; 0 when they agree.

    Args:
        features: Rows.
        groups: Code of each row; groups of fewer than two rows are left out.

    Returns:
        A scalar, the mean over pairs.

    Example:
        >>> rows = torch.tensor([[0.0], [2.0], [1.0], [3.0]])    # means 1 and 2, variances alike
        >>> apart(rows, torch.tensor([0, 0, 1, 1])).item()
        1.0
    """
    parts = [features[groups == one] for one in groups.unique()]
    moments = [(part.mean(0), torch.cov(part.T)) for part in parts if len(part) > 1]
    gaps = [
        (m - n).square().sum() + (c - d).square().sum()
        for (m, c), (n, d) in combinations(moments, 2)
    ]
    return torch.stack(gaps).mean() / features.shape[1] if gaps else 0.0 * features.sum()
