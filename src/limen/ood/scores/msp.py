"""Maximum softmax probability."""

from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor


def msp(logits: Float[Array, "rows classes"], *, temperature: float = 1.0) -> Float[Array, " rows"]:
    """Minus the largest softmax probability; higher = more outlying.

    `-max_k softmax(z / T)_k`, in [-1, -1/C]. A confident network says that it knows the class.
    In float32 all probabilities above 1 - 6e-8 tie; pass float64 logits where that matters.

    Args:
        logits: One row for each input.
        temperature: T, above 0; large T compares logit gaps instead of saturated probabilities.

    Returns:
        One score for each row, of the kind of `logits`.

    Raises:
        UsageError: `temperature` is not positive, or `logits` are not finite.

    Reference:
        D. Hendrycks and K. Gimpel, "A baseline for detecting misclassified and out-of-distribution
        examples in neural networks", ICLR 2017. There higher = inlier; the sign is turned.

    Example:
        >>> import numpy as np
        >>> msp(np.log([[0.7, 0.2, 0.1]])).round(3)
        array([-0.7])
    """
    if not 0 < temperature < float("inf"):
        raise UsageError(f"temperature={temperature} must be positive and finite")
    z = tensor("logits", logits)
    return like(-(z / temperature).softmax(-1).amax(-1), logits)
