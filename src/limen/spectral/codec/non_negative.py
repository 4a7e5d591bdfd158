"""The most probable spectrum that is nowhere below zero."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError, WorkError
from limen.spectral.codec.lmmse import LMMSE
from limen.spectral.codec.statistics import SpectralPrior

_PIXELS = 4096  # at a time, so that memory stays bounded
_NUMBERS = 2**22  # of all their systems of equations at a time


class NonNegative:
    """argmin over x >= 0 of `(s - A x)^T C_n^-1 (s - A x) + (x - mu)^T C_x^-1 (x - mu)`.

    LMMSE is the same without the bound, and may leave dark bands below zero. Where it does not,
    both agree. Elsewhere the bound acts through P, the error covariance of LMMSE: x = x_LMMSE + P l
    with l >= 0, x >= 0 and l = 0 wherever x > 0, which is solved exactly, for all pixels at once,
    by active sets. P is needed, its inverse never, so a covariance of low rank does no harm.

    Args:
        ridge: Added to the diagonal of C_x, as a share of its mean, above 0: the bound can then be
            met whatever the covariance.

    Raises:
        UsageError: A ridge not above 0.

    Reference:
        C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems", Prentice-Hall 1974, chapter
        23. Departures: the active set is sought for the forces l, and for many pixels at once.

    Example:
        >>> prior = SpectralPrior(torch.zeros(2), torch.tensor([[1.0, -0.5], [-0.5, 1.0]]))
        >>> one = torch.tensor([[1.0, 0.0]]), torch.tensor([1.0])
        >>> decoder = NonNegative(ridge=1e-9).fit(prior, one[0], variance=one[1])
        >>> LMMSE().fit(prior, one[0], variance=one[1])(torch.tensor([1.0])).tolist()
        [0.5, -0.25]
        >>> [round(x, 4) for x in decoder(torch.tensor([1.0])).tolist()]  # 1 / (1 + 4 / 3)
        [0.4286, 0.0]
    """

    def __init__(self, *, ridge: float = 1e-6) -> None:
        if not ridge > 0:
            raise UsageError(f"ridge must be above 0, got {ridge}; leave it out for 1e-6")
        self.ridge = ridge
        self.start = LMMSE()
        self.spread: Tensor | None = None

    def fit(
        self,
        prior: SpectralPrior,
        matrix: Float[Tensor, "channels bands"],
        *,
        variance: Float[Tensor, " channels"],
    ) -> "NonNegative":
        """Solve for LMMSE and its error covariance P, in float64.

        Args:
            prior: Statistics of training spectra.
            matrix: The encoding matrix A.
            variance: Noise variance of each channel in units of light, at least 0.

        Returns:
            self.

        Raises:
            UsageError: Another number of bands or channels.
        """
        bands = len(prior.mean)
        if matrix.shape[1] != bands or len(variance) != len(matrix):
            raise UsageError(
                f"matrix must be ({len(variance)}, {bands}) as variance and prior say, got "
                f"{tuple(matrix.shape)}; evaluate it at the prior's bands"
            )
        c = prior.covariance.to(torch.float64)
        c = c + self.ridge * c.diagonal().mean().clamp_min(1e-300) * torch.eye(bands).to(c)
        self.start.fit(SpectralPrior(prior.mean, c), matrix, variance=variance)
        assert self.start.weight is not None
        left = torch.eye(bands).to(c) - self.start.weight @ matrix.detach().to(c)
        noise = self.start.weight * variance.detach().to(c)
        # as a sum of squares, so that rounding leaves it symmetric and positive
        self.spread = left @ c @ left.T + noise @ self.start.weight.T
        return self

    def __call__(self, signal: Float[Tensor, "*lead channels"]) -> Float[Tensor, "*lead bands"]:
        """Spectra from channels.

        Args:
            signal: Encoded light, channels last.

        Returns:
            Spectra in the signal's precision, at least 0.

        Raises:
            UsageError: Not fitted yet.
            WorkError: P is too close to singular for the signal; raise ridge.
        """
        if self.spread is None:
            raise UsageError("NonNegative must be fitted before it decodes; call fit first")
        free = self.start(signal.to(torch.float64))
        flat = free.reshape(-1, free.shape[-1]).clone()
        rows = (flat < 0).any(dim=1).nonzero()[:, 0]
        spread = self.spread.to(flat)
        for part in rows.split(_PIXELS):
            flat[part] = _bounded(spread, flat[part])
        return flat.reshape(free.shape).to(signal)

    def to_dict(self) -> dict[str, Any]:
        """The map and P."""
        return {"ridge": self.ridge, "start": self.start.to_dict(), "spread": self.spread}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "NonNegative":
        """The inverse of `to_dict`."""
        found = cls(ridge=float(data["ridge"]))
        found.start, found.spread = LMMSE.from_dict(data["start"]), data["spread"]
        return found


def _bounded(spread: Tensor, free: Tensor) -> Tensor:
    """Solve x = free + P l with l >= 0, x >= 0 and l x = 0 by active sets, all rows at once.

    A row holds at zero the band that is farthest below it, solves for the forces l, and lets go of
    bands that would be pulled down, until no band is below zero. Each round lowers the same convex
    function, so no set comes twice.

    Raises:
        WorkError: It does not end, for rounding.
    """
    unit = spread.diagonal().sqrt()
    spread, left = spread / unit / unit[:, None], free / unit
    small = 1e-10 * left.abs().amax(dim=1)  # beneath what float64 leaves of P l
    result, rows = left.clone(), torch.arange(len(left), device=left.device)
    held, barred = (
        torch.zeros_like(left, dtype=torch.bool),
        torch.zeros_like(left, dtype=torch.bool),
    )
    force, newest = torch.zeros_like(left), left.argmin(dim=1)
    held[rows, newest] = True
    for _ in range(10 * left.shape[1] + 100):
        asked = _forces(spread, left, held)
        down = held & (asked <= 0)
        stuck = down.any(dim=1)
        # towards the forces asked for as far as all are still at least 0
        share = torch.where(down, force / (force - asked), torch.inf).amin(dim=1).nan_to_num(0.0)
        step = torch.where(stuck, share.clamp(0, 1), 1.0)[:, None]
        force = torch.where(held, force + step * (asked - force), 0)
        gone = down & (force <= 1e-12 * force.amax(dim=1, keepdim=True))
        at_once = gone.gather(1, newest[:, None]) & stuck[:, None]
        barred = (barred & stuck[:, None]).scatter(1, newest[:, None], at_once)
        held, force = held & ~gone, torch.where(gone, 0, force)
        spectrum = torch.where(held, 0, left + force @ spread)
        lowest, newest_now = torch.where(held | barred, 0, spectrum).min(dim=1)
        done = ~stuck & (lowest >= -small)
        add = ~stuck & ~done
        newest = torch.where(add, newest_now, newest)
        held = held.scatter(1, newest[:, None], held.gather(1, newest[:, None]) | add[:, None])
        result[rows[done]] = spectrum[done]
        on = ~done
        rows, left, small, held = rows[on], left[on], small[on], held[on]
        barred, force, newest = barred[on], force[on], newest[on]
        if len(rows) == 0:
            return (result * unit).clamp_min(0)
    raise WorkError(f"{len(rows)} spectra found no bound; raise ridge, or mask what is no light")


def _forces(spread: Tensor, free: Tensor, held: Tensor) -> Tensor:
    """The l that brings the held bands to zero, and is 0 elsewhere."""
    most = max(int(held.sum(dim=1).max()), 1)
    # the held bands first, padded with bands whose force is solved to be none
    order = torch.argsort(held.to(torch.uint8), dim=1, descending=True, stable=True)[:, :most]
    kept = held.gather(1, order)
    target = torch.where(kept, -free.gather(1, order), 0)
    solved = torch.empty_like(target)
    for part in torch.arange(len(free), device=free.device).split(max(1, _NUMBERS // most**2)):
        bands, real = order[part], kept[part]
        inner = spread[bands[:, :, None], bands[:, None, :]] * (real[:, :, None] & real[:, None])
        inner = inner + torch.diag_embed((~real).to(inner))
        solved[part] = torch.linalg.solve(inner, target[part])
    return torch.zeros_like(free).scatter(1, order, solved)
