"""Mined outliers as a class of their own."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn.functional import cross_entropy

from limen._core.errors import UsageError
from limen.ood.seen import View
from limen.train.losses import Loss


@dataclass(frozen=True)
class NTOM:
    """Cross-entropy of informative outliers with a last, extra class; lower is more outlying.

    The network has C + 1 outputs, the last for outliers. Candidates are ordered by their
    probability p of that class, hardest (smallest p) first; of N candidates the `keep` share
    from position `floor(quantile N)` on is learnt, the rest ignored: neither the mislabelled
    hardest ones nor those that teach nothing any more. Published weight 1; score with
    `limen.ood.scores.extra_class`.

    Mining is part of the objective, not of the batches, because it asks the network: the
    candidates are the batch's outliers, so draw 1 / `keep` as many as are to be learnt. As
    published the candidates are a pool scored once an epoch; here each is scored in the pass that
    trains it and is never out of date. Its mean is over rows that the batch chose, so that
    accumulated micro-batches are refused: they would choose others.

    Args:
        quantile: Where the kept share begins, 0 to 1 - `keep`; larger is easier.
        keep: Share of the candidates to learn, above 0 and at most 1.

    Raises:
        UsageError: A value out of range.

    Reference:
        Chen, Li, Wu, Liang, Jha, ATOM: Robustifying Out-of-distribution Detection Using Outlier
        Mining, ECML PKDD 2021 (NTOM is its variant without attacks; quantile 0.125, pool 4 times
        what is learnt).

    Example:
        >>> NTOM().hardest(torch.tensor([0.9, 0.1, 0.5, 0.3, 0.2, 0.8, 0.7, 0.6])).tolist()
        [4, 3]
    """

    quantile: float = 0.125
    keep: float = 0.25
    weight: ClassVar[float] = 1.0
    extra_classes: ClassVar[int] = 1
    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UsageError(f"keep={self.keep} must be above 0 and at most 1")
        if not 0 <= self.quantile <= 1 - self.keep:
            raise UsageError(f"quantile={self.quantile} must lie in 0 to 1 - keep={1 - self.keep}")

    def __call__(self, view: View) -> dict[str, Loss]:
        """The loss of the batch's mined outliers.

        Args:
            view: What the step has seen.

        Returns:
            "outlier", at least 0.
        """
        logits = view.require_outliers().logits
        mined = logits[self.hardest(logits.detach().softmax(-1)[:, -1])]
        last = torch.full((len(mined),), logits.shape[1] - 1, device=logits.device)
        return {"outlier": cross_entropy(mined, last)}

    def hardest(self, background: torch.Tensor) -> torch.Tensor:
        """Which candidates are learnt, hardest first.

        Args:
            background: Probability of the last class for each candidate.

        Returns:
            Their positions; one at least.
        """
        first = int(self.quantile * len(background))
        kept = max(1, round(self.keep * len(background)))
        first = min(first, len(background) - kept)
        return background.argsort(stable=True)[first : first + kept]
