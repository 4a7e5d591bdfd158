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


class NonNegative:
    """argmin over x >= 0 of `(s - A x)^T C_n^-1 (s - A x) + (x - mu)^T C_x^-1 (x - mu)`.

    LMMSE is the same without the bound, and may leave dark bands below zero. Where it does not,
    both agree. Elsewhere the bound acts through P, the error covariance of LMMSE: x = x_LMMSE + P l
    with l >= 0, x >= 0 and l = 0 wherever x > 0, which is solved exactly, for all pixels at once,
    by changing which bands are at zero until none is wrong. P is needed, its inverse never, so a
    covariance of low rank does no harm.

    Args:
        ridge: Added to the diagonal of C_x, as a share of its mean, above 0: the bound can then be
            met whatever the covariance.

    Raises:
        UsageError: A ridge not above 0.

    Reference:
        J. J. Judice and F. M. Pires, "A block principal pivoting algorithm for large-scale strictly
        monotone linear complementarity problems", Computers & Operations Research 1994; J. Kim and
        H. Park, "Fast nonnegative matrix factorization: an active-set-like method and comparisons",
        SIAM Journal on Scientific Computing 2011, for its use on many problems at once.

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
    """Solve x = free + P l with l >= 0, x >= 0 and l x = 0 by block principal pivoting.

    All wrong bands change sides at once while that makes them fewer; after three tries that do
    not, only the last wrong band does, which is slow and always ends.

    Raises:
        WorkError: It does not end, for rounding.
    """
    bands = free.shape[1]
    small = 1e-10 * free.abs().amax(dim=1, keepdim=True)  # beneath what float64 leaves of P l
    at_zero = free < 0  # where l acts
    least = torch.full((len(free),), bands + 1, device=free.device)
    tries = torch.full_like(least, 3)
    result, open_rows = free.clone(), torch.arange(len(free), device=free.device)
    for _ in range(20 * bands + 100):
        force, spectrum = _forced(spread, free[open_rows], at_zero[open_rows])
        held = at_zero[open_rows]
        weak = -1e-10 * force.abs().amax(dim=1, keepdim=True)
        wrong = (held & (force < weak)) | (~held & (spectrum < -small[open_rows]))
        count = wrong.sum(dim=1)
        result[open_rows] = spectrum
        fewer = count < least[open_rows]
        least[open_rows] = torch.where(fewer, count, least[open_rows])
        tries[open_rows] = torch.where(fewer, 3, tries[open_rows] - 1)
        last = bands - 1 - wrong.flip(1).to(torch.uint8).argmax(dim=1)
        single = torch.zeros_like(wrong).scatter_(1, last[:, None], True)  # noqa: FBT003
        swap = wrong & (single | (tries[open_rows] >= 0)[:, None])
        at_zero[open_rows] ^= swap
        open_rows = open_rows[count > 0]
        if len(open_rows) == 0:
            return result.clamp_min(0)
    raise WorkError(
        f"{len(open_rows)} spectra found no bound; raise ridge, or mask what is no light"
    )


def _forced(spread: Tensor, free: Tensor, at_zero: Tensor) -> tuple[Tensor, Tensor]:
    """The l that holds the given bands at zero, and the spectrum under it."""
    most = int(at_zero.sum(dim=1).max())
    if most == 0:
        return torch.zeros_like(free), free
    # the bands at zero first, padded with bands whose force is solved to be none
    order = torch.argsort(at_zero.to(torch.uint8), dim=1, descending=True, stable=True)[:, :most]
    held = at_zero.gather(1, order)
    inner = spread[order[:, :, None], order[:, None, :]] * (held[:, :, None] & held[:, None, :])
    inner = inner + torch.diag_embed((~held).to(inner))
    scale = inner.diagonal(dim1=1, dim2=2).rsqrt()
    target = torch.where(held, -free.gather(1, order), 0) * scale
    scaled = inner * scale[:, :, None] * scale[:, None, :]
    part = torch.linalg.solve(scaled, target) * scale
    force = torch.zeros_like(free).scatter_(1, order, part)
    spectrum = free + force @ spread
    return force, torch.where(at_zero, 0, spectrum)
