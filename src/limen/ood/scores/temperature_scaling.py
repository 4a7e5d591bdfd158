"""Maximum softmax probability at the temperature that calibrates it."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float, Integer
from scipy.optimize import brentq
from torch import Tensor

from limen._core.errors import UsageError
from limen.measure.arrays import Array, class_labels, tensor
from limen.ood.scores.kept import Kept
from limen.ood.scores.msp import msp


@dataclass(eq=False)
class TemperatureScaling(Kept):
    """Minus the largest calibrated probability; higher = more outlying.

    `-max_k softmax(z / T)_k` with the T that minimises the negative log-likelihood of labelled
    inliers. In b = 1 / T it is convex, with derivative `mean(sum_k p_k z_k - z_y)`, so T comes
    from the root of an increasing function, found to rounding.

    Attributes:
        temperature: T, after `fit`.

    Raises:
        UsageError: Not fitted; or there is no finite T above 0.

    Reference:
        C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks",
        ICML 2017. There T is fitted on held-out rows; of a training set that the network has
        learnt by heart no T is right.

    Example:
        >>> import numpy as np
        >>> logits = np.array([[2.0, 0.0]] * 4)    # right 3 times of 4: sigmoid(2 / T) = 3 / 4
        >>> round(TemperatureScaling().fit(logits, np.array([0, 0, 0, 1])).temperature, 6)
        1.820478
    """

    sees: ClassVar[tuple[str, ...]] = ("logits",)
    fits: ClassVar[tuple[str, ...]] = ("logits", "labels")
    temperature: float | None = field(default=None, init=False)

    @torch.no_grad()
    def fit(
        self, logits: Float[Array, "rows classes"], labels: Integer[Array, " rows"]
    ) -> "TemperatureScaling":
        """Find T.

        Args:
            logits: Of inliers, best of ones that the network was not trained on.
            labels: Their classes, 0..C-1.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Every row is predicted right (the likelihood rises for ever as T -> 0), or
                they are predicted no better than by chance (as T -> infinity).
        """
        z = tensor("logits", logits).double()
        names = class_labels(labels, rows=len(z), classes=z.shape[1]).to(z.device)
        truth = z.gather(1, names[:, None])[:, 0]
        if bool((truth == z.amax(1)).all()):
            raise UsageError(
                "logits must be wrong about some of the labels for a temperature to exist, and all "
                f"{len(z)} rows are predicted right; fit on rows held out from training"
            )
        if not (z.mean(1) - truth).mean() < 0:
            raise UsageError(
                "logits must predict the labels better than chance for a temperature to exist; "
                "check that the labels belong to these rows"
            )
        self.temperature = 1 / _root(z, truth)
        return self

    def __call__(self, logits: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            logits: One row for each input.

        Returns:
            One score for each row, of the kind of `logits`.

        Raises:
            UsageError: Not fitted, or not finite.
        """
        self._refuse_unfitted()
        return msp(logits, temperature=self.temperature or 1.0)


def _root(z: Tensor, truth: Tensor) -> float:
    def slope(inverse: float) -> float:
        return float((((inverse * z).softmax(1) * z).sum(1) - truth).mean())

    high = 1.0
    while slope(high) <= 0:
        high *= 2
    return float(brentq(slope, 0.0, high, xtol=1e-14))
