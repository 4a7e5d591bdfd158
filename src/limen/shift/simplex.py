"""The smallest value of a convex quadratic over shares, with a proof."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_SMALL = 1e-12  # a share that counts as nothing


class Shares(NamedTuple):
    """Shares, and how far above the smallest value they can lie."""

    weights: Float[np.ndarray, " parts"]
    """At least 0, sum 1."""
    gap: float
    """Frank and Wolfe's: no shares have a value lower by more than this."""


def shares(quadratic: Float[np.ndarray, "parts parts"], linear: Float[np.ndarray, " parts"], *,
           tolerance: float = 1e-12) -> Shares:  # fmt: skip
    """Shares w that minimise w'Qw - 2 b'w, exactly: an active set, never a step size.

    Take in the part along which the value falls fastest, go to the minimum of the flat through the
    parts in use, drop those whose share would turn negative, repeat. The gradient's
    `w'g - min_j g_j` bounds from above what is left to gain, and is handed back.

    Args:
        quadratic: Q, symmetric. Negative eigenvalues, which unbiased estimates have, count as 0.
        linear: b.
        tolerance: The gap at which to stop, relative to the largest entry.

    Returns:
        The shares and the gap of the value they were made for.

    Reference:
        M. Frank and P. Wolfe, "An algorithm for quadratic programming", Naval Research Logistics
        Quarterly, 1956, for the gap.

    Example:
        >>> found = shares(np.eye(2), np.array([0.75, 0.25]))
        >>> found.weights, found.gap < 1e-12
        (array([0.75, 0.25]), True)
    """
    q = _convex(quadratic)
    scale = max(float(np.abs(q).max()), float(np.abs(linear).max()), 1e-300)
    used = np.zeros(len(q), dtype=bool)
    used[np.argmin(np.diag(q) - 2 * linear)] = True
    w = used.astype(float)
    best = Shares(w, np.inf)
    for _ in range(20 * len(q)):
        slope = 2 * (q @ w - linear)
        gap = float(max(w @ slope - slope.min(), 0.0))
        if gap < best.gap:
            best = Shares(w.copy(), gap)
        newcomer = int(slope.argmin())
        if gap <= tolerance * scale or used[newcomer]:
            break
        used[newcomer] = True
        w, used = _settled(q, linear, w=w, used=used)
    return best


def _settled(
    q: np.ndarray, linear: np.ndarray, *, w: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The minimum over the parts in use, as far as shares stay positive."""
    while True:
        wanted = np.zeros_like(w)
        wanted[used] = _on_flat(q[np.ix_(used, used)], linear[used])
        falling = used & (wanted <= _SMALL)
        if not falling.any():
            return wanted, used
        drop = np.where(falling, w / np.maximum(w - wanted, 1e-300), np.inf)
        step = min(float(drop.min()), 1.0)
        w = np.maximum(w + step * (wanted - w), 0.0)
        used = used & ~(falling & (drop <= step))
        w = np.where(used, w, 0.0) / w[used].sum()


def _on_flat(q: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """The minimum with sum 1 and either sign."""
    count = len(q)
    system = np.ones((count + 1, count + 1))
    system[:count, :count], system[count, count] = q, 0.0
    return np.asarray(np.linalg.lstsq(system, np.append(linear, 1.0), rcond=1e-13)[0][:count])


def _convex(q: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((q + q.T) / 2)
    if values[0] >= 0:
        return np.asarray((q + q.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
