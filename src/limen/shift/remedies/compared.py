"""What `compare_remedies` found: every row's errors, and the table made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from limen.measure.delong import holm
from limen.measure.interval import paired, student
from limen.measure.tradeoff import Tradeoff
from limen.report.measured import Measured
from limen.report.table import Cell, Table


@dataclass(frozen=True, eq=False, kw_only=True)
class Compared(Table):
    """Error of each remedy in each environment left out, and its change; lower is better.

    Its trade-off puts what each remedy gains (accuracy in the worst environment left out) against
    its price (error at home, in the environments that it learned from).

    Attributes:
        remedies: Names.
        places: Names of the environments.
        wrong: Whether each row was named wrongly when its environment was left out, (remedies,
            seeds, rows).
        home: Error on kept rows of the environments learned from, (remedies, seeds, place left
            out).
        environments: Of each row.
        baseline: Which remedy the changes are against.
        seeds: Of the runs.
        level: Nominal coverage of the intervals.

    Example:
        >>> wrong = np.array([[[True, True, False]], [[True, False, False]]])
        >>> found = Compared.of(("ERM", "other"), ("a", "b"), wrong=wrong, home=np.zeros((2, 1, 2)),
        ...     environments=np.array([0, 0, 1]), baseline=0, seeds=(0,), level=0.95)
        >>> found.errors.tolist()    # one in two of a, none of b; at worst 0.5
        [[[1.0, 0.0]], [[0.5, 0.0]]]
    """

    remedies: tuple[str, ...]
    places: tuple[str, ...]
    wrong: Bool[np.ndarray, "remedies seeds rows"]
    home: Float[np.ndarray, "remedies seeds places"]
    environments: Int64[np.ndarray, " rows"]
    baseline: int
    seeds: tuple[int, ...]
    level: float

    @classmethod
    def of(
        cls,
        remedies: tuple[str, ...],
        places: tuple[str, ...],
        *,
        wrong: Bool[np.ndarray, "remedies seeds rows"],
        home: Float[np.ndarray, "remedies seeds places"],
        environments: Int64[np.ndarray, " rows"],
        baseline: int,
        seeds: tuple[int, ...],
        level: float,
    ) -> "Compared":
        """The table.

        Args:
            remedies: As the attribute; so are all that follow.
            places: Likewise.
            wrong: Likewise.
            home: Likewise.
            environments: Likewise.
            baseline: Likewise.
            seeds: Likewise.
            level: Likewise.

        Returns:
            A row for each remedy and environment, and for mean, worst and home.
        """
        errors = _errors(wrong, environments, len(places))
        columns = ["remedy", "left out", "error", f"change against {remedies[baseline]}, seeds"]
        columns += ["change, rows", "p, Holm"]
        lines = _lines(remedies, places, _figures(errors, home), baseline=baseline, level=level)
        by_rows = _by_rows(wrong, environments, baseline=baseline, level=level)
        tested = [one for one in by_rows if one is not None]
        corrected = iter(holm([p for _, p in tested]).tolist() if tested else [])
        cells: list[list[Cell]] = []
        asked = iter(by_rows)
        for line in lines:
            found = next(asked) if line[1] in places else None
            extra: list[Cell] = [None, None] if found is None else [found[0], next(corrected)]
            cells.append([*line, *extra])
        return cls(
            columns, cells,
            title="Remedies compared",
            protocol=_protocol(len(seeds), wrong.shape[2], level),
            tradeoffs=[_tradeoff(remedies, errors, home)],
            remedies=remedies, places=places, wrong=wrong, home=home, environments=environments,
            baseline=baseline, seeds=seeds, level=level,
        )  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Table:
        """The table alone: rows' errors, which are long, are not part of `to_dict`."""
        return Table.from_dict(data)

    @property
    def errors(self) -> Float[np.ndarray, "remedies seeds places"]:
        """Error in each environment when it was left out."""
        return _errors(self.wrong, self.environments, len(self.places))


def _errors(wrong: np.ndarray, environments: np.ndarray, places: int) -> np.ndarray:
    parts = [wrong[..., environments == place].mean(-1) for place in range(places)]
    return np.stack(parts, -1)


def _figures(errors: np.ndarray, home: np.ndarray) -> np.ndarray:
    """(remedies, seeds, places and mean, worst, home)."""
    more = [errors.mean(-1), errors.max(-1), home.mean(-1)]
    return np.concatenate([errors, np.stack(more, -1)], -1)


def _lines(
    remedies: Sequence[str],
    places: Sequence[str],
    figures: np.ndarray,
    *,
    baseline: int,
    level: float,
) -> list[list[Cell]]:
    names = [*places, "mean", "worst", "home"]
    lines: list[list[Cell]] = []
    for which, remedy in enumerate(remedies):
        for column, name in enumerate(names):
            mine = figures[which, :, column]
            gaps = mine - figures[baseline, :, column]
            change = None if which == baseline else _over_seeds(gaps, level)
            lines.append([remedy, name, float(mine.mean()), change])
    return lines


def _over_seeds(gaps: np.ndarray, level: float) -> Measured | float:
    interval, middle = student(gaps, level=level), float(gaps.mean())
    # of one run, or of runs that happen to agree, nothing is known of the next
    return Measured(middle, interval.low, interval.high) if interval.low < interval.high else middle


def _by_rows(
    wrong: np.ndarray, environments: np.ndarray, *, baseline: int, level: float
) -> list[tuple[Measured, float] | None]:
    """Change over rows and its p, remedy by remedy and place by place; None for the baseline."""
    count, runs = wrong.sum(1), wrong.shape[1]  # whole numbers, so that equal ones are equal
    found: list[tuple[Measured, float] | None] = []
    for which in range(len(wrong)):
        for place in np.unique(environments):
            here = environments == place
            if which == baseline:
                found.append(None)
                continue
            one = paired(count[which, here], count[baseline, here], level=level)
            ends = (one.interval.low / runs, one.interval.high / runs)
            found.append((Measured(one.difference / runs, *ends), one.p_value))
    return found


def _tradeoff(remedies: Sequence[str], errors: np.ndarray, home: np.ndarray) -> Tradeoff:
    return Tradeoff(
        price=home.mean((1, 2)),
        gain=1 - errors.max(-1).mean(1),
        knob=remedies,
        name="remedies",
        price_name="error at home",
        gain_name="accuracy in the worst environment left out",
        knob_name="remedy",
    )


def _protocol(seeds: int, rows: int, level: float) -> str:
    return (
        f"Each environment left out in turn; {seeds} seeds, {rows} rows. Intervals {level:.0%}: "
        "over seeds Student's, over rows a bootstrap; p by sign flips over rows."
    )
