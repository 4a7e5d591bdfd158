"""Maximum logit."""

from jaxtyping import Float

from limen.measure.arrays import Array, like, tensor


def max_logit(logits: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
    """Minus the largest logit; higher = more outlying.

    `-max_k z_k`. Unlike the softmax it keeps the scale of the logits, which shrinks away from the
    training data, and it does not saturate.

    Args:
        logits: One row for each input.

    Returns:
        One score for each row, of the kind of `logits`.

    Raises:
        UsageError: `logits` are not finite.

    Reference:
        D. Hendrycks, S. Basart, M. Mazeika, A. Zou, J. Kwon, M. Mostajabi, J. Steinhardt and
        D. Song, "Scaling out-of-distribution detection for real-world settings", ICML 2022.

    Example:
        >>> import numpy as np
        >>> max_logit(np.array([[2.0, 0.0, -1.0]]))
        array([-2.])
    """
    return like(-tensor("logits", logits).amax(-1), logits)
