"""Few enough dimensions for a convex hull to mean something."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError

_FLAT = 1e-12  # of the largest variance: a direction that does not vary


class Space(NamedTuple):
    """Rows in the leading principal components, centred."""

    points: Float[np.ndarray, "rows dimensions"]
    kept: float
    """Share of the variance that is left, 0 to 1."""
    told: tuple[str, ...]


def space(
    features: Float[np.ndarray, "rows width"], *, dimensions: int = 16, whiten: bool = False
) -> Space:
    """Rows centred and, where wider than `dimensions`, in their leading principal components.

    Every distance in the components is at most the one in all columns. Above about 16 dimensions
    hardly any row lies in the hull of the others, whatever the data, and hull growth would rank
    noise.

    Args:
        features: Finite rows.
        dimensions: The most to keep, at least 1.
        whiten: Whether every kept direction gets variance 1: rare directions then count as much as
            common ones. Needed where columns have different units.

    Returns:
        The rows there, the share of variance kept, and a sentence if any was lost.

    Raises:
        UsageError: `dimensions` below 1.

    Example:
        >>> found = space(np.array([[0.0, 0.0], [4.0, 2.0], [0.0, 2.0], [4.0, 0.0]]), dimensions=1)
        >>> np.abs(found.points[:, 0]).tolist(), found.kept
        ([2.0, 2.0, 2.0, 2.0], 0.8)
    """
    if dimensions < 1:
        raise UsageError(f"dimensions={dimensions} must be at least 1")
    centred = features - features.mean(0)
    width = centred.shape[1]
    if width <= dimensions and not whiten:
        return Space(centred, 1.0, ())
    variance, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    total = float(variance.clip(min=0).sum())
    order = np.argsort(-variance, kind="stable")[: min(dimensions, width)]
    order = order[variance[order] > _FLAT * variance.max()] if total > 0 else order[:1]
    kept = float(variance[order].sum()) / total if total > 0 else 1.0
    points = centred @ axes[:, order]
    if whiten and total > 0:
        points = points / np.sqrt(variance[order])
    return Space(points, kept, _told(width, dimensions, kept))


def _told(width: int, dimensions: int, kept: float) -> tuple[str, ...]:
    if width <= dimensions:
        return ()
    return (f"reduced from {width} to {dimensions} dimensions, {kept:.0%} of the variance kept",)


def sentence(told: Any) -> str:
    """What a rule told, as one line; empty where it told nothing."""
    return "; ".join(told)
