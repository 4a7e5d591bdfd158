"""A logistic head most of whose weights are exactly zero."""

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.shift.head import Head

_ITERATIONS = 2000


def lasso(
    features: Float[np.ndarray, "rows width"],
    labels: Int64[np.ndarray, " rows"],
    *,
    decay: float,
    classes: int,
) -> Head:
    """Multinomial logistic regression with an L1 penalty; a larger decay leaves fewer weights.

    Minimises the mean cross-entropy plus `decay * sum abs(W)` over weights W and biases, on columns
    brought to mean 0 and variance 1. With W = P - N, both at least 0, the penalty is linear and the
    problem smooth within bounds, so L-BFGS-B solves it and zeros are exact.

    Args:
        features: Rows.
        labels: Class 0..C-1 of each; a class may be absent.
        decay: Above 0.
        classes: C.

    Returns:
        The head.

    Raises:
        UsageError: `decay` not positive.

    Reference:
        R. Tibshirani, "Regression shrinkage and selection via the lasso", Journal of the Royal
        Statistical Society B, 1996, for the penalty.

    Example:
        >>> x = np.array([[1.0, 0.1], [2.0, -0.1], [-1.0, 0.1], [-2.0, -0.1]])
        >>> head = lasso(x, np.array([0, 0, 1, 1]), decay=0.05, classes=2)
        >>> (head.weight != 0).any(1).tolist()    # the second column says nothing
        [True, False]
    """
    from scipy.optimize import minimize

    head = Head(decay)
    middle, width = features.mean(0), features.std(0)
    width = np.where(width > 0, width, 1.0)
    seen = (features - middle) / width
    wanted = np.eye(classes)[labels]
    shape = (seen.shape[1], classes)
    size = shape[0] * shape[1]

    def aim(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = (flat[:size] - flat[size : 2 * size]).reshape(shape)
        logits = seen @ weight + flat[2 * size :]
        total = np.logaddexp.reduce(logits, axis=1)
        loss = (total - (logits * wanted).sum(1)).mean() + decay * flat[: 2 * size].sum()
        miss = (np.exp(logits - total[:, None]) - wanted) / len(seen)
        slope = (seen.T @ miss).ravel()
        return float(loss), np.concatenate([slope + decay, decay - slope, miss.sum(0)])

    bounds = [(0.0, None)] * (2 * size) + [(None, None)] * classes
    options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 1e-10, "gtol": 1e-6}
    found = minimize(
        aim, np.zeros(2 * size + classes), jac=True, bounds=bounds, method="L-BFGS-B",
        options=options,
    ).x  # fmt: skip
    if not np.isfinite(found).all():
        raise UsageError(f"decay={decay} leads nowhere finite; take a larger one")
    head.middle, head.width = middle, width
    head.weight = (found[:size] - found[size : 2 * size]).reshape(shape)
    head.bias = found[2 * size :]
    return head
