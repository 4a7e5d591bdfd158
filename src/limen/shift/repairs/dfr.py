"""Deep feature reweighting: the last layer learned anew on balanced rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.shift.head import Head
from limen.shift.repairs.grouped import Grouped, warn_of_tied
from limen.shift.repairs.lasso import lasso
from limen.shift.repairs.last_layer_balance import fitted

PENALTIES = ("l1", "l2")


class Choice(NamedTuple):
    """One penalty tried, and how it did on the rows held out."""

    penalty: str
    decay: float
    worst: float
    """Accuracy in the worst cell; higher is better."""
    mean: float
    """Mean of the cells' accuracies."""


class DFR:
    """A logistic head on rows of which every class and group has as many; averaged over subsets.

    Each subset takes from every cell (class and group) as many rows as the smallest has, at random,
    so that class and group are independent in it; a penalised logistic regression is fitted to
    each, and the weights are averaged. Penalty and decay are those with the best accuracy in the
    worst cell on rows held out (then the best mean over cells, then the stronger decay), after
    which all rows are used. Fit it on rows that the network was not trained on: on its own training
    rows features are so clean that nothing is left to learn.

    Args:
        penalties: To choose among: "l1", "l2".
        decays: To choose among, above 0, on columns of variance 1.
        subsets: Balanced subsets to average over.
        held_out: Share of each cell that chooses, above 0 and below 1; at least one row.
        seed: Of the subsets.

    Attributes:
        tried: What was chosen among, after `fit`, in the order given; empty where there was one.
        chosen: Penalty and decay, after `fit`.

    Raises:
        UsageError: An option out of range.

    Reference:
        P. Kirichenko, P. Izmailov and A. G. Wilson, "Last layer re-training is sufficient for
        robustness to spurious correlations", ICLR 2023. Departures: L2 stands beside their L1;
        equal worst cells are told apart by the mean; the loss is multinomial for any number of
        classes; the decay is of the mean loss, not sklearn's C.

    Example:
        >>> x = [[1.0, 1.0], [1.0, 1.1], [1.0, -1.0], [-1.0, -1.0], [-1.0, -1.1], [-1.0, 1.0]] * 4
        >>> head = DFR(subsets=2).fit(x, [0, 0, 0, 1, 1, 1] * 4, list("aabbba") * 4)
        >>> head.predict([[1.0, -3.0], [-1.0, 3.0]]).tolist()    # the first column decides
        [0, 1]
    """

    def __init__(
        self,
        *,
        penalties: Sequence[str] = PENALTIES,
        decays: Sequence[float] = (1e-3, 1e-2, 1e-1),
        subsets: int = 10,
        held_out: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.penalties, self.decays = tuple(penalties), tuple(float(one) for one in decays)
        self.subsets, self.held_out, self.seed = subsets, held_out, seed
        self.tried: tuple[Choice, ...] = ()
        self.chosen: tuple[str, float] | None = None
        self.head: Head | None = None
        odd = [one for one in self.penalties if one not in PENALTIES]
        if odd or isinstance(penalties, str) or not self.penalties:
            raise UsageError(f"penalties must be some of {PENALTIES}, got {penalties!r}")
        if not self.decays or not all(0 < one < float("inf") for one in self.decays):
            raise UsageError(f"decays must be one or more, above 0, got {self.decays}")
        if subsets < 1 or not 0 < held_out < 1:
            raise UsageError(f"subsets={subsets} must be 1 or more, held_out={held_out} in 0 to 1")

    def fit(self, features: Any, labels: Any, groups: Any) -> "DFR":
        """Choose the penalty, then learn from all rows.

        Args:
            features: (rows, width).
            labels: Class 0..C-1 of each row.
            groups: Group of each row, integers or strings.

        Returns:
            This head, fitted.

        Raises:
            UsageError: Bad rows, labels or groups, or a class and group with one row only.

        Warns:
            UserWarning: A class comes with one group only.
        """
        rows = Grouped.of(features, labels, groups)
        counts = rows.counts()
        if counts.min() < 2:
            label, name = rows.names[int(counts.argmin())]
            raise UsageError(
                f"every class and group must have two rows or more, and class {label} with group "
                f"{name!r} has {counts.min()}; add rows or drop that group"
            )
        warn_of_tied(rows)
        options = [(one, decay) for one in self.penalties for decay in self.decays]
        self.tried = self._tried(rows, options) if len(options) > 1 else ()
        best = max(self.tried, key=lambda one: (one.worst, one.mean, one.decay), default=None)
        self.chosen = options[0] if best is None else best[:2]
        self.head = self._averaged(rows, *self.chosen, purpose="all")
        return self

    def logits(self, features: Any) -> Float[np.ndarray, "rows classes"]:
        """Logits of rows.

        Args:
            features: (rows, width).

        Returns:
            One column for each class.

        Raises:
            UsageError: Not fitted yet, another width, or not finite.
        """
        return fitted(self.head, self).logits(features)

    def predict(self, features: Any) -> Int64[np.ndarray, " rows"]:
        """The class of each row.

        Args:
            features: (rows, width).

        Returns:
            0..C-1.

        Raises:
            UsageError: As `logits`.
        """
        return fitted(self.head, self).predict(features)

    def to_dict(self) -> dict[str, Any]:
        """Everything fitted, for `limen.save`."""
        return {
            "penalties": list(self.penalties), "decays": list(self.decays),
            "subsets": self.subsets, "held_out": self.held_out, "seed": self.seed,
            "tried": [list(one) for one in self.tried],
            "chosen": None if self.chosen is None else list(self.chosen),
            "head": None if self.head is None else self.head.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "DFR":
        """Rebuild what `to_dict` gave."""
        names = ("penalties", "decays", "subsets", "held_out", "seed")
        found = cls(**{name: state[name] for name in names})
        found.tried = tuple(Choice(*one) for one in state["tried"])
        chosen = state["chosen"]
        found.chosen = None if chosen is None else (str(chosen[0]), float(chosen[1]))
        found.head = None if state["head"] is None else Head.from_dict(state["head"])
        return found

    def _tried(self, rows: Grouped, options: Sequence[tuple[str, float]]) -> tuple[Choice, ...]:
        kept = np.zeros(len(rows), dtype=bool)
        for one, key in enumerate(rows.keys):
            mine = np.flatnonzero(rows.cells == one)
            count = min(max(1, round(self.held_out * len(mine))), len(mine) - 1)
            stream = numpy_stream(self.seed, "DFR", "held out", key)
            kept[stream.choice(mine, count, replace=False)] = True
        learning, asking = rows.at(~kept), rows.at(kept)
        found = []
        for penalty, decay in options:
            head = self._averaged(learning, penalty, decay, purpose="choice")
            right = head.predict(asking.features) == asking.labels
            shares = np.bincount(asking.cells, right) / asking.counts()
            found.append(Choice(penalty, decay, float(shares.min()), float(shares.mean())))
        return tuple(found)

    def _averaged(self, rows: Grouped, penalty: str, decay: float, *, purpose: str) -> Head:
        """The mean of heads on balanced subsets, as a head on the features as they are."""
        learn = lasso if penalty == "l1" else _ridge
        weights, biases = [], []
        for subset in range(self.subsets):
            some = rows.at(_balanced(rows, subset, seed=self.seed, purpose=purpose))
            head = learn(some.features, some.labels, decay=decay, classes=rows.classes)
            weights.append(head.weight / head.width[:, None])
            biases.append(head.bias - head.middle / head.width @ head.weight)
        found = Head(decay)
        found.middle, found.width = (
            np.zeros(rows.features.shape[1]),
            np.ones(rows.features.shape[1]),
        )
        found.weight, found.bias = np.mean(weights, axis=0), np.mean(biases, axis=0)
        return found


def _balanced(rows: Grouped, subset: int, *, seed: int, purpose: str) -> Int64[np.ndarray, " some"]:
    """Places of as many rows of every cell as the smallest has."""
    least = int(rows.counts().min())
    parts = [
        numpy_stream(seed, "DFR", purpose, subset, key).choice(
            np.flatnonzero(rows.cells == one), least, replace=False
        )
        for one, key in enumerate(rows.keys)
    ]
    return np.sort(np.concatenate(parts)).astype(np.int64)


def _ridge(features: np.ndarray, labels: np.ndarray, *, decay: float, classes: int) -> Head:
    return Head(decay).fit(features, labels, classes=classes)
