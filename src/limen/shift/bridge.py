"""A ridge regression from image features to text embeddings: a bridge, not a CLIP."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers
from limen.measure.arrays import class_labels
from limen.shift.models.unit import unit


class Bridge:
    """Image features mapped linearly into the space of class-name embeddings; zero-shot by cosine.

    For class prototypes p_c (mean features, or a classifier's weight rows) and text embeddings
    t_c, both less their means over the classes, W minimises

        sum_c norm(W' p_c - t_c)^2 + decay m norm(W)^2,    m the mean squared length of the p_c.

    A photo x has logits `cos(W' (x - mean p), t - mean t)` for any texts t, also of classes that
    were never fitted. The mean text is taken away on both sides: what all class names share says
    nothing of the class, and in sentence encoders it is most of the vector.

    It is a bridge and not a CLIP. The two encoders were never trained together; a sentence encoder
    knows what words mean, not what things look like; and the image encoder has seen its own
    classes with labels. It serves to walk every step of the zero-shot path with files that pip
    installs. No robustness of CLIP can be concluded from it. `held_out` measures what it is worth.

    Args:
        decay: Of W, in units of the prototypes' mean squared length; above 0.

    Raises:
        UsageError: `decay` not positive.

    Reference:
        The map is that of B. Romera-Paredes and P. H. S. Torr, "An embarrassingly simple approach
        to zero-shot learning", ICML 2015, without their second regulariser, on prototypes in place
        of photos, and centred.

    Example:
        >>> bridge = Bridge(decay=1e-6).fit(np.eye(3), np.eye(3)[[1, 2, 0]])
        >>> bridge.logits([[5.0, 0.0, 0.0]], np.eye(3)).argmax(1).tolist()
        [1]
    """

    def __init__(self, decay: float = 1.0):
        if not 0 < decay < float("inf"):
            raise UsageError(f"decay={decay} must be above 0")
        self.decay = float(decay)
        self.weight = np.zeros((0, 0))
        self.image_mean = self.text_mean = np.zeros(0)

    def fit(self, features: Any, texts: Any, *, labels: Any = None) -> "Bridge":
        """Fit to prototypes, or to the class means of features.

        Args:
            features: Prototypes (classes, width) in the order of `texts`; with `labels`, features
                of photos (rows, width).
            texts: Text embeddings of the classes, (classes, text width), of any length above 0.
            labels: Class 0..C-1 of each row; every class must have a row.

        Returns:
            This bridge, fitted.

        Raises:
            UsageError: Arrays that are not finite matrices, counts that do not match, fewer than
                two classes, prototypes all alike, or a class without a row.
        """
        goals = unit("texts", texts).astype(np.float64)
        rows = _matrix("features", features)
        prototypes = rows if labels is None else class_means(rows, labels, len(goals))
        if len(prototypes) != len(goals) or len(goals) < 2:
            raise UsageError(
                "a bridge needs two classes or more, and a prototype for each text; got "
                f"{len(prototypes)} prototypes and {len(goals)} texts"
            )
        self.image_mean, self.text_mean = prototypes.mean(0), goals.mean(0)
        apart = prototypes - self.image_mean
        gram = apart @ apart.T
        length = float(np.trace(gram)) / len(gram)
        if length <= 1e-12 * float((prototypes**2).sum(1).mean()):
            raise UsageError("features must differ between classes; all prototypes are alike")
        gram[np.diag_indices_from(gram)] += self.decay * length
        self.weight = apart.T @ np.linalg.solve(gram, goals - self.text_mean)
        return self

    def embed(self, features: Any) -> Float[np.ndarray, "rows width"]:
        """Unit rows of photos in the centred space of the texts.

        Args:
            features: (rows, width).

        Returns:
            float32.

        Raises:
            UsageError: Not fitted, another width, not finite, or a row that W maps to nothing.
        """
        rows = _matrix("features", features)
        self._refuse(rows, "features", len(self.weight))
        return unit("bridged features", (rows - self.image_mean) @ self.weight)

    def place(self, texts: Any) -> Float[np.ndarray, "texts width"]:
        """Unit rows of texts in the space of `embed`.

        Args:
            texts: Text embeddings, (texts, text width).

        Returns:
            float32.

        Raises:
            UsageError: Not fitted, another width, not finite, or a text equal to the mean text.
        """
        rows = unit("texts", texts).astype(np.float64)
        self._refuse(rows, "texts", len(self.text_mean))
        return unit("texts less the mean text", rows - self.text_mean)

    def logits(self, features: Any, texts: Any) -> Float[np.ndarray, "rows classes"]:
        """Cosines between photos and texts; the highest is the prediction.

        Args:
            features: (rows, width).
            texts: Text embeddings of any classes, (classes, text width).

        Returns:
            float32, -1 to 1.

        Raises:
            UsageError: As `embed` and `place`.
        """
        return self.embed(features) @ self.place(texts).T

    def to_dict(self) -> dict[str, Any]:
        """Options and what was fitted, for `limen.save`."""
        return {
            "decay": self.decay,
            "weight": self.weight,
            "image_mean": self.image_mean,
            "text_mean": self.text_mean,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Bridge":
        """Rebuild what `to_dict` gave."""
        found = cls(float(state["decay"]))
        for name in ("weight", "image_mean", "text_mean"):
            setattr(found, name, numbers(name, state[name]))
        return found

    def _refuse(self, rows: np.ndarray, name: str, width: int) -> None:
        if not self.weight.size:
            raise UsageError("the bridge must be fitted first: Bridge().fit(prototypes, texts)")
        if rows.shape[1] != width:
            raise UsageError(f"{name} must have the {width} columns of fit, got {rows.shape[1]}")


def _matrix(name: str, values: Any) -> np.ndarray:
    found = finite(name, numbers(name, values))
    if found.ndim != 2 or not found.size:
        raise UsageError(f"{name} must have shape (rows, width), got {found.shape}")
    return found


def class_means(
    rows: Float[np.ndarray, "rows width"], labels: Any, classes: int
) -> Float[np.ndarray, "classes width"]:
    """Mean features of each class 0..classes-1.

    Raises:
        UsageError: Labels that are not integers of these classes, or a class without a row.

    Example:
        >>> class_means(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1]), 2).tolist()
        [[2.0], [5.0]]
    """
    names = class_labels(np.asarray(labels), rows=len(rows), classes=classes).numpy()
    counts = np.bincount(names, minlength=classes)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        raise UsageError(
            f"every class must have a row of features; {len(empty)} have none, the first is class "
            f"{empty[0]}"
        )
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, names, rows)
    return sums / counts[:, None]
