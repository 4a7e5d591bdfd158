"""A CLIP-like pair with its classes: photos in, one logit for each class name out."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.shift.cosines import cosines
from limen.shift.models.unit import unit


@runtime_checkable
class Encoder(Protocol):
    """Photos to unit rows in the space of the texts."""

    def embed(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows width"]:
        """Unit rows."""


class ZeroShot:
    """A classifier out of class embeddings: `logit = scale cos(image, class) + bias`.

    The prediction is the class of the highest cosine; `scale` and `bias` are the pair's own and
    change probabilities, never the prediction. Ties go to the lowest index.

    Args:
        encoder: What embeds photos.
        texts: Class embeddings, (classes, width), of any length above 0.
        labels: Names of the classes; None: not known.
        scale: Above 0.
        bias: Added to every logit.
        name: What tables call it.
        prompts: What was asked of the text encoder, kept for the record; JSON values.

    Raises:
        UsageError: Embeddings without direction or not finite, another number of labels, or a
            scale that is not positive.

    Example:
        >>> class Eye:
        ...     def embed(self, images, batch=64):
        ...         return np.float32(images)
        >>> ZeroShot(Eye(), [[0.0, 2.0], [3.0, 0.0]], scale=10.0).logits([[1.0, 0.0]]).tolist()
        [[0.0, 10.0]]
    """

    def __init__(
        self,
        encoder: Encoder,
        texts: Any,
        *,
        labels: Any = None,
        scale: float = 1.0,
        bias: float = 0.0,
        name: str = "zero-shot",
        prompts: dict[str, Any] | None = None,
    ):
        self.encoder, self.texts = encoder, unit("texts", texts)
        self.labels = None if labels is None else [str(label) for label in labels]
        if self.labels is not None and len(self.labels) != len(self.texts):
            raise UsageError(
                f"labels must be one for each text embedding, got {len(self.labels)} for "
                f"{len(self.texts)}"
            )
        if not 0 < scale < float("inf"):
            raise UsageError(f"scale={scale} must be above 0")
        self.scale, self.bias, self.name = scale, bias, name
        self.prompts = dict(prompts or {})

    def embed(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows width"]:
        """Unit rows of photos.

        Args:
            images: As the encoder takes them.
            batch: How many go through the network at once.

        Returns:
            float32.
        """
        return self.encoder.embed(images, batch)

    def logits(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows classes"]:
        """Rows of logits.

        Args:
            images: As the encoder takes them.
            batch: How many go through the network at once.

        Returns:
            float32.

        Raises:
            UsageError: The rows' width is not that of the class embeddings.
        """
        rows = self.cosines(images, batch)
        return rows if (self.scale, self.bias) == (1.0, 0.0) else np.float32(
            self.scale
        ) * rows + np.float32(self.bias)  # fmt: skip

    def cosines(self, images: Any, batch: int = 64) -> Float[np.ndarray, "rows classes"]:
        """Cosines between photos and classes.

        Args:
            images: As the encoder takes them.
            batch: How many go through the network at once.

        Returns:
            float32, -1 to 1.

        Raises:
            UsageError: The rows' width is not that of the class embeddings.
        """
        rows = self.encoder.embed(images, batch)
        if rows.shape[1] != self.texts.shape[1]:
            raise UsageError(
                "image and text embeddings must have one width, got "
                f"{rows.shape[1]} and {self.texts.shape[1]}; both must come from one pair"
            )
        return np.concatenate(list(cosines(np.asarray(rows, np.float32), self.texts)))
