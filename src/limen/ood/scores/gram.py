"""Deviation of feature statistics from the ranges that training has seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError
from limen._core.streams import torch_stream
from limen.measure.arrays import Array, like, of_width, tensor
from limen.measure.moments import chunks
from limen.ood.scores.kept import Kept

EDGE = 1e-6  # added to the size of a bound that is divided by


@dataclass(eq=False)
class Gram(Kept):
    """Deviation of Gram statistics from their training ranges; higher = more outlying.

    `sum_l d_l / E[d_l]` over layers l, with `d_l = sum_s max(0, m_s - g_s) / |m_s| + max(0, g_s -
    M_s) / |M_s|`: how far each statistic g of the feature maps leaves the range [m, M] that it had
    over the training rows predicted as the same class. The expectation is over training rows held
    out of the ranges. A class predicted for no training row has the range of all rows.

    Args:
        held_out: Share of each predicted class that the expectation is taken over, from 0 to 0.5; a
            layer without deviations there is not rescaled.
        seed: Draws the rows that are held out.

    Raises:
        UsageError: `held_out` out of range; not fitted; not finite; `layers` that do not add up.

    Reference:
        C. S. Sastry and S. Oore, "Detecting out-of-distribution examples with Gram matrices",
        ICML 2020. Departures: the expectation is over training rows that are held out, there over
        part of the test inliers, so that judging sees the test inliers once; statistics are those
        of `limen.bank.Grams`.

    Example:
        >>> import numpy as np
        >>> grams, logits = np.array([[1.0], [2.0], [4.0], [8.0]]), np.eye(2)[[0, 0, 1, 1]]
        >>> score = Gram(held_out=0.0).fit(logits, grams)    # ranges [1, 2] and [4, 8]
        >>> score(np.eye(2), np.array([[5.0], [5.0]])).round(4)    # (5 - 2) / 2; inside
        array([1.5, 0. ])
    """

    held_out: float = 0.1
    seed: int = 0
    sees: ClassVar[tuple[str, ...]] = ("logits", "grams")
    fits: ClassVar[tuple[str, ...]] = ("logits", "grams", "layers")
    low: Tensor | None = field(default=None, init=False, repr=False)
    high: Tensor | None = field(default=None, init=False, repr=False)
    expected: Tensor | None = field(default=None, init=False, repr=False)
    widths: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.held_out <= 0.5:
            raise UsageError(f"held_out={self.held_out} must be from 0 to 0.5")

    @torch.no_grad()
    def fit(
        self,
        logits: Float[Array, "rows classes"],
        grams: Float[Array, "rows statistics"],
        layers: Sequence[int] | None = None,
    ) -> "Gram":
        """Find the ranges of each predicted class, and each layer's expected deviation.

        Args:
            logits: Of inliers.
            grams: Statistics of their feature maps.
            layers: How many columns of `grams` belong to each layer; without, all to one.

        Returns:
            This score, fitted.

        Raises:
            UsageError: Not finite; `layers` that do not add up.
        """
        z, g = tensor("logits", logits), tensor("grams", grams)
        widths = list(layers or (g.shape[1],))
        if sum(widths) != g.shape[1] or min(widths) < 1:
            raise UsageError(f"layers={widths} must add up to the {g.shape[1]} columns of grams")
        guess = z.argmax(1)
        apart = _stratified(guess, self.held_out, self.seed)
        self.low, self.high = _ranges(g[~apart], guess[~apart], z.shape[1])
        self.widths = torch.tensor(widths)
        self.expected = torch.ones(len(widths), dtype=torch.float64)
        if apart.any():
            mean = self._deviations(guess[apart], g[apart]).mean(0).cpu()
            self.expected = torch.where(mean > 0, mean, 1.0)
        return self

    def __call__(
        self, logits: Float[Array, "rows classes"], grams: Float[Array, "rows statistics"]
    ) -> Float[Array, " rows"]:
        """The scores.

        Args:
            logits: One row for each input.
            grams: Statistics of its feature maps.

        Returns:
            At least 0, one for each row, of the kind of `logits`.

        Raises:
            UsageError: Not fitted; another number of columns, or not finite.
        """
        z, g = tensor("logits", logits), tensor("grams", grams)
        low, expected = self._held("low", "expected", to=g.device)
        z, g = of_width("logits", z, len(low)), of_width("grams", g, low.shape[1])
        return like((self._deviations(z.argmax(1), g) / expected).sum(1), logits)

    def _deviations(self, guess: Tensor, grams: Tensor) -> Tensor:
        """How far the statistics of each layer leave their ranges, (rows, layers)."""
        low, high, widths = self._held("low", "high", "widths", to=grams.device)
        layer = torch.repeat_interleave(torch.arange(len(widths), device=grams.device), widths)
        parts = []
        for g, name in chunks(grams, guess):
            m, most = low[name].double(), high[name].double()
            beyond = (m - g).clamp(min=0) / (m.abs() + EDGE)
            beyond += (g - most).clamp(min=0) / (most.abs() + EDGE)
            parts.append(beyond.new_zeros(len(g), len(widths)).index_add_(1, layer, beyond))
        return torch.cat(parts)


def _ranges(grams: Tensor, guess: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Least and greatest statistics of each predicted class."""
    rows = [grams[guess == name] for name in range(classes)]
    rows = [own if len(own) else grams for own in rows]
    return torch.stack([own.amin(0) for own in rows]), torch.stack([own.amax(0) for own in rows])


def _stratified(guess: Tensor, share: float, seed: int) -> Tensor:
    """A share of the rows of each predicted class, drawn at random and rounded down."""
    shuffled = torch.randperm(len(guess), generator=torch_stream(seed, "gram")).to(guess.device)
    order = shuffled[guess[shuffled].argsort(stable=True)]
    count = torch.bincount(guess)
    rank = torch.arange(len(guess), device=guess.device) - (count.cumsum(0) - count)[guess[order]]
    apart = torch.zeros_like(guess, dtype=torch.bool)
    apart[order] = rank < (count[guess[order]] * share).floor()
    return apart
