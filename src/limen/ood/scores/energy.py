"""Free energy of the logits."""

from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor


def energy(
    logits: Float[Array, "rows classes"], *, temperature: float = 1.0
) -> Float[Array, " rows"]:
    """Free energy of the logits; higher = more outlying.

    `E(z) = -T log sum_k exp(z_k / T)`. If the softmax is read as p(y | x) = p(x, y) / p(x), then -E
    is log p(x) up to a constant; training raises it where the data are.

    Args:
        logits: One row for each input.
        temperature: T, above 0; T -> 0 gives `max_logit`.

    Returns:
        One score for each row, of the kind of `logits`.

    Raises:
        UsageError: `temperature` is not positive, or `logits` are not finite.

    Reference:
        W. Liu, X. Wang, J. D. Owens and Y. Li, "Energy-based out-of-distribution detection",
        NeurIPS 2020. The score there is -E, higher = inlier.

    Example:
        >>> import numpy as np
        >>> energy(np.zeros((1, 4))).round(6)    # -log 4
        array([-1.386294])
    """
    if not 0 < temperature < float("inf"):
        raise UsageError(f"temperature={temperature} must be positive and finite")
    z = tensor("logits", logits)
    return like(-temperature * (z / temperature).logsumexp(-1), logits)
