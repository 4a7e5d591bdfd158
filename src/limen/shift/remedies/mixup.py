"""Training on mixtures of two rows and of their labels."""

from dataclasses import dataclass, field

import torch
from torch import nn

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.shift.remedies.rows import Predict, Rows
from limen.shift.remedies.training import Batch, Training
from limen.train.losses import Loss


@dataclass(frozen=True)
class Mixup:
    """Rows `r x_i + (1 - r) x_j`, whose loss is mixed the same way; r ~ Beta(alpha, alpha).

    Mixtures lie on segments between rows, so inside the convex hull of the data: mixup smooths what
    is between the sources and adds nothing beyond.

    Args:
        alpha: Above 0; small mixes little.
        training: Network and optimiser.

    Raises:
        UsageError: `alpha` not positive.

    Reference:
        H. Zhang, M. Cisse, Y. N. Dauphin and D. Lopez-Paz, "mixup: beyond empirical risk
        minimization", ICLR 2018. One r a batch, as there; pairs cross environments.

    Example:
        >>> import numpy as np
        >>> rows = Rows.of([[-1.0], [1.0], [-2.0], [2.0]], [0, 1, 0, 1], [0, 0, 1, 1])
        >>> Mixup(training=Training(steps=20))(rows, seed=0)(np.array([[3.0]])).shape
        (1, 2)
    """

    alpha: float = 0.2
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise UsageError(f"alpha={self.alpha} must be above 0")

    def __call__(self, rows: Rows, *, seed: int) -> Predict:
        """Learn.

        Args:
            rows: To learn from.
            seed: Decides every random number.

        Returns:
            The predictor.
        """

        def step(model: nn.Module, batch: Batch) -> dict[str, Loss]:
            stream = numpy_stream(seed, "mixup", batch.number)
            share = float(stream.beta(self.alpha, self.alpha))
            other = torch.from_numpy(stream.permutation(len(batch.labels)))
            logits = model(share * batch.inputs + (1 - share) * batch.inputs[other])
            mine = nn.functional.cross_entropy(logits, batch.labels)
            theirs = nn.functional.cross_entropy(logits, batch.labels[other])
            return {"task": share * mine + (1 - share) * theirs}

        return self.training.run(rows, step, seed=seed)
