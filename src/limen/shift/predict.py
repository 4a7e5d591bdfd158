"""What a model names on every photo, however the model is given."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from limen._core.errors import UsageError
from limen.bank.outputs import array_of, refuse_non_finite
from limen.run.progress import progress
from limen.shift.cosines import cosines
from limen.shift.labels import LabelSpace, restricted_argmax
from limen.shift.models.embeddings import Embeddings
from limen.shift.models.zero_shot import ZeroShot
from limen.shift.photos import Photos

_ASKED = 256  # photos between two steps of the bar


@runtime_checkable
class Sees(Protocol):
    """Paths of photos in, a row of logits each out: all that `counter` needs of a model.

    Example:
        >>> class Always:
        ...     def logits(self, paths):
        ...         return np.tile([0.0, 1.0], (len(paths), 1))
        >>> isinstance(Always(), Sees)
        True
    """

    def logits(self, paths: Any) -> Any:
        """Rows of logits, the highest is the prediction.

        Args:
            paths: Of photos, in order.

        Returns:
            (rows, classes).
        """


def predictions(
    model: Any, photos: Photos, *, candidates: LabelSpace | None = None
) -> tuple[Int64[np.ndarray, " rows"], int | None]:
    """The class that a model names on each photo; every photo passes once.

    Args:
        model: Predictions (rows,), logits (rows, classes), `Embeddings`, or any object with
            `logits(paths)`, such as those of `limen.shift.models`.
        photos: In the order of the arrays' rows.
        candidates: Among which to choose; None: among all columns.

    Returns:
        A class for each photo, ties to the lowest number, and how many columns the model has;
        None for predictions, which do not tell.

    Raises:
        UsageError: Rows that are not one a photo, that are not finite or have fewer columns than
            classes are asked for; candidates for predictions; or something that is no model.

    Example:
        >>> photos = Photos(["a", "b"], [1, 1], [0, 1])
        >>> predictions([[0.0, 2.0], [1.0, 1.0]], photos)[0].tolist()
        [1, 0]
    """
    if isinstance(model, Embeddings | ZeroShot):
        return _by_cosine(model, photos, candidates)
    if isinstance(model, Sees):
        return _by_logits(_asked(model, photos), photos, candidates)
    found = _array(model)
    if found.ndim == 2:
        return _by_logits(found, photos, candidates)
    if candidates is not None:
        raise UsageError("candidates need logits or embeddings; predictions are already chosen")
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise UsageError(
            "model must be predictions (whole numbers, one a photo), logits (rows, classes), "
            f"Embeddings or have logits(paths), as a network in limen.shift.models.Classifier has; "
            f"got {type(model).__name__}: {found.dtype} of shape {found.shape}"
        )
    _refuse_rows("predictions", len(found), photos)
    return found.astype(np.int64), None


def _by_cosine(
    model: Embeddings | ZeroShot, photos: Photos, candidates: LabelSpace | None
) -> tuple[Int64[np.ndarray, " rows"], int]:
    """By the highest cosine, block by block: the cosines of all photos are never held at once.

    Raises:
        UsageError: Another number of rows, too few classes, or widths that differ.
    """
    rows, columns = model.embed(photos.paths), len(model.texts)
    _refuse_rows("embeddings", len(rows), photos)
    _refuse_columns(columns, photos)
    if rows.shape[1] != model.texts.shape[1]:
        raise UsageError(
            f"image and text embeddings must have one width, got {rows.shape[1]} and "
            f"{model.texts.shape[1]}; both must come from one pair"
        )
    found, done = np.empty(len(rows), np.int64), 0
    for block in cosines(rows, model.texts):
        at = slice(done, done + len(block))
        found[at] = _best(block, photos.labels[at], candidates)
        done += len(block)
    return found, columns


def _by_logits(
    logits: Any, photos: Photos, candidates: LabelSpace | None
) -> tuple[Int64[np.ndarray, " rows"], int]:
    rows = _array(logits)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise UsageError(f"logits must be numbers, (rows, classes), got {rows.dtype} {rows.shape}")
    _refuse_rows("logits", len(rows), photos)
    _refuse_columns(rows.shape[1], photos)
    refuse_non_finite(rows, what="logits")
    return _best(rows, photos.labels, candidates), rows.shape[1]


def _best(
    rows: np.ndarray, labels: np.ndarray, candidates: LabelSpace | None
) -> Int64[np.ndarray, " rows"]:
    if candidates is None:
        return rows.argmax(axis=1)
    return restricted_argmax(rows, labels, candidates)


def _asked(model: Sees, photos: Photos) -> np.ndarray:
    """Logits of all photos; limen's own models are asked once, and show their progress.

    Raises:
        UsageError: Not a row a photo, or columns that change between photos.
    """
    if type(model).__module__.startswith("limen."):
        return _array(model.logits(photos.paths))
    parts = []
    with progress(f"asking {type(model).__name__}", total=len(photos)) as advance:
        for start in range(0, len(photos), _ASKED):
            paths = photos.paths[start : start + _ASKED]
            part = _array(model.logits(paths))
            if part.ndim != 2 or len(part) != len(paths):
                raise UsageError(
                    f"logits of {len(paths)} photos must be as many rows, got shape {part.shape}"
                )
            parts.append(part)
            advance(len(paths))
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise UsageError(f"logits must have the same columns for all photos, got {sorted(widths)}")
    return np.concatenate(parts)


def _array(values: Any) -> np.ndarray:
    try:
        return array_of(values)
    except ValueError as ragged:
        raise UsageError(f"model must be an array with rows of one length: {ragged}") from ragged


def _refuse_rows(what: str, rows: int, photos: Photos) -> None:
    if rows != len(photos):
        raise UsageError(
            f"{what} must have one row for each of {len(photos)} photos, in their order, got {rows}"
        )


def _refuse_columns(columns: int, photos: Photos) -> None:
    highest = int(photos.classes[-1])
    if columns <= highest:
        raise UsageError(
            f"the model must have a column for class {highest} ({photos.names[highest]}), got "
            f"{columns}; give the photos the numbers of its columns"
        )
