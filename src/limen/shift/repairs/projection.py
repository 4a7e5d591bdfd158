"""Features without the directions that tell groups apart, and a head on what is left."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen.measure._numbers import finite, numbers
from limen.shift.head import Head
from limen.shift.repairs.grouped import Grouped
from limen.shift.repairs.last_layer_balance import fitted


class Projection:
    """A logistic head on features from which the directions between groups were removed.

    On columns of variance 1, with m(c, a) the mean of the rows of class c and group a, and m(c)
    the mean of these over a, the differences m(c, a) - m(c) are stacked. Their first `rank` right
    singular vectors V span where groups of one class lie apart, and

        x -> x - V V^T x

    makes them coincide there. What the class has in those directions is lost too: the price. The
    head is then learned on all rows, unweighed. Differences within classes are taken because over
    all rows the class itself would look like a direction of the groups that come with it.

    Args:
        rank: Directions to remove; None takes the number of groups less one, which is how many a
            group costs where it moves all classes alike.
        decay: Of the head's weights.

    Attributes:
        directions: V^T after `fit`, (rank, width), on standardised columns.

    Raises:
        UsageError: An option out of range.

    Reference:
        Limen's own, after the idea of SpuFix in Y. Neuhaus, M. Augustin, V. Boreiko and M. Hein,
        "Spurious features everywhere: large-scale detection of harmful spurious features in
        ImageNet", ICCV 2023. There the directions are principal components of a class's weighted
        features that a person marked as harmful, only what they add to a logit is cut, and nothing
        is learned anew; here groups are known, the directions come from their means, and the head
        is learned anew.

    Example:
        >>> x = [[1.0, 1.0], [1.0, 1.2], [1.0, -1.0], [-1.0, -1.0], [-1.0, -1.2], [-1.0, 1.0]]
        >>> head = Projection().fit(x, [0, 0, 0, 1, 1, 1], list("aabbba"))
        >>> abs(head.directions.round(3)).tolist()    # the second column told groups apart
        [[0.0, 1.0]]
        >>> head.predict([[1.0, -3.0], [-1.0, 3.0]]).tolist()
        [0, 1]
    """

    def __init__(self, rank: int | None = None, *, decay: float = 1e-3) -> None:
        if rank is not None and rank < 1:
            raise UsageError(f"rank={rank} must be 1 or more, or None")
        Head(decay)
        self.rank, self.decay = rank, decay
        self.middle = self.width = np.zeros(0)
        self.directions: Float[np.ndarray, "rank width"] = np.zeros((0, 0))
        self.head: Head | None = None

    def fit(self, features: Any, labels: Any, groups: Any) -> "Projection":
        """Find the directions, then learn the head without them.

        Args:
            features: (rows, width).
            labels: Class 0..C-1 of each row.
            groups: Group of each row, integers or strings.

        Returns:
            This head, fitted.

        Raises:
            UsageError: Bad rows, labels or groups; no class with two groups; or as many
                directions as columns.
        """
        rows = Grouped.of(features, labels, groups)
        if len(rows.names) == rows.classes:
            raise UsageError(
                "a class must come with two groups or more to see what tells them apart, and none "
                "does; add rows of other groups"
            )
        self.middle, self.width = rows.features.mean(0), rows.features.std(0)
        self.width = np.where(self.width > 0, self.width, 1.0)
        unit = (rows.features - self.middle) / self.width
        apart = _differences(rows, unit)
        asked = len({name for _, name in rows.names}) - 1 if self.rank is None else self.rank
        _, sizes, found = np.linalg.svd(apart, full_matrices=False)
        able = int((sizes > 1e-10 * max(sizes.max(), 1.0)).sum())
        if min(asked, able) >= unit.shape[1]:
            raise UsageError(
                f"rank={asked} would leave none of the {unit.shape[1]} columns; lower rank"
            )
        self.directions = found[: min(asked, able)]
        self.head = Head(self.decay).fit(self._without(unit), rows.labels)
        return self

    def project(self, features: Any) -> Float[np.ndarray, "rows width"]:
        """Features without the directions, in their own units.

        Args:
            features: (rows, width).

        Returns:
            As many columns.

        Raises:
            UsageError: Not fitted yet, another width, or not finite.
        """
        fitted(self.head, self)
        rows = finite("features", numbers("features", features))
        if rows.ndim != 2 or rows.shape[1] != len(self.middle):
            raise UsageError(
                f"features must have the {len(self.middle)} columns of fit, got shape {rows.shape}"
            )
        return self._without((rows - self.middle) / self.width) * self.width + self.middle

    def logits(self, features: Any) -> Float[np.ndarray, "rows classes"]:
        """Logits of rows.

        Args:
            features: (rows, width).

        Returns:
            One column for each class.

        Raises:
            UsageError: Not fitted yet, another width, or not finite.
        """
        rows = self.project(features)
        return fitted(self.head, self).logits((rows - self.middle) / self.width)

    def predict(self, features: Any) -> Int64[np.ndarray, " rows"]:
        """The class of each row.

        Args:
            features: (rows, width).

        Returns:
            0..C-1.

        Raises:
            UsageError: As `logits`.
        """
        return self.logits(features).argmax(1).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Everything fitted, for `limen.save`."""
        return {
            "rank": self.rank, "decay": self.decay, "middle": self.middle, "width": self.width,
            "directions": self.directions,
            "head": None if self.head is None else self.head.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Projection":
        """Rebuild what `to_dict` gave."""
        found = cls(state["rank"], decay=float(state["decay"]))
        for name in ("middle", "width", "directions"):
            setattr(found, name, np.asarray(state[name], dtype=np.float64))
        found.head = None if state["head"] is None else Head.from_dict(state["head"])
        return found

    def _without(self, unit: np.ndarray) -> Float[np.ndarray, "rows width"]:
        return unit - unit @ self.directions.T @ self.directions


def _differences(rows: Grouped, unit: np.ndarray) -> Float[np.ndarray, "cells width"]:
    """Means of cells less the mean of their class's cells, 0 where it has one cell."""
    means = np.stack([unit[rows.cells == one].mean(0) for one in range(len(rows.names))])
    label = np.array([one for one, _ in rows.names])
    parts = [means[label == one] for one in range(rows.classes)]
    return np.concatenate([part - part.mean(0) for part in parts])
