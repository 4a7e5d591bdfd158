"""How long to expose: the rule decides which encoder looks best, so it has a name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from limen._core.errors import UsageError, nearest

RULES = ("equal_exposure", "full_well")


@dataclass(frozen=True)
class Exposure:
    """Electrons for each unit of light: the same for every encoder, or as many as the well holds.

    equal_exposure: g = share FW / white: white through T = 1 fills that share, and filters that
    pass more light collect more. full_well: g = share FW / (white max_c A_c 1): white fills the
    share under the brightest channel, narrow filters are exposed for longer.

    Args:
        rule: "equal_exposure" or "full_well".
        share: Share of the full well that white fills, in (0, 1].
        white: Radiance or reflectance that counts as white, above 0.

    Raises:
        UsageError: An unknown rule, or a number outside its range.

    Example:
        >>> matrix = torch.tensor([[0.1, 0.1], [0.2, 0.3]])
        >>> rules = Exposure("equal_exposure"), Exposure("full_well")
        >>> [round(float(rule.gain(matrix, full_well=1000.0))) for rule in rules]
        [800, 1600]
    """

    rule: str = "equal_exposure"
    share: float = 0.8
    white: float = 1.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UsageError(
                f"rule must be one of {', '.join(RULES)}, got {self.rule!r}; "
                f"did you mean {nearest(self.rule, RULES, count=1)}?"
            )
        if not 0 < self.share <= 1:
            raise UsageError(f"share must lie in (0, 1], got {self.share}; give a share of a well")
        if not (isfinite(self.white) and self.white > 0):
            raise UsageError(f"white must be positive, got {self.white}; give white's light")

    def gain(
        self,
        matrix: Float[Tensor, "channels bands"],
        *,
        full_well: float,
        sharpness: float | None = None,
    ) -> Float[Tensor, ""]:
        """Electrons for each unit of A l.

        Args:
            matrix: The encoding matrix A, whose rows sum to what white gives.
            full_well: Electrons that a pixel holds.
            sharpness: For training, the soft maximum logsumexp(sharpness A 1) / sharpness in place
                of the maximum, whose gradient reaches one channel only; None for the maximum.

        Returns:
            A scalar, differentiable in `matrix`.
        """
        full = self.share * full_well / self.white
        if self.rule == "equal_exposure":
            return torch.as_tensor(full, dtype=matrix.dtype, device=matrix.device)
        white = matrix.sum(dim=1)
        if sharpness is None:
            return full / white.max()
        scaled = white * sharpness / white.detach().max()
        top = torch.logsumexp(scaled, dim=0) / sharpness * white.detach().max()
        return full / top

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Exposure":
        """The inverse of `to_dict`."""
        return cls(**data)
