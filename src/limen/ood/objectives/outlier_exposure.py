"""Outlier exposure: be unsure of outliers."""

from dataclasses import dataclass
from typing import ClassVar

from limen.ood.objectives.losses import oe
from limen.ood.seen import View
from limen.train.losses import Loss


@dataclass(frozen=True)
class OutlierExposure:
    """Cross-entropy from the uniform distribution on outliers; lower is less sure of any class.

    `L = mean_i logsumexp(z_i) - mean_k z_ik` over outliers i. The mean is over outliers alone, so
    the same outliers twice change nothing. Weight 0.5 is usual for pictures, 1 for text; score
    with MSP.

    Reference:
        Hendrycks, Mazeika, Dietterich, Deep Anomaly Detection with Outlier Exposure, ICLR 2019.

    Example:
        >>> OutlierExposure()
        OutlierExposure()
    """

    weight: ClassVar[float] = 0.5

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's outliers.

        Args:
            view: What the step has seen.

        Returns:
            "outlier", at least log C.
        """
        return {"outlier": oe(view.require_outliers().logits)}
