"""Distance to the decision boundaries, for the distance from the training mean."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from limen.measure.arrays import Array, like, of_width, tensor
from limen.ood.scores.head import head
from limen.ood.scores.kept import Kept
from limen.ood.scores.sharing import moments_of


@dataclass(eq=False)
class FDBD(Kept):
    """Minus the mean distance to the decision boundaries, regularised; higher = more outlying.

    `-mean_{c != y} (z_y - z_c) / (||w_y - w_c|| ||f - mu||)`, y the predicted class and mu the mean
    of the training features: in feature space, how far the input would have to move to be taken for
    another class, against how far it is from the data. Classes with the same weights have no
    boundary, and count as distance 0.

    Raises:
        UsageError: Not fitted; features or logits not finite.

    Reference:
        L. Liu and Y. Qin, "Fast decision boundary based out-of-distribution detector", ICML 2024.

    Example:
        >>> import numpy as np
        >>> score = FDBD().fit(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[2.0, 0], [-2, 0]]))
        >>> score(np.array([[3.0, 4.0]]), np.array([[6.0, -6.0]]))    # -(12 / 4) / 5
        array([-0.6])
    """

    sees: ClassVar[tuple[str, ...]] = ("features", "logits")
    fits: ClassVar[tuple[str, ...]] = ("features", "weight")
    mean: Tensor | None = field(default=None, init=False, repr=False)
    apart: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def fit(
        self, features: Float[Array, "rows width"], weight: Float[Array, "classes width"]
    ) -> "FDBD":
        """Find the mean of the features and the distances between the class weights.

        Args:
            features: Of inliers.
            weight: Of the last layer.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite, or the widths differ.
        """
        self.mean = moments_of(features).total.mean[0]
        w, _ = head(weight, None, width=len(self.mean))
        exact = w.double()
        apart = torch.cdist(exact, exact, compute_mode="donot_use_mm_for_euclid_dist")
        self.apart = apart.masked_fill(apart == 0, torch.inf)
        return self

    def __call__(
        self, features: Float[Array, "rows width"], logits: Float[Array, "rows classes"]
    ) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.
            logits: Of the same rows.

        Returns:
            At most 0, one for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width or number of classes, or not finite.
        """
        x = tensor("features", features)
        mean, apart = self._held("mean", "apart", to=x.device)
        x = of_width("features", x, len(mean)).double()
        z = tensor("logits", logits, columns=len(apart)).double()
        largest, guess = z.max(1)
        boundary = ((largest[:, None] - z) / apart[guess]).sum(1) / (z.shape[1] - 1)
        distance = (x - mean).norm(dim=1).clamp(min=1e-12)
        return like(-boundary / distance, features)
