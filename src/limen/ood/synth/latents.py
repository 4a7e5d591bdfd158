"""Two regions of a latent space that cannot meet: one for inliers, one for outliers."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limen._core.errors import UsageError
from limen.search.tails import Kept, rejected


@dataclass(frozen=True, eq=False)
class Latents:
    """A Gaussian for each class, and the uniform cube around them without the classes' regions.

    Class c lives where `||F_c^-1 (z - mu_c)|| <= margin`, its Gaussian `N(mu_c, F_c F_c^T)` cut off
    there; outliers are uniform on `[-half_width, half_width]^d` outside every such region. Both are
    exact draws (rejection), so the two supports are disjoint, not merely unlikely to meet. With
    margin `3 sqrt(d)` the cut removes almost nothing of a Gaussian.

    Args:
        means: mu, one row a class.
        spread: sigma, for `F_c = sigma I`; or F, a lower triangular factor for each class.
        half_width: Of the cube.
        margin: Radius of a class's region in standard deviations; None means `3 sqrt(d)`.

    Raises:
        UsageError: A value out of range.

    Reference:
        Zheng et al., Out-of-distribution Detection Learning with Unreliable Out-of-distribution
        Sources, NeurIPS 2023, take a region of high density; its threshold is not known to us, and
        this one is geometric. The released code rejects nothing.

    Example:
        >>> latents = Latents(torch.tensor([[2.0], [-2.0]]), spread=0.2, half_width=4.0)
        >>> rows, rate = latents.outliers(1000, stream=torch.Generator().manual_seed(0))
        >>> bool(((rows.abs() - 2).abs() > 0.6).all()), abs(rate - 0.7) < 0.1
        (True, True)
    """

    means: Float[Tensor, "classes width"]
    spread: float | Float[Tensor, "classes width width"] = 0.2
    half_width: float = 4.0
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.means.ndim != 2 or not self.means.numel() or not self.means.isfinite().all():
            raise UsageError(
                f"means must be finite (classes, width); got {tuple(self.means.shape)}"
            )
        wide = self.spread.diagonal(dim1=-2, dim2=-1) if isinstance(self.spread, Tensor) else None
        bad = not (wide > 0).all() if wide is not None else not 0 < float(self.spread) < 1e30
        if bad or not 0 < self.half_width < float("inf") or not self.reach > 0:
            raise UsageError("spread, half_width and margin must be positive")

    @classmethod
    def corners(
        cls,
        classes: int,
        *,
        stream: torch.Generator,
        width: int = 100,
        mean: float = 5.0,
        sigma: float = 0.1,
        cube: float = 4.0,
    ) -> "Latents":
        """Means at random corners `(+-mean, ..., +-mean)` of a cube, as in the released code.

        Its CIFAR-10 settings are the defaults here; for CIFAR-100 mean 1.2 and sigma 0.5.

        Args:
            classes: How many.
            stream: Random numbers.
            width: d.
            mean: Size of each coordinate.
            sigma: Standard deviation of each class.
            cube: Width of the outliers' cube in units of `mean`.

        Returns:
            The latents.
        """
        signs = torch.randint(0, 2, (classes, width), generator=stream) * 2.0 - 1
        return cls(mean * signs, spread=sigma, half_width=mean * cube / 2)

    @classmethod
    def anchored(
        cls,
        codes: Float[Tensor, "rows width"],
        labels: Int[Tensor, " rows"],
        *,
        spread: float | None = 0.25,
        half_width: float = 4.0,
        shrink: float = 0.1,
    ) -> "Latents":
        """Means at the class means of encoded inliers, so that class c's draws look like class c.

        Args:
            codes: Inliers in latent space, `PCAGenerator.encode` of them for example; of about unit
                variance, which `half_width` counts in.
            labels: Their classes, 0 to C - 1, each present.
            spread: sigma; None fits each class's covariance.
            half_width: Of the cube.
            shrink: Where fitted, share of the way from a class's covariance to its mean variance
                times the identity, above 0.

        Returns:
            The latents.

        Raises:
            UsageError: A class has no rows, or two are needed.

        Example:
            >>> codes = torch.tensor([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0]])
            >>> Latents.anchored(codes, torch.tensor([0, 0, 1])).means
            tensor([[1., 1.],
                    [5., 5.]])
        """
        counts = torch.bincount(labels)
        if int(counts.min()) < (1 if spread is not None else 2):
            few = int(counts.argmin())
            raise UsageError(f"every class needs rows; class {few} has {int(counts[few])}")
        parts = [codes[labels == c] for c in range(len(counts))]
        means = torch.stack([part.mean(0) for part in parts])
        if spread is not None:
            return cls(means, spread=spread, half_width=half_width)
        factors = [_factor(part - part.mean(0), shrink) for part in parts]
        return cls(means, spread=torch.stack(factors), half_width=half_width)

    @property
    def width(self) -> int:
        """Numbers in a latent, d."""
        return self.means.shape[1]

    @property
    def reach(self) -> float:
        """The margin, in standard deviations."""
        return float(3 * self.width**0.5 if self.margin is None else self.margin)

    def inliers(
        self, labels: Int[Tensor, " rows"], *, stream: torch.Generator
    ) -> Float[Tensor, "rows width"]:
        """A draw of each label's class, inside its region.

        Args:
            labels: Classes.
            stream: Random numbers.

        Returns:
            One row for each label.

        Raises:
            UsageError: The margin cuts all but nothing off.
        """
        labels = labels.to(self.means.device)
        noise = rejected(
            lambda n: torch.randn(n, self.width, generator=stream),
            lambda rows: rows.norm(dim=-1) <= self.reach,
            len(labels),
        ).rows.to(self.means)
        if isinstance(self.spread, Tensor):
            return self.means[labels] + (self.spread[labels] @ noise[..., None])[..., 0]
        return self.means[labels] + self.spread * noise

    def outliers(self, count: int, *, stream: torch.Generator) -> Kept:
        """Uniform draws from the cube outside every class's region.

        Args:
            count: How many.
            stream: Random numbers.

        Returns:
            The rows, and the share of draws that were kept.

        Raises:
            UsageError: The classes' regions fill the cube, all but a thousandth.
        """
        draws = rejected(
            lambda n: self.half_width * (2 * torch.rand(n, self.width, generator=stream) - 1),
            lambda rows: (self.distances(rows.to(self.means)) > self.reach).all(-1).cpu(),
            count,
        )
        return Kept(draws.rows.to(self.means), draws.rate)

    def distances(self, rows: Float[Tensor, "rows width"]) -> Float[Tensor, "rows classes"]:
        """Standard deviations from each row to each class's mean.

        Args:
            rows: Latents.

        Returns:
            `||F_c^-1 (z - mu_c)||`; a row is in class c's region up to `reach`.
        """
        if isinstance(self.spread, Tensor):
            gaps = (rows[None] - self.means[:, None]) @ self._inverse.mT
            return gaps.norm(dim=-1).T
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cdist(rows, self.means, compute_mode=exact) / self.spread

    def __repr__(self) -> str:
        kind = "fitted" if isinstance(self.spread, Tensor) else f"{self.spread:g}"
        sum_, squares = self.means.sum().item(), self.means.square().sum().item()
        return (
            f"Latents({tuple(self.means.shape)} means of sum {sum_:g}, squares {squares:g}; "
            f"spread {kind}, half_width {self.half_width:g}, margin {self.reach:g})"
        )

    @cached_property
    def _inverse(self) -> Tensor:
        factors = torch.as_tensor(self.spread)
        eye = torch.eye(self.width).to(factors)
        return torch.linalg.solve_triangular(factors, eye.expand_as(factors), upper=False)


def _factor(centred: Tensor, shrink: float) -> Tensor:
    """Cholesky factor of a class's shrunk covariance."""
    covariance = centred.T @ centred / (len(centred) - 1)
    round_ = covariance.diagonal().mean().clamp(min=1e-12) * torch.eye(centred.shape[1]).to(centred)
    return torch.linalg.cholesky(torch.lerp(covariance, round_, shrink))
