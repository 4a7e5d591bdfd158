"""Features in which the group shouts and the class whispers."""

from typing import NamedTuple

import numpy as np


class Planted(NamedTuple):
    """Rows with a class and a group each."""

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    def at(self, kept):
        return Planted(*(part[kept] for part in self))


def planted(rows, *, share, seed=0, classes=2):
    """Class along one column, the group along a louder one; they agree in `share` of the rows."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    strays = draw.random(rows) >= share
    groups = (labels + strays * draw.integers(1, classes, rows)) % classes
    features = draw.normal(size=(rows, 6 + 2 * classes))
    features[np.arange(rows), labels] += 2.5
    features[np.arange(rows), classes + groups] += 6.0
    return Planted(features, labels, groups)


def worst(head, rows):
    """Accuracy in the worst cell of class and group."""
    right = head.predict(rows.features) == rows.labels
    cells = {(a, b) for a, b in zip(rows.labels.tolist(), rows.groups.tolist(), strict=True)}
    return min(right[(rows.labels == a) & (rows.groups == b)].mean() for a, b in cells)
