"""Norm of the gradient towards the uniform prediction."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure.arrays import Array, like, tensor


@dataclass(frozen=True)
class GradNorm:
    """Minus the L1 norm of the last layer's gradient; higher = more outlying.

    Of `KL(uniform || softmax(z / T))` with respect to the last layer's weight. The gradient is the
    outer product of `(softmax(z / T) - 1/C) / T` and the feature f, so its norm is

        `||softmax(z / T) - 1/C||_1 ||f||_1 / T`,

    and no backward pass is needed.

    Args:
        temperature: T, above 0.

    Raises:
        UsageError: `temperature` is not positive; features or logits not finite.

    Reference:
        R. Huang, A. Geng and Y. Li, "On the importance of gradients for detecting distributional
        shifts in the wild", NeurIPS 2021.

    Example:
        >>> import numpy as np
        >>> GradNorm()(np.array([[3.0, -1.0]]), np.log([[0.75, 0.25]])).round(6)    # -(.5 * 4)
        array([-2.])
    """

    temperature: float = 1.0
    sees: ClassVar[tuple[str, ...]] = ("features", "logits")

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature={self.temperature} must be positive and finite")

    def __call__(
        self, features: Float[Array, "rows width"], logits: Float[Array, "rows classes"]
    ) -> Float[Array, " rows"]:
        """The scores.

        Args:
            features: One row for each input.
            logits: Of the same rows.

        Returns:
            At most 0, one for each row, of the kind of `features`.

        Raises:
            UsageError: Not finite.
        """
        x, z = tensor("features", features), tensor("logits", logits)
        gap = ((z / self.temperature).softmax(-1) - 1 / z.shape[-1]).abs().sum(-1)
        return like(-gap * x.abs().sum(-1) / self.temperature, features)
