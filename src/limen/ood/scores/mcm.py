"""Maximum concept matching, for image-text pairs."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure.arrays import Array, tensor
from limen.ood.scores.msp import msp


@dataclass(frozen=True)
class MCM:
    """Minus the softmax of the best-matching concept; higher = more outlying.

    `-max_k softmax(s / T)_k` with s the cosine similarity of an image to the text of each class, as
    a CLIP-like model gives without any training on the classes. With T = 1 the softmax is almost
    flat and keeps the cosine's order between inputs; the scale that CLIP was trained with (1/100)
    would saturate it.

    Args:
        temperature: T, above 0; the paper takes 1.

    Raises:
        UsageError: `temperature` is not positive, or the similarities are no cosines.

    Reference:
        Y. Ming, Z. Cai, J. Gu, Y. Sun, W. Li and Y. Li, "Delving into out-of-distribution detection
        with vision-language representations", NeurIPS 2022.

    Example:
        >>> import numpy as np
        >>> MCM(temperature=1.0)(np.array([[0.5, 0.5]]))
        array([-0.5])
    """

    temperature: float = 1.0
    sees: ClassVar[tuple[str, ...]] = ("logits",)

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UsageError(f"temperature={self.temperature} must be positive and finite")

    def __call__(self, similarities: Float[Array, "rows classes"]) -> Float[Array, " rows"]:
        """The scores.

        Args:
            similarities: Cosines, each in [-1, 1]; a CLIP logit is its logit scale (100) times one.

        Returns:
            One score for each row, of the kind of `similarities`.

        Raises:
            UsageError: Not finite, or outside [-1, 1].
        """
        largest = tensor("similarities", similarities).abs().max().item()
        if largest > 1.01:  # half precision rounds a cosine of 1 up
            raise UsageError(
                f"similarities must be cosines in [-1, 1], got one of size {largest:.3g}; "
                "divide CLIP's logits by its logit scale"
            )
        return msp(similarities, temperature=self.temperature)
