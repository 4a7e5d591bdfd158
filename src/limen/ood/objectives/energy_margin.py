"""Energies of inliers and outliers pushed to two sides of a gap."""

from dataclasses import dataclass
from typing import ClassVar

from torch.nn.functional import relu

from limen._core.errors import UsageError
from limen.ood.objectives.losses import full
from limen.ood.seen import View
from limen.train.losses import Loss


@dataclass(frozen=True)
class EnergyMargin:
    """Squared hinges that hold the energy of inliers below `m_in`, of outliers above `m_out`.

    With energy `E = -logsumexp(z)`:
    `L = mean_inliers relu(E - m_in)^2 + mean_outliers relu(m_out - E)^2`; 0 where both margins
    hold. Score with energy; weight 0.1 is the published one. Suitable margins grow with the
    network's logits: take `m_in` near the mean energy of the training set, `m_out` well above.
    Both means come as one loss, so accumulated micro-batches should have one proportion of
    inliers to outliers, as those of `pairs` have.

    Args:
        m_in: Energy that inliers should stay below; -23 as published for CIFAR-10, -27 for
            CIFAR-100.
        m_out: Energy that outliers should stay above; must not be below `m_in`.

    Raises:
        UsageError: `m_out` is below `m_in`.

    Reference:
        Liu, Wang, Owens, Li, Energy-based Out-of-distribution Detection, NeurIPS 2020, equation 8.

    Example:
        >>> EnergyMargin().m_out
        -5.0
    """

    m_in: float = -23.0
    m_out: float = -5.0
    weight: ClassVar[float] = 0.1
    forwards: ClassVar[str] = "both"

    def __post_init__(self) -> None:
        if not -float("inf") < self.m_in <= self.m_out < float("inf"):
            raise UsageError(
                f"m_out={self.m_out} must not be below m_in={self.m_in}: outliers have the higher "
                "energy, -logsumexp of the logits"
            )

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's inliers and outliers.

        Args:
            view: What the step has seen.

        Returns:
            "outlier", at least 0.
        """
        inlier = -full(view.inlier.logits).logsumexp(-1)
        outlier = -full(view.require_outliers().logits).logsumexp(-1)
        below = relu(inlier - self.m_in).square().mean()
        above = relu(self.m_out - outlier).square().mean()
        return {"outlier": below + above}
