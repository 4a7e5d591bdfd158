"""Rows counted by label and attribute, and dealt into halves that nothing but chance decides."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import is_tensor
from limen.shift.rules.quotas import Named, named


class Count(NamedTuple):
    """Right answers, and of how many."""

    right: int
    rows: int


class Pick(NamedTuple):
    """A pair of attributes chosen on some rows and measured on others; codes of attributes."""

    best: int
    worst: int
    chosen: float
    """Gap in accuracy on the rows that chose it: it flatters."""
    best_held: Count
    """On the other rows, of the best attribute; so is the next of the worst."""
    worst_held: Count

    @property
    def gap(self) -> float:
        """In accuracy, on the rows that had no say."""
        (a, m), (b, n) = self.best_held, self.worst_held
        return a / m - b / n


@dataclass(frozen=True, eq=False)
class Halves:
    """Right answers of models in every cell of label and attribute, in all and in either half.

    The halves are dealt within each cell. Where a row stands in the data and what a label is
    called has no say: only counts enter, and the chance that is drawn from `seed` and them. So at
    one seed the same counts are always dealt alike; another seed tells how much hangs on the deal.

    Args:
        labels: Names and codes of the rows' labels.
        attributes: Names and codes of the rows' attributes.
        right: (halves, models, labels, attributes) right answers.
        rows: (halves, labels, attributes) rows.
        rank: (labels, attributes) places of the cells in an order that names have no say in; ties
            in accuracy go to the first.

    Example:
        >>> halves = Halves.of(np.ones((1, 5)), ["cat"] * 5, ["sand"] * 3 + ["snow"] * 2, seed=0)
        >>> halves.rows.sum(0).tolist(), halves.accuracy[0, 0].tolist()
        ([[3, 2]], [1.0, 1.0])
    """

    labels: Named
    attributes: Named
    right: Int64[np.ndarray, "2 models labels attributes"]
    rows: Int64[np.ndarray, "2 labels attributes"]
    rank: Int64[np.ndarray, "labels attributes"]

    @classmethod
    def of(
        cls, correct: Float[np.ndarray, "models rows"], label: Any, attribute: Any, *, seed: int
    ) -> "Halves":
        """Deal and count.

        Args:
            correct: 1 where a model is right, else 0.
            label: Of each row.
            attribute: Of each row.
            seed: Of the deal.

        Returns:
            The counts.

        Raises:
            UsageError: Another length, or labels that are neither integers nor strings.
        """
        count = correct.shape[1]
        labels, attributes = column("label", label, count), column("attribute", attribute, count)
        wide = len(attributes.names)
        shape = (len(labels.names), wide)
        joint = labels.code * wide + attributes.code
        order = np.lexsort((*correct, joint))  # rows alike in all that counts are neighbours
        first = np.zeros(count, dtype=bool)
        rank = np.zeros(shape, dtype=np.int64)
        for mine, key in _cells(correct[:, order], joint[order], wide=wide):
            stream = numpy_stream(seed, "discover", *key)
            first[order[mine]] = _dealt(len(mine), stream)
            rank.flat[joint[order[mine[0]]]] = stream.integers(1 << 62)
        sides = first, ~first
        rows = [np.bincount(joint[side], minlength=shape[0] * shape[1]) for side in sides]
        right = [
            [np.bincount(joint[side], one[side], shape[0] * shape[1]) for one in correct]
            for side in sides
        ]
        return cls(
            labels, attributes,
            np.array(right).round().astype(np.int64).reshape(2, len(correct), *shape),
            np.array(rows).astype(np.int64).reshape(2, *shape),
            rank,
        )  # fmt: skip

    @property
    def accuracy(self) -> Float[np.ndarray, "models labels attributes"]:
        """Over all rows; NaN in an empty cell."""
        with np.errstate(invalid="ignore"):
            return self.right.sum(0) / self.rows.sum(0)

    def count(self, label: int, attribute: int, *, model: int = 0) -> Count:
        """Right answers and rows of a cell, over both halves."""
        cell = (label, attribute)
        return Count(int(self.right[:, model, *cell].sum()), int(self.rows[:, *cell].sum()))

    def enough(self, min_n: int) -> Bool[np.ndarray, "labels attributes"]:
        """Which cells have so many rows, over both halves."""
        return np.asarray(self.rows.sum(0) >= min_n)

    def pick(
        self,
        label: int,
        able: Bool[np.ndarray, " attributes"],
        *,
        half: int,
        by: int = 0,
        of: int = 0,
    ) -> Pick:
        """The pair that looks best and worst on one half, measured on the other.

        Args:
            label: Code.
            able: Which attributes may be chosen; two at least.
            half: That chooses, 0 or 1.
            by: The model that chooses.
            of: The model that is measured.

        Returns:
            The pick.
        """
        among = np.flatnonzero(able)
        among = among[self.rank[label, among].argsort(kind="stable")]
        chosen = self.right[half, by, label, among] / self.rows[half, label, among]
        best, worst = _ends(chosen)
        held = [
            Count(
                int(self.right[1 - half, of, label, among[one]]),
                int(self.rows[1 - half, label, among[one]]),
            )
            for one in (best, worst)
        ]
        return Pick(
            int(among[best]),
            int(among[worst]),
            float(chosen[best] - chosen[worst]),
            held[0],
            held[1],
        )


def column(name: str, values: Any, rows: int) -> Named:
    """Names of the rows as codes; each row must have one.

    Args:
        name: The argument that an error speaks of.
        values: Integers or strings.
        rows: How many.

    Returns:
        Codes and names, sorted.

    Raises:
        UsageError: Another length, a missing entry, or neither integers nor strings.
    """
    plain = values.detach().cpu().numpy() if is_tensor(values) else np.asarray(values)
    if plain.dtype == object:
        odd = sorted({type(one).__name__ for one in plain.ravel()} - {"str"})
        if odd:
            raise UsageError(
                f"{name} must hold a string or an integer for every row, got {', '.join(odd)}; "
                "name what is missing or drop its rows"
            )
        plain = plain.astype(str)
    found = named(name, plain, rows)
    if found is None or not rows:
        raise UsageError(f"{name} must hold at least one row, got none")
    return found


def answers(name: str, correct: Any) -> Float[np.ndarray, " rows"]:
    """Whether each row is answered rightly, as 1 and 0.

    Args:
        name: The argument that an error speaks of.
        correct: Booleans, or ones and zeros.

    Returns:
        One number for each row.

    Raises:
        UsageError: Anything else, or none.
    """
    found = correct.detach().cpu().numpy() if is_tensor(correct) else np.asarray(correct)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "biuf":
        raise UsageError(
            f"{name} must be one row of booleans, got shape {found.shape} of {found.dtype}; "
            "pass predictions == labels"
        )
    if not np.isin(found, (0, 1)).all():
        raise UsageError(f"{name} must hold only 0 and 1, got {found.min()} to {found.max()}")
    return found.astype(np.float64)


def _ends(accuracy: np.ndarray) -> tuple[int, int]:
    """Places of the best and of another, the worst."""
    best = int(accuracy.argmax())
    rest = accuracy.copy()
    rest[best] = np.inf
    return best, int(rest.argmin())


def _dealt(count: int, stream: np.random.Generator) -> np.ndarray:
    """A random half of so many rows; chance gives the odd one."""
    some = (count + int(stream.integers(2))) // 2
    return np.asarray(stream.permutation(count) < some)


def _cells(
    correct: np.ndarray, joint: np.ndarray, *, wide: int
) -> Iterator[tuple[np.ndarray, tuple[object, ...]]]:
    """The rows of each cell, and names for its random stream that no name or order moves.

    The names depend on all counts, so that over data sets the stream is as good as random; of
    cells that are alike in everything each has its own.
    """
    starts = np.flatnonzero(np.diff(joint, prepend=-1))
    cells = np.split(np.arange(len(joint)), starts[1:])
    own = [_digest(correct[:, mine].astype(np.int8).tobytes(), str(len(mine))) for mine in cells]
    label = joint[starts] // wide
    beside = {
        one: _digest(*sorted(own[i] for i in np.flatnonzero(label == one))) for one in set(label)
    }
    everything = _digest(*sorted(beside.values()))
    seen: dict[tuple[str, str], int] = {}
    for mine, digest, one in zip(cells, own, label, strict=True):
        again = seen[beside[one], digest] = seen.get((beside[one], digest), -1) + 1
        yield mine, (everything, beside[one], digest, again)


def _digest(*parts: str | bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
        found.update(b"\x1f")
    return found.hexdigest()
