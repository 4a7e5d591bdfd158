"""Entropy of the prediction."""

from jaxtyping import Float

from limen.measure.arrays import Array, like, tensor


def entropy(logits: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
    """Shannon entropy of the softmax in nats; higher = more outlying.

    `H = -sum_k p_k log p_k`, from 0 (one class is certain) to log C (all are equal).

    Args:
        logits: One row for each input.

    Returns:
        One score for each row, of the kind of `logits`.

    Raises:
        UsageError: `logits` are not finite.

    Reference:
        R. Chan, M. Rottmann and H. Gottschalk, "Entropy maximization and meta classification for
        out-of-distribution detection in semantic segmentation", ICCV 2021, for the use as a score.

    Example:
        >>> import numpy as np
        >>> entropy(np.zeros((1, 4))).round(6)    # log 4
        array([1.386294])
    """
    log_p = tensor("logits", logits).log_softmax(-1)
    return like(-(log_p.exp() * log_p).sum(-1), logits)
