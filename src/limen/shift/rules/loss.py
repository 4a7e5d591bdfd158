"""The rows that a model finds hardest."""

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.shift.head import Head
from limen.shift.rules.pool import Order, Pool, ranked


def loss(pool: Pool, budget: int, *, folds: int = 5, decay: float = 1e-3) -> Order:
    """The rows of largest loss: the user's losses, or those of a logistic head that never saw them.

    Without losses, a head is fitted to all folds but one and asked about that one, so that no row
    is easy because it was learned by heart. Mislabelled rows are the hardest of all: with noisy
    labels this rule collects the noise.

    Args:
        pool: Rows to choose from; their losses, or else their features and labels count.
        budget: How many, at most the room of the pool.
        folds: Parts of the pool, at least 2.
        decay: Of the head.

    Returns:
        The order, hardest first; `heights` are the losses. Weights are 1.

    Raises:
        UsageError: Neither losses nor labels, fewer than 2 folds, or more rows than there is room
            for.

    Example:
        >>> pool = Pool.of([[0.0], [1.0], [2.0]], losses=[0.1, 2.0, 0.7])
        >>> loss(pool, 2).rows.tolist()
        [1, 2]
    """
    if pool.losses is not None:
        return ranked(pool, budget, pool.losses)
    told = (f"losses of a logistic head, each row's from the other {folds - 1} of {folds} folds",)
    return ranked(pool, budget, _unseen(pool, folds, decay), told=told)


def _unseen(pool: Pool, folds: int, decay: float) -> Float[np.ndarray, " rows"]:
    """Each row's loss under a head fitted to the other folds.

    Raises:
        UsageError: No labels, or folds out of range.
    """
    if pool.labels is None:
        raise UsageError("loss needs losses, or labels to fit a head to; got neither")
    if not 2 <= folds <= len(pool):
        raise UsageError(f"folds={folds} must be between 2 and the {len(pool)} rows")
    classes = int(pool.labels.max()) + 1
    place = numpy_stream(pool.seed, "select", "folds").permutation(len(pool)) % folds
    found = np.empty(len(pool))
    for fold in range(folds):
        here = place == fold
        head = Head(decay).fit(pool.features[~here], pool.labels[~here], classes=classes)
        found[here] = head.losses(pool.features[here], pool.labels[here])
    return found
