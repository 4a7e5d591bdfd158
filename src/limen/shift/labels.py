"""Which names a model may choose from: all of them, or the few that are easily confused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.bank.outputs import array_of, refuse_non_finite
from limen.shift.cosines import cosines
from limen.shift.models.embeddings import Embeddings
from limen.shift.models.zero_shot import ZeroShot
from limen.shift.photos import Photos


@dataclass(frozen=True, eq=False)
class LabelSpace:
    """For each true class the candidates among which a model must choose; fewer are easier.

    Attributes:
        candidates: Classes by true class, the likest first.
        put_in: True classes that were not among their own likest and took the last place.

    Raises:
        UsageError: No class, a class without candidates or with one twice, or negative numbers.

    Example:
        >>> space = LabelSpace({9: [9, 10, 136]})
        >>> space.size, space.classes.tolist()
        (3, [9])
    """

    candidates: Mapping[Any, Sequence[int]]  # JSON has text for numbers
    put_in: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        try:
            found = {int(y): tuple(map(int, own)) for y, own in self.candidates.items()}
        except (AttributeError, TypeError, ValueError) as odd:
            raise UsageError(f"candidates must be lists of classes by class: {odd}") from odd
        for true, own in found.items():
            if not own or len(set(own)) < len(own) or min(own) < 0:
                raise UsageError(
                    f"class {true} must have candidates, each once and none negative, got "
                    f"{list(own)}"
                )
        if not found:
            raise UsageError("candidates must be given for one class or more, got none")
        object.__setattr__(self, "candidates", dict(sorted(found.items())))
        object.__setattr__(self, "put_in", tuple(sorted(map(int, self.put_in))))

    @property
    def classes(self) -> Int64[np.ndarray, " classes"]:
        """The true classes, sorted."""
        return np.array(list(self.candidates), np.int64)

    @property
    def size(self) -> int:
        """How many candidates the class with most of them has."""
        return max(map(len, self.candidates.values()))

    @property
    def lacking(self) -> tuple[int, ...]:
        """True classes that are not among their own candidates: they cannot be named rightly."""
        return tuple(y for y, own in self.candidates.items() if y not in own)

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe, for `limen.save`."""
        return {
            "candidates": {str(true): list(own) for true, own in self.candidates.items()},
            "put_in": list(self.put_in),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "LabelSpace":
        """Rebuild what `to_dict` gave."""
        return cls(state["candidates"], put_in=tuple(state["put_in"]))

    @cached_property
    def _columns(self) -> Int64[np.ndarray, "classes size"]:
        """Candidates from the lowest number on; short lists repeat their last."""
        sorted_ = [sorted(own) for own in self.candidates.values()]
        return np.array([own + own[-1:] * (self.size - len(own)) for own in sorted_], np.int64)

    def of(self, labels: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, "rows size"]:
        """The candidates of each row, from the lowest number on.

        Args:
            labels: True class of each row.

        Returns:
            Columns of the model; a short list repeats its last.

        Raises:
            UsageError: A class has no candidates.
        """
        places = np.searchsorted(self.classes, labels)
        places[places == len(self.classes)] = 0
        lacking = np.setdiff1d(labels, self.classes)
        if len(lacking):
            raise UsageError(
                f"candidates must be given for every class of the photos; {len(lacking)} have "
                f"none, such as {lacking[0]}; build them from the same photos with label_space"
            )
        return self._columns[places]


def label_space(
    similarities: Any, labels: Any, *, size: int = 20, include_true: bool = True
) -> LabelSpace:
    """The `size` names that a reference pair finds likest to each class's photos.

    For a true class y with photos I_y of both groups and the cosines CS of the reference pair,

        L(y) = the `size` labels l with the largest sum over i in I_y of CS(l, i),

    ties to the lowest number. It belongs to the true class and the reference, not to the model
    that is judged, so that all models choose among the same. Build it once and save it.

    Args:
        similarities: The reference: `Embeddings`, a `ZeroShot` pair, or its cosines, (rows,
            classes), a row for each photo.
        labels: The photos (`Photos`, both groups), or the true class of each row.
        size: Candidates of each class.
        include_true: Where the true label is not among them, let it take the last place. Otherwise
            no model can be right on such a class.

    Returns:
        The candidates by class, and the classes whose own label had to be put in.

    Raises:
        UsageError: Another number of rows than labels, labels outside the classes, fewer classes
            than `size`, photos and a reference that is neither a pair nor cosines, or numbers that
            are not finite.

    Reference:
        Q. Wang, Y. Lin, Y. Chen, L. Schmidt, B. Han and T. Zhang, "A Sober Look at the Robustness
        of CLIPs to Spurious Features", NeurIPS 2024, appendix C. Departure: whether the true label
        is put in, and how, is not stated there; here it is asked for, done at the last place, and
        told.

    Example:
        >>> cosines = [[0.3, 0.2, 0.1], [0.1, 0.4, 0.0], [0.5, 0.4, 0.1]]
        >>> space = label_space(cosines, [0, 0, 2], size=2)
        >>> space.candidates, space.put_in    # class 2: 0.5, 0.4 and only 0.1 for itself
        ({0: (1, 0), 2: (0, 2)}, (2,))
    """
    true = labels.labels if isinstance(labels, Photos) else _true(labels)
    classes, code = np.unique(true, return_inverse=True)
    sums = _sums(similarities, labels, code.reshape(-1))
    if not 1 <= size <= sums.shape[1]:
        raise UsageError(f"size={size} must be 1 to {sums.shape[1]}, the number of names")
    if classes[0] < 0 or classes[-1] >= sums.shape[1]:
        raise UsageError(
            f"labels must be 0 to {sums.shape[1] - 1}, the reference's columns, got "
            f"{classes[0]} to {classes[-1]}"
        )
    found: dict[int, list[int]] = {}
    put_in: list[int] = []
    best = np.argsort(-sums, axis=1, kind="stable")[:, :size]
    for true_one, own in zip(classes.tolist(), best.tolist(), strict=True):
        if include_true and true_one not in own:
            own[-1] = true_one
            put_in.append(true_one)
        found[true_one] = own
    return LabelSpace(found, put_in=tuple(put_in))


def restricted_argmax(logits: Any, labels: Any, candidates: LabelSpace) -> Int64[np.ndarray, " _"]:
    """The candidate of each row's true class with the highest logit; ties to the lowest number.

    Args:
        logits: (rows, classes).
        labels: True class of each row.
        candidates: As `label_space` gives them.

    Returns:
        Class of each row.

    Raises:
        UsageError: Another number of labels than rows, a class without candidates, or a candidate
            beyond the logits.

    Example:
        >>> restricted_argmax([[9.0, 1.0, 2.0]], [1], LabelSpace({1: [2, 1]})).tolist()
        [2]
    """
    rows, true = array_of(logits), _true(labels)
    if rows.ndim != 2 or len(rows) != len(true):
        raise UsageError(f"logits must be (rows, classes), got {rows.shape}, {len(true)} labels")
    columns = candidates.of(true)
    if columns.max() >= rows.shape[1]:
        raise UsageError(
            f"candidates must be columns of the model, 0 to {rows.shape[1] - 1}, got "
            f"{columns.max()}; build them for the same list of names"
        )
    best = np.take_along_axis(rows, columns, 1).argmax(1)
    return np.take_along_axis(columns, best[:, None], 1)[:, 0]


def _sums(similarities: Any, labels: Any, code: np.ndarray) -> Float[np.ndarray, "classes names"]:
    """Summed cosines of each class's photos with every name.

    Raises:
        UsageError: They are no cosines, or not finite.
    """
    if isinstance(similarities, Embeddings | ZeroShot):
        # a sum of cosines is the cosine sum's product: rows are summed before names are compared
        rows = _embedded(similarities, labels)
        totals = _by_class(rows, code)
        return np.concatenate(list(cosines(totals, similarities.texts.astype(np.float64))))
    found = array_of(similarities)
    if found.ndim != 2 or found.dtype.kind not in "fiu":
        raise UsageError(
            "similarities must be Embeddings, a ZeroShot pair, or cosines of shape (rows, "
            f"classes), got {type(similarities).__name__} of shape {found.shape}"
        )
    refuse_non_finite(found, what="similarities")
    return _by_class(found, code)


def _embedded(reference: Embeddings | ZeroShot, labels: Any) -> np.ndarray:
    if isinstance(labels, Photos):
        return reference.embed(labels.paths)
    if isinstance(reference, ZeroShot):
        raise UsageError("labels must be Photos, so that the reference pair can look at them")
    return reference.images


def _by_class(rows: np.ndarray, code: np.ndarray) -> Float[np.ndarray, "classes columns"]:
    if len(rows) != len(code):
        raise UsageError(
            f"similarities must have one row for each of {len(code)} photos, got {len(rows)}"
        )
    order = np.argsort(code, kind="stable")
    edges = np.searchsorted(code[order], np.arange(code.max() + 1))
    ends = np.append(edges[1:], len(order))
    return np.stack([
        rows[order[start:end]].sum(0, dtype=np.float64)
        for start, end in zip(edges.tolist(), ends.tolist(), strict=True)
    ])  # fmt: skip


def _true(labels: Any) -> Int64[np.ndarray, " rows"]:
    found = array_of(labels)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iu":
        raise UsageError(
            f"labels must be whole numbers, one a photo, got {found.dtype} of shape {found.shape}"
        )
    return found.astype(np.int64)
