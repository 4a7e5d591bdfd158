"""Mixtures of inliers and outliers, with confidence that fades with the inlier's share."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from limen._core.errors import UsageError
from limen.ood.objectives.losses import oe
from limen.ood.seen import View
from limen.train.losses import Loss

HOW = ("mixup", "cutmix")


@dataclass(frozen=True)
class MixOE:
    """Cross-entropy of mixed rows with equally mixed targets; lower fades more evenly.

    Each inlier x of class y meets one outlier o. The mixture, `s x + (1 - s) o` or x with a patch
    of o, has the target `s onehot(y) + (1 - s) u`, u uniform, so
    `L = s CE(z, y) + (1 - s) (logsumexp(z) - mean z)`, a mean over mixtures. One
    `s ~ Beta(alpha, alpha)` a batch; for a patch, s becomes the exact share of inlier pixels. The
    mixtures lie between inliers and outliers, where fine-grained outliers are.

    Args:
        alpha: Of the Beta distribution, above 0; small keeps mixtures close to one of the two.
        how: "mixup", or "cutmix" for pictures (rows, channels, height, width).

    Raises:
        UsageError: A value out of range, or rows that cannot be mixed.

    Reference:
        Zhang et al., Mixture Outlier Exposure, WACV 2023, with its defaults alpha = 1, weight 1.

    Example:
        >>> MixOE(how="cutmix").alpha
        1.0
    """

    alpha: float = 1.0
    how: str = "mixup"
    weight: ClassVar[float] = 1.0
    forwards: ClassVar[str] = "inliers"
    counts: ClassVar[str] = "inliers"

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise UsageError(f"alpha={self.alpha} must be positive and finite")
        if self.how not in HOW:
            raise UsageError(f"how={self.how!r} must be one of {', '.join(HOW)}")

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's mixtures, from one more pass.

        Args:
            view: What the step has seen.

        Returns:
            "outlier".
        """
        inputs, outliers = self._rows(view)
        stream = view.stream("MixOE")
        partner = torch.randint(len(outliers), (len(inputs),), generator=stream)
        if len(outliers) >= len(inputs):
            partner = torch.randperm(len(outliers), generator=stream)[: len(inputs)]
        share = _beta(self.alpha, stream)
        mixed, share = self.mixed(
            inputs, outliers[partner.to(outliers.device)], share=share, stream=stream
        )
        logits = view.forward(mixed).logits
        return {"outlier": share * cross_entropy(logits, view.labels) + (1 - share) * oe(logits)}

    def mixed(
        self, inputs: Tensor, outliers: Tensor, *, share: float, stream: torch.Generator
    ) -> tuple[Tensor, float]:
        """Mixtures, row by row.

        Args:
            inputs: Inliers.
            outliers: As many outliers.
            share: The inliers' share, 0 to 1.
            stream: Where the patch lies.

        Returns:
            The mixtures and the inliers' share in them, exact also for a patch.
        """
        if self.how == "mixup":
            return share * inputs + (1 - share) * outliers, share
        high, wide = inputs.shape[-2:]
        tall, broad = (round(side * sqrt(1 - share)) for side in (high, wide))
        top = int(torch.randint(high - tall + 1, (1,), generator=stream))
        left = int(torch.randint(wide - broad + 1, (1,), generator=stream))
        patch = (..., slice(top, top + tall), slice(left, left + broad))
        mixtures = inputs.clone()
        mixtures[patch] = outliers[patch]
        return mixtures, 1 - tall * broad / (high * wide)

    def _rows(self, view: View) -> tuple[Tensor, Tensor]:
        """Inliers and outliers, where they can be mixed.

        Raises:
            UsageError: They cannot.
        """
        inputs, outliers = view.inputs, view.outliers
        if not isinstance(inputs, Tensor) or outliers is None or not inputs.is_floating_point():
            raise UsageError(
                "MixOE mixes rows of numbers with outliers: give float tensors of both"
            )
        outliers = cast("Tensor", outliers)
        if inputs.shape[1:] != outliers.shape[1:] or (self.how == "cutmix" and inputs.dim() != 4):
            raise UsageError(
                f"MixOE(how={self.how!r}) needs inliers and outliers of one shape"
                f"{' (rows, channels, height, width)' if self.how == 'cutmix' else ''}; got "
                f"{tuple(inputs.shape)} and {tuple(outliers.shape)}"
            )
        return inputs, outliers


def _beta(alpha: float, stream: torch.Generator) -> float:
    """A draw from Beta(alpha, alpha), by two gamma draws."""
    gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=stream)
    total = float(gammas.sum())
    return float(gammas[0]) / total if total else 0.5
