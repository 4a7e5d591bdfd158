"""Where a distribution is thin: its unlikeliest draws, and its draws from a region."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import chi2
from torch import Tensor

from limen._core.errors import UsageError


def gaussian_tails(
    mean: Float[Tensor, " width"],
    covariance: Float[Tensor, "width width"],
    *,
    draws: int,
    select: int,
    stream: torch.Generator,
) -> Float[Tensor, "{select} width"]:
    """The `select` unlikeliest of `draws` points from N(mean, covariance), unlikeliest first.

    The others are not drawn. A Gaussian's density falls with the Mahalanobis distance, whose square
    is chi-squared; so the largest order statistics of `draws` chi-squared numbers, in uniform
    directions, have the law that drawing and sorting would give.

    Args:
        mean: Centre.
        covariance: Symmetric and positive definite.
        draws: How many points to choose from.
        select: How many are wanted, 1 to `draws`.
        stream: Random numbers, on the CPU.

    Returns:
        The points, in the mean's precision and place.

    Raises:
        UsageError: `select` is out of range, or the covariance is not positive definite.

    Reference:
        The outliers of Du, Wang, Cai, Li, VOS: Learning What You Don't Know by Virtual Outlier
        Synthesis, ICLR 2022, equation 3, which draws all and sorts.

    Example:
        >>> stream = torch.Generator().manual_seed(0)
        >>> points = gaussian_tails(torch.zeros(2), torch.eye(2), draws=10_000, select=3,
        ...                         stream=stream)
        >>> bool((points.norm(dim=-1) > 3).all())  # the chance is exp(-9/2) = 1 in 90 for each draw
        True
    """
    if not 1 <= select <= draws:
        raise UsageError(f"select={select} must be 1 to draws={draws}")
    factor, failed = torch.linalg.cholesky_ex(covariance.double())
    if failed.item():
        raise UsageError("covariance must be positive definite; add a small multiple of identity")
    (points,) = normal_tails(1, len(mean), draws=draws, select=select, stream=stream)
    return (mean.double() + points.to(factor) @ factor.T).to(mean)


def normal_tails(
    groups: int, width: int, *, draws: int, select: int, stream: torch.Generator
) -> Float[Tensor, "{groups} {select} {width}"]:
    """For each group the `select` longest of `draws` standard normal vectors, longest first.

    Args:
        groups: How many times.
        width: Length of a vector.
        draws: As for `gaussian_tails`; so are all that follow.
        select: Likewise.
        stream: Likewise.

    Returns:
        The vectors, float64.

    Example:
        >>> stream = torch.Generator().manual_seed(0)
        >>> tuple(normal_tails(3, 5, draws=100, select=2, stream=stream).shape)
        (3, 2, 5)
    """
    uniform = torch.rand(groups, select, dtype=torch.float64, generator=stream)
    left = torch.arange(draws, draws - select, -1)
    above = -torch.expm1((uniform.log() / left).cumsum(-1)).numpy()  # P(one draw is longer)
    lengths = torch.from_numpy(np.sqrt(chi2.isf(above, width)))
    ways = torch.randn(groups, select, width, dtype=torch.float64, generator=stream)
    return lengths[..., None] * ways / ways.norm(dim=-1, keepdim=True)


class Kept(NamedTuple):
    """Draws from a region.

    Attributes:
        rows: The draws.
        rate: Share of all draws that fell into the region.

    Example:
        >>> Kept(torch.zeros(3, 2), rate=0.5).rate
        0.5
    """

    rows: Float[Tensor, "rows width"]
    rate: float


def rejected(
    draw: Callable[[int], Float[Tensor, "rows width"]],
    keep: Callable[[Float[Tensor, "rows width"]], Bool[Tensor, " rows"]],
    count: int,
    *,
    hopeless: float = 1e-3,
) -> Kept:
    """Exact draws from the part of a distribution where `keep` holds.

    Draws and throws away, so the kept rows have the distribution's own law inside the region.

    Args:
        draw: That many fresh independent rows.
        keep: Which rows lie in the region.
        count: How many rows are wanted.
        hopeless: Give up below this share of kept rows.

    Returns:
        `count` rows, and the share of draws that were kept.

    Raises:
        UsageError: Fewer than a share `hopeless` of the draws is kept.

    Example:
        >>> stream = torch.Generator().manual_seed(0)
        >>> rows, rate = rejected(lambda n: torch.rand(n, 1, generator=stream),
        ...                       lambda x: x[:, 0] > 0.75, 1000)
        >>> len(rows), abs(rate - 0.25) < 0.05
        (1000, True)
    """
    parts, tried, found, rate = [], 0, 0, 1.0
    while found < count:
        rows = draw(max(64, int(1.1 * (count - found) / max(rate, hopeless))))
        good = rows[keep(rows)]
        parts.append(good)
        tried, found = tried + len(rows), found + len(good)
        rate = found / tried
        if tried >= 10 / hopeless and rate < hopeless:
            raise UsageError(
                f"the region is too small to draw from: {found} of {tried} draws fell into it; "
                "widen the whole or narrow what is left out"
            )
    return Kept(torch.cat(parts)[:count] if parts else draw(0), rate)
