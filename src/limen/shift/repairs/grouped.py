"""Rows with a class and a group, in an order of their own that the user's order cannot move."""

import hashlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from limen._core.errors import UsageError
from limen.measure._numbers import finite, is_tensor, numbers
from limen.shift.halves import column

Cell = tuple[int, str | int]


@dataclass(frozen=True, eq=False)
class Grouped:
    """Features with a class and a cell each; a cell is a class together with a group.

    Rows are sorted by what they hold, never by name or place, so that whatever is computed or
    drawn from them is the same for rows in any order and groups of any name.

    Attributes:
        features: Rows.
        labels: Class 0..C-1 of each.
        cells: Cell 0..G-1 of each.
        names: Class and group of each cell.
        keys: A name for each cell that depends on its rows alone, for random streams.
        classes: C.

    Example:
        >>> rows = Grouped.of([[1.0], [2.0], [3.0]], [0, 1, 0], ["sea", "sea", "land"])
        >>> sorted(rows.names)
        [(0, 'land'), (0, 'sea'), (1, 'sea')]
    """

    features: Float[np.ndarray, "rows width"]
    labels: Int64[np.ndarray, " rows"]
    cells: Int64[np.ndarray, " rows"]
    names: tuple[Cell, ...]
    keys: tuple[str, ...]
    classes: int

    @classmethod
    def of(
        cls, features: Any, labels: Any, groups: Any, *, classes: int | None = None
    ) -> "Grouped":
        """Check and sort.

        Args:
            features: (rows, width), finite.
            labels: Class 0..C-1 of each row.
            groups: Group of each row, integers or strings; the attribute that should not matter,
                or class and attribute joined: it makes no difference.
            classes: C, where it is known; else every class up to the largest must have a row.

        Returns:
            The rows.

        Raises:
            UsageError: Features that are not finite rows, labels that are not classes, a missing
                group, or other lengths.
        """
        rows = finite("features", numbers("features", features))
        if rows.ndim != 2 or not rows.size:
            raise UsageError(f"features must be (rows, width), got shape {rows.shape}")
        answers = _classes(labels, len(rows), classes)
        group = column("groups", groups, len(rows))
        joint = answers * len(group.names) + group.code
        prints = np.array([_digest(row.tobytes()) for row in rows + 0.0])  # -0.0 is 0.0
        keys = {
            int(one): _digest(*sorted(prints[joint == one]), str(one // len(group.names)))
            for one in np.unique(joint)
        }
        order = np.lexsort((prints, np.array([keys[int(one)] for one in joint]), answers))
        _, first, cells = np.unique(joint[order], return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))  # cells by where they first stand
        found = [int(joint[order][one]) for one in np.sort(first)]
        names = tuple(
            (one // len(group.names), group.names[one % len(group.names)]) for one in found
        )
        return cls(
            rows[order], answers[order], rank[cells].astype(np.int64), names,
            tuple(keys[one] for one in found), classes or int(answers.max()) + 1,
        )  # fmt: skip

    def at(self, kept: Bool[np.ndarray, " rows"] | Int64[np.ndarray, " some"]) -> "Grouped":
        """Some of the rows; cells keep their codes.

        Args:
            kept: Booleans, or places.

        Returns:
            New rows.
        """
        return Grouped(
            self.features[kept], self.labels[kept], self.cells[kept],
            self.names, self.keys, self.classes,
        )  # fmt: skip

    def counts(self) -> Int64[np.ndarray, " cells"]:
        """Rows of each cell."""
        return np.bincount(self.cells, minlength=len(self.names)).astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)


def warn_of_tied(rows: Grouped, *, stacklevel: int = 3) -> None:
    """Say so where a class comes with one group only: weights cannot part the two.

    Args:
        rows: Rows.
        stacklevel: Of the warning.
    """
    held = [[name for label, name in rows.names if label == one] for one in range(rows.classes)]
    alone = [one for one, names in enumerate(held) if len(names) == 1]
    if alone and len({name for _, name in rows.names}) > 1:
        warnings.warn(
            f"class {alone[0]} comes with group {held[alone[0]][0]!r} only "
            f"({len(alone)} such classes): balancing cannot part the two; add other rows",
            UserWarning,
            stacklevel=stacklevel,
        )


def _classes(labels: Any, rows: int, classes: int | None) -> Int64[np.ndarray, " rows"]:
    found = labels.detach().cpu().numpy() if is_tensor(labels) else np.asarray(labels)
    if found.shape != (rows,) or found.dtype.kind not in "iu":
        raise UsageError(
            f"labels must be {rows} integers, one for each row, got shape {found.shape} of "
            f"{found.dtype}"
        )
    found = found.astype(np.int64)
    present, most = np.unique(found), classes or int(found.max()) + 1
    if present[0] < 0 or present[-1] >= most:
        raise UsageError(f"labels must be 0 to {most - 1}, got {present[0]} to {present[-1]}")
    if classes is None and (len(present) < 2 or len(present) < most):
        raise UsageError(
            f"labels must be 0..C-1, two classes or more and a row for each, got {len(present)} "
            f"classes, the largest {present[-1]}; renumber them"
        )
    return found


def _digest(*parts: str | bytes) -> str:
    found = hashlib.blake2b(digest_size=12)
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
        found.update(b"\x1f")
    return found.hexdigest()
