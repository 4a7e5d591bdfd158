"""What `shift` needs of a model."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class Model(Protocol):
    """Photos in, one row of logits each out; whatever has these two methods is a model here.

    `Classifier`, `ZeroShot` and `Embeddings` are such models; so is a class of one's own.

    Example:
        >>> class Constant:
        ...     def logits(self, images, batch=64):
        ...         return np.tile(np.float32([0, 1]), (len(images), 1))
        ...     def embed(self, images, batch=64):
        ...         return np.ones((len(images), 1), np.float32)
        >>> isinstance(Constant(), Model)
        True
    """

    def embed(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows width"]:
        """Rows of features, float32.

        Args:
            images: Paths, PIL images, or an array of prepared pixels.
            batch: How many go through the network at once.
        """

    def logits(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows classes"]:
        """Rows of logits, float32; the highest is the prediction.

        Args:
            images: Paths, PIL images, or an array of prepared pixels.
            batch: How many go through the network at once.
        """
