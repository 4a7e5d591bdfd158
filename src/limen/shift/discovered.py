"""What `discover` found: every pair with its gap, every group with its accuracy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from limen._core.errors import UsageError
from limen.measure.wilson import wilson
from limen.report.measured import Measured
from limen.report.table import Cell, Table

Name = str | int


@dataclass(frozen=True)
class SpuriousPair:
    """The attributes with which a label is named best and worst; a larger gap = more reliance.

    Attributes:
        label: What was to be named.
        best: Attribute of the highest accuracy on the half that chose.
        worst: Attribute of the lowest.
        gap: Accuracy with the best less that with the worst, on rows that had no say in the choice.
        low: Lower end of its interval.
        high: Upper end.
        chosen_gap: The same gap on the rows that chose the pair: too large, by the winner's curse.
        p_value: Of Fisher's exact test on the held-out rows; of two folds twice the smaller.
        corrected: The p-value, corrected over labels.
        folds: How many halves chose.
        agree: How many of them chose this very pair.
        found: Whether the gap is both large and no accident, as asked.

    Example:
        >>> SpuriousPair("bear", "rock", "snow", gap=0.3, low=0.1, high=0.5, chosen_gap=0.4,
        ...     p_value=0.01, corrected=0.02, folds=2, agree=2, found=True).curse
        0.1
    """

    label: Name
    best: Name
    worst: Name
    gap: float
    low: float
    high: float
    chosen_gap: float
    p_value: float
    corrected: float
    folds: int
    agree: int
    found: bool

    @property
    def curse(self) -> float:
        """By how much the choosing rows flatter the gap; rounded to 12 digits."""
        return round(self.chosen_gap - self.gap, 12)


@dataclass(frozen=True)
class AttributeGroup:
    """Accuracy among the rows of one label and attribute; higher is better.

    Attributes:
        label: Of its rows.
        attribute: Of its rows.
        rows: How many.
        right: How many are answered rightly.
        enough: Whether there are enough rows to be chosen.

    Example:
        >>> AttributeGroup("bear", "snow", rows=40, right=10, enough=True).accuracy
        0.25
    """

    label: Name
    attribute: Name
    rows: int
    right: int
    enough: bool

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.rows

    def measured(self, level: float) -> Measured:
        """The accuracy with Wilson's interval."""
        interval = wilson(self.right, self.rows, level=level)
        return Measured(self.accuracy, interval.low, interval.high)


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """Pairs of attributes between which a model's accuracy falls, label by label.

    Attributes:
        rows: A pair for each label that has two groups of enough rows, sorted by label.
        groups: Every label and attribute that occurs together.
        untested: Labels with fewer than two groups of enough rows.
        min_n: Rows that a group must have.
        min_gap: Held-out gap that a pair must have.
        alpha: Of the corrected tests.
        correction: "holm" or "bh".
        level: Nominal coverage of the intervals.
        seed: Of the halves.

    Example:
        >>> from limen.shift.discover import discover
        >>> right = [1] * 40 + [0] * 40
        >>> discovery = discover(right, ["bear"] * 80, ["rock"] * 40 + ["snow"] * 40)
        >>> [(pair.best, pair.worst, pair.gap) for pair in discovery.pairs]
        [('rock', 'snow', 1.0)]
    """

    rows: tuple[SpuriousPair, ...]
    groups: tuple[AttributeGroup, ...]
    untested: tuple[Name, ...]
    min_n: int
    min_gap: float
    alpha: float
    correction: str
    level: float = 0.95
    seed: int = 0

    @property
    def pairs(self) -> tuple[SpuriousPair, ...]:
        """The pairs found, the largest held-out gap first.

        The first is the largest of several, and so looks a little larger than it is; the mean,
        `drop`, does not.
        """
        return tuple(sorted((one for one in self.rows if one.found), key=lambda one: -one.gap))

    @property
    def small(self) -> tuple[AttributeGroup, ...]:
        """The groups that had too few rows to be chosen."""
        return tuple(one for one in self.groups if not one.enough)

    @property
    def drop(self) -> Measured:
        """Mean held-out gap over all labels tested, found or not; nothing in it was selected."""
        count = len(self.rows)
        down = sqrt(sum((one.gap - one.low) ** 2 for one in self.rows)) / count
        up = sqrt(sum((one.high - one.gap) ** 2 for one in self.rows)) / count
        gap = sum(one.gap for one in self.rows) / count
        return Measured(gap, gap - down, gap + up)

    @property
    def curse(self) -> float:
        """Mean over labels of the choosing rows' gap less the held-out gap."""
        return sum(one.curse for one in self.rows) / len(self.rows)

    @property
    def table(self) -> Table:
        """Label by label, the largest held-out gap first; what was not tested stands last."""
        lines: list[list[Cell]] = [
            [
                str(one.label), str(one.best), str(one.worst),
                Measured(one.gap, one.low, one.high), one.chosen_gap, one.corrected,
                f"{one.agree} of {one.folds}", "yes" if one.found else "no",
            ]
            for one in sorted(self.rows, key=lambda one: -one.gap)
        ]  # fmt: skip
        lines += [[str(one), *[None] * 6, "too few rows"] for one in self.untested]
        name = {"holm": "Holm", "bh": "BH"}[self.correction]
        return Table(
            ["label", "best with", "worst with", "gap, held out", "gap where chosen",
             f"p, {name}", "halves that agree", "found"],
            lines,
            title="Where accuracy falls",
            caption="Accuracy with the best attribute less accuracy with the worst. The pair is "
            "chosen on other rows than those that measure the gap; on the rows that chose it, the "
            f"gap is larger by {self.curse:.3f} on average.",
            protocol=self._protocol(),
        )  # fmt: skip

    @property
    def groups_table(self) -> Table:
        """Accuracy of every group with Wilson's interval, small groups included and marked."""
        lines: list[list[Cell]] = [
            [str(one.label), str(one.attribute), one.rows, one.measured(self.level),
             "yes" if one.enough else f"no, below {self.min_n}"]
            for one in self.groups
        ]  # fmt: skip
        return Table(
            ["label", "attribute", "rows", "accuracy", "enough rows"],
            lines,
            title="Accuracy by label and attribute",
            protocol=f"Wilson's intervals, {self.level:.0%}, each by itself.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe, for `limen.save`."""
        return asdict(self) | {
            "rows": [asdict(one) for one in self.rows],
            "groups": [asdict(one) for one in self.groups],
            "untested": list(self.untested),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Discovery":
        """Rebuild what `to_dict` gave.

        Raises:
            UsageError: It is not that.
        """
        try:
            return cls(**{
                **state,
                "rows": tuple(SpuriousPair(**one) for one in state["rows"]),
                "groups": tuple(AttributeGroup(**one) for one in state["groups"]),
                "untested": tuple(state["untested"]),
            })  # fmt: skip
        except (KeyError, TypeError) as odd:
            raise UsageError(f"state must be what Discovery.to_dict gives: {odd}") from odd

    def _protocol(self) -> str:
        small, tested = len(self.small), len(self.rows)
        folds = self.rows[0].folds
        return (
            ("Two halves, each in turn chooses and is measured" if folds == 2 else
             "One half chooses, the other is measured")
            + f"; found = held-out gap at least {self.min_gap:g} and Fisher's exact test below "
            f"{self.alpha:g}, corrected over {tested} labels. Intervals {self.level:.0%}, each by "
            f"itself. {small} of {len(self.groups)} groups have fewer than {self.min_n} rows and "
            f"were left out; {len(self.untested)} labels were not tested. Seed {self.seed}."
        )  # fmt: skip
