"""Two models on the same photos: whose drop is smaller, and is it an accident."""

from dataclasses import dataclass

import numpy as np

from limen._core.errors import UsageError
from limen.measure.interval import Paired, paired
from limen.report.measured import Measured
from limen.report.table import Cell, Table
from limen.shift.counted import Counted


@dataclass(frozen=True)
class Contrast:
    """First less second model; a drop below 0 = the first leans less on backgrounds.

    Attributes:
        first: Name of the first model.
        second: Name of the second.
        common: Difference of common accuracies, over classes.
        counter: Difference of counter accuracies.
        drop: Difference of drops.
        classes: How many classes both were counted on.

    Example:
        >>> same = Paired(0.0, paired([1.0, 0.0], [0.5, 0.5]).interval, 1.0)
        >>> Contrast("a", "b", common=same, counter=same, drop=same, classes=2).drop.difference
        0.0
    """

    first: str
    second: str
    common: Paired
    counter: Paired
    drop: Paired
    classes: int

    @property
    def table(self) -> Table:
        """The three differences in points, with intervals and p-values."""
        rows: list[list[Cell]] = [
            [what, Measured(*(100 * x for x in (
                found.difference, found.interval.low, found.interval.high))), found.p_value]
            for what, found in (
                ("common", self.common), ("counter", self.counter), ("drop", self.drop))
        ]  # fmt: skip
        return Table(
            ["", f"{self.first} less {self.second} [points]", "p"],
            rows,
            title=f"{self.first} against {self.second}",
            caption="Drop below 0: the first leans less on backgrounds.",
            protocol=f"Paired bootstrap over {self.classes} classes, "
            f"{self.drop.interval.level:.0%}; p by sign flips.",
        )


def compare(
    first: Counted,
    second: Counted,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Contrast:
    """Differences of two models over the same classes, paired; negative drop = the first is better.

    Hard classes are hard for both. Differences within classes leave that out, so that they are
    surer than two intervals of two models let guess. Classes are drawn with replacement: the
    question is whether the difference would stand with other classes.

    Args:
        first: From `counter`.
        second: From `counter` on the same photos, under the same label space.
        level: Nominal coverage of the intervals, between 0 and 1.
        resamples: Draws of the bootstrap and of the sign flips.
        seed: The same seed gives the same result.

    Returns:
        Differences of common accuracy, counter accuracy and drop, each first less second.

    Raises:
        UsageError: Other classes, other counts of photos, another label space, or an option out of
            range.

    Example:
        >>> from limen.shift.counter import counter
        >>> from limen.shift.photos import Photos
        >>> photos = Photos(list("abcd"), [0, 0, 1, 1], [0, 1, 0, 1])
        >>> found = compare(counter([0, 0, 1, 1], photos), counter([0, 1, 1, 0], photos))
        >>> found.drop.difference, found.counter.difference    # 0 less 1, 1 less 0
        (-1.0, 1.0)
    """
    if not np.array_equal(first.classes, second.classes) or not np.array_equal(
        first.rows, second.rows
    ):
        raise UsageError(
            f"both models must be counted on the same photos, got {first.rows.sum()} photos of "
            f"{len(first.classes)} classes and {second.rows.sum()} of {len(second.classes)}"
        )
    if first.space != second.space and None not in (first.columns, second.columns):
        raise UsageError(
            f"both models must choose among as many names, got {first.space} and {second.space}"
        )

    def difference(one: np.ndarray, two: np.ndarray) -> Paired:
        order = np.argsort(one - two, kind="stable")  # a class's number must not move the result
        return paired(one[order], two[order], level=level, resamples=resamples, seed=seed)

    mine, other = first.accuracy, second.accuracy
    return Contrast(
        first.name,
        second.name,
        common=difference(mine[:, 0], other[:, 0]),
        counter=difference(mine[:, 1], other[:, 1]),
        drop=difference(first.drops, second.drops),
        classes=len(first.classes),
    )
