"""Simplified Hopfield energy."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import Array, class_labels, like, of_width, tensor
from limen.ood.scores.kept import Kept


@dataclass(eq=False)
class SHE(Kept):
    """Minus the inner product with the predicted class's pattern; higher = more outlying.

    `-f . s_y`, y the predicted class and s_y the mean feature of the training rows of class y that
    are predicted right: what an associative memory has stored of the class.

    Raises:
        UsageError: Not fitted; not finite; labels not 0..C-1; a class never predicted right.

    Reference:
        J. Zhang, Q. Fu, X. Chen, L. Du, Z. Li, G. Wang, X. Liu, S. Han and D. Zhang,
        "Out-of-distribution detection based on in-distribution data patterns memorization with
        modern Hopfield energy", ICLR 2023: the inner product of its experiments, not the
        log-sum-exp over stored rows.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
        >>> score = SHE().fit(features, features, np.array([0, 0, 1]))
        >>> score(np.array([[2.0, 1.0]]), np.array([[2.0, 1.0]]))
        array([-4.])
    """

    sees: ClassVar[tuple[str, ...]] = ("features", "logits")
    fits: ClassVar[tuple[str, ...]] = ("features", "logits", "labels")
    patterns: Tensor | None = field(default=None, init=False, repr=False)

    @torch.no_grad()
    def fit(
        self,
        features: Float[Array, "rows width"],
        logits: Float[Array, "rows classes"],
        labels: Integer[Array, " rows"],
    ) -> "SHE":
        """Average the features of each class's rows that are predicted right.

        Args:
            features: Of inliers.
            logits: Of the same rows.
            labels: Their classes, 0..C-1.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite; labels not 0..C-1; a class never predicted right.
        """
        x, z = tensor("features", features), tensor("logits", logits)
        names = class_labels(labels, rows=len(x), classes=z.shape[1]).to(x.device)
        right = z.argmax(1) == names
        count = torch.bincount(names[right], minlength=z.shape[1])
        if not count.all():
            missing = (count == 0).nonzero().flatten().tolist()
            raise UsageError(
                "every class must have training rows that are predicted right, "
                f"{len(missing)} of {len(count)} have none, such as {missing[:5]}"
            )
        sums = x.new_zeros(len(count), x.shape[1], dtype=torch.float64)
        sums.index_add_(0, names[right], x[right].double())
        self.patterns = sums / count[:, None]
        return self

    def __call__(
        self, features: Float[Array, "rows width"], logits: Float[Array, "rows classes"]
    ) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.
            logits: Of the same rows.

        Returns:
            One for each row, of the kind of `features`.

        Raises:
            UsageError: Not fitted; another width or number of classes, or not finite.
        """
        x = tensor("features", features)
        (patterns,) = self._held("patterns", to=x.device)
        x = of_width("features", x, patterns.shape[1])
        guess = tensor("logits", logits, columns=len(patterns)).argmax(1)
        return like(-(x * patterns[guess]).sum(1), features)
