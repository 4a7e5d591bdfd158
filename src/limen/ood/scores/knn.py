"""Distance to the k-th nearest training feature."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from limen._core.errors import UsageError
from limen._core.optional import require
from limen.measure.arrays import Array, like, of_width, tensor
from limen.measure.moments import chunks
from limen.ood.scores.kept import Kept
from limen.ood.scores.nearest import best

SLACK = 8  # neighbours on either side of the k-th, which rounded products may have swapped


@dataclass(eq=False)
class KNN(Kept):
    """Distance to the k-th nearest training feature; higher = more outlying.

    `||f - f_(k)||_2`, of features divided by their length, against all of them. Neighbours are put
    in order by products of blocks, `||g||^2 - 2 f . g` about the mean, and the distances of those
    around the k-th are then taken again from differences, since products in float32 cannot tell a
    distance of 1e-4 from 0.

    Args:
        k: Which neighbour, at least 1; 50 is usual for CIFAR-10, 200 for CIFAR-100 and 1000
            for ImageNet.
        normalise: Divide features by their length first.
        engine: "blocks", or "faiss" for faiss's flat index, which finds the same candidates.

    Raises:
        UsageError: `k` below 1 or above the number of training rows; an unknown engine; not fitted;
            not finite.

    Reference:
        Y. Sun, Y. Ming, X. Zhu and Y. Li, "Out-of-distribution detection with deep nearest
        neighbors", ICML 2022.

    Example:
        >>> import numpy as np
        >>> score = KNN(k=2, normalise=False).fit(np.array([[0.0], [1.0], [5.0]]))
        >>> score(np.array([[0.0], [6.0]]))
        array([1., 5.])
    """

    k: int = 50
    normalise: bool = True
    engine: str = "blocks"
    sees: ClassVar[tuple[str, ...]] = ("features",)
    fits: ClassVar[tuple[str, ...]] = ("features",)
    mean: Tensor | None = field(default=None, init=False, repr=False)
    points: Tensor | None = field(default=None, init=False, repr=False)
    half: Tensor | None = field(default=None, init=False, repr=False)  # of their squared lengths

    def __post_init__(self) -> None:
        if self.k < 1 or self.engine not in ("blocks", "faiss"):
            raise UsageError(
                f"k={self.k} must be at least 1 and engine={self.engine!r} 'blocks' or 'faiss'"
            )

    @torch.no_grad()
    def fit(self, features: Float[Array, "rows width"]) -> "KNN":
        """Keep the training features, centred.

        Args:
            features: Of inliers, at least k rows.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Fewer than k rows, or not finite.
        """
        x = tensor("features", features)
        if len(x) < self.k:
            raise UsageError(f"features must have at least k={self.k} rows, got {len(x)}; lower k")
        points = normalize(x) if self.normalise else x
        self.mean = points.mean(0)
        self.points = points - self.mean
        self.half = self.points.square().sum(1) / 2
        return self

    @torch.no_grad()
    def __call__(self, features: Float[Array, "rows width"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.

        Returns:
            At least 0, one for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width, or not finite.
        """
        x = tensor("features", features)
        mean, points, half = self._held("mean", "points", "half", to=x.device)
        x = of_width("features", x, len(mean)).to(mean)
        queries = (normalize(x) if self.normalise else x) - mean
        low, high = max(0, self.k - 1 - SLACK), min(self.k + SLACK, len(points))
        if self.engine == "faiss":
            near = _by_faiss(queries, points, high)
        else:
            _, near = best(queries, points, half, k=high)
        around = near[:, low:]
        parts = chunks(queries, around, per_row=(high - low) * len(mean))
        found = [(points[at] - q[:, None]).norm(dim=2) for q, at in parts]
        return like(torch.cat(found).kthvalue(self.k - low, dim=1).values, features)


def _by_faiss(queries: Tensor, points: Tensor, count: int) -> Tensor:
    faiss = require("faiss", extra="vision")
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points.float().cpu().numpy())
    _, columns = index.search(queries.float().cpu().numpy(), count)
    return torch.from_numpy(columns).to(queries.device)
