"""What a bridge is worth on classes that it was not fitted to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream
from limen.measure._numbers import finite, numbers
from limen.measure.arrays import class_labels
from limen.measure.interval import Interval, bootstrap
from limen.report.measured import Measured
from limen.report.table import Table
from limen.shift.bridge import Bridge, class_means


@dataclass(frozen=True)
class HeldOut:
    """Accuracies on classes that the bridge had never seen; higher is better.

    Attributes:
        among_held_out: Of each class, choosing among the classes of its fold.
        among_all: Of each class, choosing among all classes, of which most were fitted: harder,
            because the fitted classes draw every photo to themselves.
        chance: Of `among_held_out`, if it were guessed.
        folds: How many parts the classes were cut into.
        rows: How many photos were judged.

    Example:
        >>> import numpy as np
        >>> hits = np.array([1.0, 0.0, 0.5, 0.5])
        >>> HeldOut(hits, hits / 2, chance=0.5, folds=2, rows=8).accuracy
        0.5
    """

    among_held_out: Float[np.ndarray, " classes"]
    among_all: Float[np.ndarray, " classes"]
    chance: float
    folds: int
    rows: int

    @property
    def accuracy(self) -> float:
        """Mean over classes of `among_held_out`."""
        return float(self.among_held_out.mean())

    def interval(self, level: float = 0.95) -> Interval:
        """Around `accuracy`, classes resampled.

        Args:
            level: Nominal coverage, between 0 and 1.

        Returns:
            Its ends.
        """
        return bootstrap(self.among_held_out, level=level)

    def table(self) -> Table:
        """Both accuracies beside chance, with intervals over classes."""
        count = len(self.among_all)
        cells = [
            ("among the held-out classes", self.among_held_out, self.chance),
            ("among all classes", self.among_all, 1 / count),
        ]
        ends = [bootstrap(values) for _, values, _ in cells]
        return Table(
            ["choice", "accuracy", "chance"],
            [
                [name, Measured(float(values.mean()), end.low, end.high), chance]
                for (name, values, chance), end in zip(cells, ends, strict=True)
            ],
            title="Bridge on classes it was not fitted to",
            protocol=(
                f"{count} classes in {self.folds} folds, {self.rows} photos; class means, "
                "95% intervals by resampling classes. The image encoder may have been trained on "
                "all of these classes: only the bridge is held out."
            ),
        )


def held_out(
    features: Any,
    labels: Any,
    texts: Any,
    *,
    prototypes: Any = None,
    decay: float = 1.0,
    folds: int = 5,
    seed: int = 0,
) -> HeldOut:
    """Accuracy of a `Bridge` on classes left out of its fit, by folds over classes.

    Every class is held out once. The bridge is fitted to the prototypes of the other folds and
    asked for the photos of this one, among the fold's classes and among all.

    Args:
        features: Of photos, (rows, width).
        labels: Class 0..C-1 of each row; every class has one.
        texts: Text embeddings of the classes, (classes, text width).
        prototypes: (classes, width), such as a classifier's weight rows; None: class means.
        decay: As for `Bridge`.
        folds: From 2 to half the number of classes.
        seed: Of the folds.

    Returns:
        Accuracies of every class.

    Raises:
        UsageError: Arrays or labels that do not fit each other, or a bad number of folds.

    Example:
        >>> turn = np.random.default_rng(0).normal(size=(6, 6))
        >>> points = np.random.default_rng(1).normal(size=(40, 6))
        >>> found = held_out(points, range(40), points @ turn, decay=1e-6, folds=4)
        >>> found.accuracy > 0.9, found.chance
        (True, 0.1)
    """
    rows = finite("features", numbers("features", features))
    goals = finite("texts", numbers("texts", texts))
    names = class_labels(np.asarray(labels), rows=len(rows), classes=len(goals)).numpy()
    count = len(goals)
    if not 2 <= folds <= count // 2:
        raise UsageError(f"folds={folds} must lie between 2 and half of the {count} classes")
    means = class_means(rows, names, count)
    given = means if prototypes is None else numbers("prototypes", prototypes)
    if given.ndim != 2 or given.shape != (count, rows.shape[1]):
        raise UsageError(
            f"prototypes must have shape {(count, rows.shape[1])}, one for each text and as wide "
            f"as the features; got {given.shape}"
        )
    near, wide = np.zeros(len(rows)), np.zeros(len(rows))
    parts = np.array_split(numpy_stream(seed, "held-out classes").permutation(count), folds)
    for part in parts:
        others = np.setdiff1d(np.arange(count), part)
        bridge = Bridge(decay).fit(given[others], goals[others])
        mine = np.flatnonzero(np.isin(names, part))
        cosines = bridge.logits(rows[mine], goals)
        wide[mine] = cosines.argmax(1) == names[mine]
        near[mine] = part[cosines[:, part].argmax(1)] == names[mine]
    chance = float(np.mean([1 / len(part) for part in parts for _ in part]))
    return HeldOut(
        _by_class(near, names, count), _by_class(wide, names, count), chance, folds, len(rows)
    )


def _by_class(values: np.ndarray, names: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(names, values, minlength=count) / np.bincount(names, minlength=count)
