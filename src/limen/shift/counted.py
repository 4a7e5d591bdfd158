"""What `counter` found: accuracies of two groups, class by class, with two uncertainties."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import ndtri

from limen._core.errors import UsageError
from limen.measure.interval import Interval, bootstrap
from limen.measure.tradeoff import Tradeoff
from limen.measure.wilson import newcombe, wilson
from limen.report.measured import Measured
from limen.report.table import Cell, Table
from limen.shift.animals import animals
from limen.shift.published import Placed, place

_WHAT = ("common", "counter", "drop")


@dataclass(frozen=True, eq=False, kw_only=True)
class Counted:
    """Accuracy on common and counter photos, and what it falls by; a lower drop is better.

    With K classes, k of n common and l of m counter photos right, p = k / n and q = l / m,

        drop = mean over classes of p - q,
        standard error, classes fixed = sqrt(sum of p (1 - p) / n + q (1 - q) / m) / K,
        standard error, classes resampled = sample deviation of p - q / sqrt(K).

    The first asks what other photos of these very classes would give, the second what other
    classes would; it is the larger and the one that speaks of animals in general. A class of which
    all or no photos are right adds nothing to the first, which is then somewhat too small.

    Attributes:
        name: The model.
        groups: What the two groups are called.
        classes: Number of each class, sorted.
        names: Their names.
        backgrounds: What stands behind each in either group.
        right: Photos of each class and group that were named rightly.
        rows: Photos of each class and group.
        mistaken: What counter photos of each class are most often mistaken for; "" for nothing.
        predicted: The class named on each photo, in their order.
        columns: Names that the model knows; None where only predictions were given.
        candidates: Names among which it chose, where they were fewer.
        put_in: Classes whose own name had to be put among the candidates.
        level: Nominal coverage of the intervals.
        seed: Of the bootstrap.
        resamples: Its draws.

    Example:
        >>> from limen.shift.counter import counter
        >>> from limen.shift.photos import Photos
        >>> photos = Photos(list("abcd"), [0, 0, 1, 1], [0, 1, 0, 1])
        >>> found = counter([0, 0, 1, 0], photos)
        >>> found.drops.tolist(), found.drop, found.unbalanced
        ([0.0, 1.0], 0.5, (1.0, 0.5))
    """

    name: str
    groups: tuple[str, str]
    classes: Int64[np.ndarray, " classes"]
    names: tuple[str, ...]
    backgrounds: tuple[tuple[str, str], ...]
    right: Int64[np.ndarray, "classes 2"]
    rows: Int64[np.ndarray, "classes 2"]
    mistaken: tuple[str, ...]
    predicted: Int64[np.ndarray, " rows"]
    columns: int | None
    candidates: int | None
    put_in: tuple[int, ...]
    level: float
    seed: int
    resamples: int

    @property
    def accuracy(self) -> Float[np.ndarray, "classes 2"]:
        """Share right of each class in either group."""
        return self.right / self.rows

    @property
    def drops(self) -> Float[np.ndarray, " classes"]:
        """Common less counter accuracy of each class; below 0 where counter photos are easier."""
        return self.accuracy[:, 0] - self.accuracy[:, 1]

    @property
    def lost(self) -> list[Measured]:
        """Drop of each class in points, with Newcombe's interval of other photos of it."""
        cells = zip(self.right.tolist(), self.rows.tolist(), strict=True)
        return [self._cells((k, n), (m, o))[2] for (k, m), (n, o) in cells]

    @property
    def common(self) -> float:
        """Mean over classes of the common accuracy."""
        return float(self.accuracy[:, 0].mean())

    @property
    def counter(self) -> float:
        """Mean over classes of the counter accuracy."""
        return float(self.accuracy[:, 1].mean())

    @property
    def drop(self) -> float:
        """Mean over classes of the drop."""
        return float(self.drops.mean())

    @property
    def unbalanced(self) -> tuple[float, float]:
        """Share right of all common and of all counter photos: large classes weigh more."""
        first, second = (self.right.sum(0) / self.rows.sum(0)).tolist()
        return first, second

    @property
    def unbalanced_drop(self) -> float:
        """Difference of the two."""
        return self.unbalanced[0] - self.unbalanced[1]

    @cached_property
    def error_fixed(self) -> dict[str, float]:
        """Standard errors of common, counter and drop were other photos taken of these classes."""
        variance = (self.accuracy * (1 - self.accuracy) / self.rows).sum(0)
        sums = (*variance.tolist(), float(variance.sum()))
        return {what: sqrt(one) / len(self.classes) for what, one in zip(_WHAT, sums, strict=True)}

    @cached_property
    def error_resampled(self) -> dict[str, float]:
        """Standard errors were other classes taken; NaN for one class."""
        count = len(self.classes)
        return {
            what: float(values.std(ddof=1)) / sqrt(count) if count > 1 else float("nan")
            for what, values in self._values().items()
        }

    @cached_property
    def fixed(self) -> dict[str, Interval]:
        """Normal intervals of common, counter and drop with the classes fixed."""
        z = float(ndtri((1 + self.level) / 2))
        found = {}
        for what, values in self._values().items():
            middle, reach = float(values.mean()), z * self.error_fixed[what]
            lowest = -1.0 if what == "drop" else 0.0
            ends = max(lowest, middle - reach), min(1.0, middle + reach)
            found[what] = Interval(*ends, self.level)
        return found

    @cached_property
    def resampled(self) -> dict[str, Interval]:
        """Bootstrap intervals of the three with the classes resampled; below 20 classes, narrow."""
        return {  # sorted: what a class is numbered must not move its interval
            what: bootstrap(
                np.sort(values), level=self.level, resamples=self.resamples, seed=self.seed
            )
            for what, values in self._values().items()
        }

    @property
    def space(self) -> str:
        """Among how many names the model chose: "1 vs 1000", "1 vs 20"."""
        count = self.candidates or self.columns
        return f"1 vs {count}" if count else "predictions as given"

    @property
    def answer(self) -> str:
        """What was found, in one sentence."""
        fixed, other = self.fixed["drop"], self.resampled["drop"]
        one, two = self.groups
        other_classes = (
            f", [{_points(other.low)}, {_points(other.high)}] for other classes"
            if len(self.classes) > 1 else ""
        )  # fmt: skip
        return (
            f"{self.name} names {_points(self.common)} % of {one} and {_points(self.counter)} % of "
            f"{two} photos rightly: a drop of {_points(self.drop)} points "
            f"[{_points(fixed.low)}, {_points(fixed.high)}] for other photos of these classes"
            f"{other_classes}."
        )

    @property
    def table(self) -> Table:
        """Class by class, the largest drop first; the balanced mean and all photos stand last."""
        one, two = self.groups
        order = np.argsort(-self.drops, kind="stable").tolist()
        lines = [self._line(place) for place in order] + [self._mean(), self._pooled()]
        return Table(
            ["class", "index", f"{one} background", f"{two} background", f"{one} photos",
             f"{two} photos", f"{one} [%]", f"{two} [%]", "drop [points]",
             f"{two} mistaken for"],
            lines,
            title=f"{self.name}, class by class",
            caption="A high drop: the class was known by its background. "
            f"Below 0: {two} photos are easier.",
            protocol=self._protocol("Class by class and pooled: Wilson's and Newcombe's intervals; "
                                    "mean: classes fixed."),
        )  # fmt: skip

    @property
    def overall(self) -> Table:
        """Both accuracies and the drop, with both uncertainties, balanced and unbalanced."""
        pooled = (*self.unbalanced, self.unbalanced_drop)
        values = {what: float(found.mean()) for what, found in self._values().items()}
        names = (f"{self.groups[0]} [%]", f"{self.groups[1]} [%]", "drop [points]")
        lines: list[list[Cell]] = [
            [name, _measured(values[what], self.fixed[what]),
             _measured(values[what], self.resampled[what]), 100 * self.error_fixed[what],
             100 * self.error_resampled[what], 100 * flat]
            for name, what, flat in zip(names, _WHAT, pooled, strict=True)
        ]  # fmt: skip
        return Table(
            ["", "mean over classes, other photos", "mean over classes, other classes",
             "s.e., other photos", "s.e., other classes", "all photos alike"],
            lines,
            title=f"{self.name}: {self.groups[0]} against {self.groups[1]}",
            caption=self.answer,
            protocol=self._protocol(
                f"Other photos: normal intervals, classes fixed. Other classes: bootstrap over "
                f"classes, {self.resamples} draws, seed {self.seed}."
            ),
        )  # fmt: skip

    @property
    def tradeoff(self) -> Tradeoff:
        """The model as one setting: price = common photos missed, gain = counter photos named."""
        around = self.fixed["counter"]
        return Tradeoff(
            price=[1 - self.common], gain=[self.counter], knob=[self.name], name=self.name,
            gain_interval=[[min(around.low, self.counter), max(around.high, self.counter)]],
            price_name=f"{self.groups[0]} photos missed",
            gain_name=f"{self.groups[1]} photos named rightly", knob_name="model",
        )  # fmt: skip

    def placed(self, transform: str = "logit") -> Placed:
        """The model beside the published ones, at equal common accuracy.

        Accuracies are kept within 0.5/n and 1 - 0.5/n of a group's n photos, since 0 and 1 have no
        logit.

        Args:
            transform: As in `RobustnessLine`.

        Returns:
            Excess over both published lines.

        Raises:
            UsageError: Not the 45 animals, or not chosen among 1,000 names: not comparable.
        """
        published = [one.index for one in animals()]
        if self.classes.tolist() != published or self.space != "1 vs 1000":
            raise UsageError(
                "published accuracies are of the 45 animals, 1 vs 1000; these are of "
                f"{len(self.classes)} classes, {self.space}"
            )
        edge = 0.5 / self.rows.sum(0)
        common, counter = np.clip([self.common, self.counter], edge, 1 - edge).tolist()
        return place(common, counter, name=self.name, transform=transform)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `limen.save`."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        return held | {
            "groups": list(self.groups), "names": list(self.names),
            "backgrounds": [list(pair) for pair in self.backgrounds],
            "mistaken": list(self.mistaken), "put_in": list(self.put_in),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Counted":
        """Rebuild what `to_dict` gave.

        Raises:
            UsageError: It is not that.
        """
        try:
            return cls(**{
                **state,
                "groups": tuple(state["groups"]), "names": tuple(state["names"]),
                "backgrounds": tuple((a, b) for a, b in state["backgrounds"]),
                "mistaken": tuple(state["mistaken"]), "put_in": tuple(state["put_in"]),
            })  # fmt: skip
        except (KeyError, TypeError) as odd:
            raise UsageError(f"state must be what Counted.to_dict gives: {odd}") from odd

    def _values(self) -> dict[str, np.ndarray]:
        """Common, counter and drop of each class."""
        both = self.accuracy
        return dict(zip(_WHAT, (both[:, 0], both[:, 1], self.drops), strict=True))

    def _line(self, place: int) -> list[Cell]:
        (k, m), (n, o) = self.right[place].tolist(), self.rows[place].tolist()
        first, second = self.backgrounds[place]
        return [
            self.names[place], int(self.classes[place]), first, second, n, o,
            *self._cells((k, n), (m, o)), self.mistaken[place],
        ]  # fmt: skip

    def _mean(self) -> list[Cell]:
        n, o = self.rows.sum(0).tolist()
        return [
            f"mean of {len(self.classes)} classes", None, "", "", n, o,
            *(_measured(float(v.mean()), self.fixed[w]) for w, v in self._values().items()), "",
        ]  # fmt: skip

    def _pooled(self) -> list[Cell]:
        (k, m), (n, o) = self.right.sum(0).tolist(), self.rows.sum(0).tolist()
        return ["all photos alike", None, "", "", n, o, *self._cells((k, n), (m, o)), ""]

    def _cells(self, one: tuple[int, int], two: tuple[int, int]) -> list[Measured]:
        p, q = one[0] / one[1], two[0] / two[1]
        return [
            _measured(p, wilson(*one, level=self.level)),
            _measured(q, wilson(*two, level=self.level)),
            _measured(p - q, newcombe(one, two, level=self.level)),
        ]

    def _protocol(self, intervals: str) -> str:
        photos = self.rows.sum(0).tolist()
        told = ", ".join(map(str, self.put_in))
        put_in = f" Own name put among the candidates of: {told}." if told else ""
        return (
            f"{self.space}; {photos[0]} {self.groups[0]} and {photos[1]} {self.groups[1]} photos "
            f"of {len(self.classes)} classes.{put_in} {intervals} Level {self.level:.0%}."
        )


def _measured(value: float, interval: Interval) -> Measured:
    return Measured(100 * value, 100 * interval.low, 100 * interval.high)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
