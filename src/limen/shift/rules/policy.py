"""A sampler that learns by reward which rows to keep: a reconstruction, not the paper's."""

from limen._core.errors import UsageError
from limen.shift.rules.pool import Order, Pool, ranked
from limen.shift.rules.reward import Reward
from limen.shift.rules.sampler import Sampler


def policy(
    pool: Pool,
    budget: int,
    *,
    spread: float = 1.0,
    held_out: float = 1.0,
    size: float = 1.0,
    steps: int = 300,
    lr: float = 1e-3,
    hidden: int = 32,
) -> Order:
    """REINFORCE over which rows to keep; highest probability first. A reconstruction.

    A small network gives each row, from its features, class and environment, a probability to be
    kept. Each step draws a subset and rewards it with

        spread (log det cov(kept) - log det cov(as many at random))
        - held_out (loss of a head trained on the kept rows of other environments, on one left out)
        - size (abs(rows kept - budget) / budget),

    less a moving average of past rewards, plus an entropy bonus. Its gradient is an estimate from
    one draw, so hundreds of steps say little about thousands of rows; see whether it beats
    `hull_cover`, `logdet` and `random` on your data before using it.

    Args:
        pool: Rows; features, labels, environments and cells count. Without labels there is no
            head and no such reward; without environments five random folds are left out in turn.
        budget: How many, at most the room of the pool.
        spread: Weight of the spread, 0 or more.
        held_out: Weight of the held-out loss, 0 or more.
        size: Weight of the size, 0 or more.
        steps: Draws, at least 1.
        lr: Of Adam.
        hidden: Units of the network.

    Returns:
        The order; `heights` are the probabilities. Weights are 1.

    Raises:
        UsageError: A weight below 0, fewer than 1 step, or more rows than there is room for.

    Reference:
        R. J. Williams, "Simple statistical gradient-following algorithms for connectionist
        reinforcement learning", Machine Learning, 1992. That a learned sampler selects data for a
        mixture of domains is a claim of S. Zhang et al., arXiv 2312.16243, whose state, reward and
        settings are not public; those here are ours.

    Example:
        >>> import numpy as np
        >>> found = policy(Pool.of(np.eye(4)), 2, steps=2)
        >>> len(found.rows), found.told[0]
        (2, 'policy is a reconstruction: the published sampler is not public')
    """
    if min(spread, held_out, size) < 0 or steps < 1:
        raise UsageError(
            f"spread={spread}, held_out={held_out} and size={size} must be 0 or more, "
            f"steps={steps} at least 1"
        )
    pool.room(budget)
    learned = Sampler(pool, budget, hidden=hidden)
    reward = Reward(pool, budget, spread=spread, held_out=held_out, size=size)
    keep = learned.train(reward, steps, lr=lr)
    told = ["policy is a reconstruction: the published sampler is not public"]
    if pool.labels is None and held_out:
        told.append("no labels, so no held-out loss in its reward")
    return ranked(pool, budget, keep, told=tuple(told))
