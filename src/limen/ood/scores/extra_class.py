"""Odds of the class that stands for outliers."""

from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor


def extra_class(logits: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
    """Log-odds of the last class, which was trained on outliers; higher = more outlying.

    `log p_C / (1 - p_C) = z_C - log sum_{k<C} exp z_k` of a network with C + 1 outputs, such as
    the objective `NTOM` trains. The paper scores with the probability `p_C` itself, of which this
    is an increasing function: the order is the same, but it does not saturate at 0 and 1, where
    rounding would tie the rows.

    Args:
        logits: One row for each input, the last column for outliers; two columns or more.

    Returns:
        One score for each row, of the kind of `logits`.

    Raises:
        UsageError: `logits` are not finite, or have one column.

    Reference:
        Chen, Li, Wu, Liang, Jha, ATOM: Robustifying Out-of-distribution Detection Using Outlier
        Mining, ECML PKDD 2021.

    Example:
        >>> import numpy as np
        >>> extra_class(np.array([[0.0, 2.0], [0.0, -3.0]]))
        array([ 2., -3.])
    """
    found = tensor("logits", logits)
    if found.shape[-1] < 2:
        raise UsageError("logits must have a column for outliers after those of classes, got one")
    return like(found[..., -1] - found[..., :-1].logsumexp(-1), logits)
