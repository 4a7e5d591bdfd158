"""A generator without a network: principal components, which keep distances."""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError


@dataclass(frozen=True, eq=False)
class PCAGenerator:
    """Rows from latents by principal components: `G(z) = mean + sum_j z_j s_j v_j`.

    The v_j are orthonormal and s_j the standard deviation along v_j, so
    `||G(z) - G(z')|| = ||S (z - z')||`: what is disjoint in latent space stays disjoint, which a
    network cannot promise. Inliers have about unit variance along each z_j. Clipping to the data's
    range (of pixels, say) makes better pictures and gives the promise up.

    Args:
        mean: Of the rows.
        components: v, one row each.
        scales: s, at least 0.
        shape: Of one generated row.
        low: Clip below here; None does not.
        high: Clip above here; None does not.
        space: "inputs" of the network, or "features", where the head takes them directly.

    Example:
        >>> rows = torch.tensor([[1.0, 1.0], [3.0, 1.0], [5.0, 1.0]])
        >>> generator = PCAGenerator.fit(rows, width=1)
        >>> generator(torch.tensor([[1.0]]) * generator.components[:1, :1].sign())
        tensor([[5., 1.]])
    """

    mean: Float[Tensor, " numbers"]
    components: Float[Tensor, "width numbers"]
    scales: Float[Tensor, " width"]
    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    space: str = "inputs"

    def __post_init__(self) -> None:
        if self.space not in ("inputs", "features"):
            raise UsageError(f"space={self.space!r} must be 'inputs' or 'features'")

    @classmethod
    def fit(
        cls,
        rows: Float[Tensor, "rows ..."],
        *,
        width: int = 32,
        low: float | None = None,
        high: float | None = None,
        space: str = "inputs",
    ) -> "PCAGenerator":
        """The `width` strongest components of inliers, by singular values in float64.

        Args:
            rows: Inliers, as the network sees them; pictures are flattened.
            width: How many components, at most the numbers in a row and one less than the rows.
            low: Clip below here.
            high: Clip above here.
            space: "inputs", or "features" where the rows are features.

        Returns:
            The generator.

        Raises:
            UsageError: `width` is out of range.
        """
        flat = rows.flatten(1).double()
        most = min(len(flat) - 1, flat.shape[1])
        if not 1 <= width <= most:
            raise UsageError(f"width={width} must be 1 to {most} for rows of shape {rows.shape}")
        mean = flat.mean(0)
        _, sizes, found = torch.linalg.svd(flat - mean, full_matrices=False)
        scales = sizes[:width] / (len(flat) - 1) ** 0.5
        return cls(
            mean.to(rows), found[:width].to(rows), scales.to(rows),
            shape=tuple(rows.shape[1:]), low=low, high=high, space=space,
        )  # fmt: skip

    def __call__(self, latents: Float[Tensor, "rows width"]) -> Float[Tensor, "rows ..."]:
        """Rows.

        Args:
            latents: z.

        Returns:
            One for each, in the latents' place and precision.
        """
        mean, components, scales = (
            x.to(latents) for x in (self.mean, self.components, self.scales)
        )
        rows = mean + (latents * scales) @ components
        if self.low is not None or self.high is not None:
            rows = rows.clamp(self.low, self.high)
        return rows.view(-1, *self.shape)

    def encode(self, rows: Float[Tensor, "rows ..."]) -> Float[Tensor, "rows width"]:
        """The latents that come nearest to given rows.

        Args:
            rows: As those it was fitted on.

        Returns:
            `v_j . (x - mean) / s_j`; 0 where s_j is 0.
        """
        along = (rows.flatten(1) - self.mean.to(rows)) @ self.components.to(rows).T
        scales = self.scales.to(rows)
        return torch.where(scales > 0, along / scales.clamp(min=1e-30), 0.0)

    def __repr__(self) -> str:
        kept = f"{len(self.scales)} of {prod(self.shape)} components"
        clip = f"[{self.low}, {self.high}]"
        return f"PCAGenerator({kept}, scales {self.scales.sum().item():g}, {self.space}, {clip})"
