"""What a subset is worth to a sampler that learns by reward."""

import numpy as np
import torch
from torch import Tensor, nn

from limen._core.streams import numpy_stream
from limen.shift.rules.pool import Pool
from limen.shift.rules.space import space

_RIDGE = 1e-3
_STEPS = 30  # of the head
_FOLDS = 5  # left out in turn where no environments are given


class Reward:
    """Higher = a better subset: it spreads, generalises to what is left out, and has the size.

        spread (log det cov(kept) - log det cov(as many at random)) - held_out loss
        - size abs(rows kept - budget) / budget

    The loss is the cross-entropy, on one environment, of a logistic head that took 30 gradient
    steps on the kept rows of the others.

    Args:
        pool: The rows.
        budget: Asked for.
        spread: Weight of the spread.
        held_out: Weight of the loss.
        size: Weight of the miss of the budget.

    Example:
        >>> reward = Reward(Pool.of(np.eye(4)), 2, spread=0.0, held_out=0.0, size=1.0)
        >>> reward(np.array([True, True, True, False]), 0)    # one of two too many
        -0.5
    """

    def __init__(
        self, pool: Pool, budget: int, *, spread: float, held_out: float, size: float
    ) -> None:
        self.pool, self.budget = pool, budget
        self.spread, self.held_out, self.size = spread, held_out, size
        self._points = space(pool.features, whiten=True).points

    def __call__(self, kept: np.ndarray, step: int) -> float:
        """The reward of a subset.

        Args:
            kept: Whether each row is kept.
            step: Decides what is left out, and the random rows compared with.

        Returns:
            Higher is better.
        """
        count, worth = int(kept.sum()), 0.0
        if self.spread:
            stream = numpy_stream(self.pool.seed, "policy", "random rows", step)
            some = stream.permutation(len(kept))[:count]
            worth += self.spread * (self._volume(np.flatnonzero(kept)) - self._volume(some))
        if self.held_out and self.pool.labels is not None:
            worth -= self.held_out * self._loss(kept, step)
        if self.size:
            worth -= self.size * abs(count - self.budget) / self.budget
        return worth

    def _volume(self, rows: np.ndarray) -> float:
        points = self._points[rows]
        width = points.shape[1]
        scatter = np.zeros((width, width)) if len(rows) < 2 else np.cov(points.T, bias=True)
        return float(np.linalg.slogdet(scatter.reshape(width, width) + _RIDGE * np.eye(width))[1])

    def _loss(self, kept: np.ndarray, step: int) -> float:
        """Cross-entropy where nothing was learned, of a head trained elsewhere."""
        place = self.pool.environments
        if place is None or place.max() == 0:
            place = numpy_stream(self.pool.seed, "policy", "folds").integers(_FOLDS, size=len(kept))
        out = np.unique(place)[step % len(np.unique(place))]
        rows = torch.from_numpy(self._points).float()
        labels = torch.from_numpy(self.pool.labels)
        train, asked = torch.from_numpy(kept & (place != out)), torch.from_numpy(place == out)
        return _quick_loss(rows, labels, train=train, asked=asked)


def _quick_loss(rows: Tensor, labels: Tensor, *, train: Tensor, asked: Tensor) -> float:
    classes = int(labels.max()) + 1
    weight = torch.zeros(rows.shape[1] + 1, classes)
    seen = torch.cat([rows, torch.ones(len(rows), 1)], 1)
    mine, names = seen[train], nn.functional.one_hot(labels[train], classes).float()
    if len(mine):
        scatter = mine.T @ mine / len(mine)
        rate = 1 / (0.5 * float(torch.linalg.eigvalsh(scatter)[-1]) + _RIDGE)  # 1 / smoothness
        for _ in range(_STEPS):
            miss = (mine @ weight).softmax(1) - names
            weight -= rate * (mine.T @ miss / len(mine) + _RIDGE * weight)
    return float(nn.functional.cross_entropy(seen[asked] @ weight, labels[asked]))
