"""Rows and columns that line up on a page, in a terminal and in Markdown."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TypeAlias, cast

import numpy as np

from limen._core.errors import UsageError
from limen.measure.tradeoff import Tradeoff
from limen.report.digits import ABSENT, decimals, written
from limen.report.measured import Measured
from limen.report.strict import number, plain

Cell: TypeAlias = str | int | float | Measured | None


@dataclass(frozen=True)
class Shown:
    """One cell as a reader sees it: its text, the exact value as text, and what it sorts by."""

    text: str
    exact: str
    order: float | None


@dataclass(frozen=True)
class Table:
    """Named columns over rows of text, numbers and `Measured`; None and NaN are shown as a dash.

    Args:
        columns: the names, from left to right; the first column names the rows.
        rows: one sequence of cells a row, each as long as `columns`.
        title: a few words above the table.
        caption: what to see in it, in a sentence.
        protocol: how the numbers were made; printed under the table.
        tradeoffs: the curves behind the rows, which travel with the table's data.

    Raises:
        UsageError: a row is longer or shorter than `columns`.

    Example:
        >>> table = Table(["score", "AUROC"], [["energy", 0.5], ["KNN", Measured(0.93, 0.9, 0.95)]])
        >>> print(table.to_text())
        score   AUROC
        energy  0.50
        KNN     0.93 [0.90, 0.95]
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | np.generic]]
    _: KW_ONLY
    title: str = ""
    caption: str = ""
    protocol: str = ""
    tradeoffs: Sequence[Tradeoff] = field(default_factory=list)

    kind = "table"

    def __post_init__(self) -> None:
        for place, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise UsageError(
                    f"row {place} must have {len(self.columns)} cells, one for each column, "
                    f"and has {len(row)}"
                )
        object.__setattr__(self, "columns", list(self.columns))
        object.__setattr__(self, "rows", [[_native(cell) for cell in row] for row in self.rows])
        object.__setattr__(self, "tradeoffs", list(self.tradeoffs))

    def numeric(self) -> list[bool]:
        """For each column: are all its cells numbers (or absent)?"""
        return [
            any(not _absent(cell) for cell in column)
            and not any(isinstance(cell, str | bool) for cell in column)
            for column in self._columnwise()
        ]

    def shown(self) -> list[list[Shown]]:
        """The rows as a reader sees them; a column's numbers share their decimals."""
        columns = [_shown(column) for column in self._columnwise()]
        return [list(row) for row in zip(*columns, strict=True)] if columns else []

    def to_text(self) -> str:
        """Plain aligned text for a terminal, the protocol under it; control characters go."""
        cells = [[_printable(cell.text) for cell in row] for row in self.shown()]
        lines = [[_printable(name) for name in self.columns], *cells]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = self._right_aligned()
        body = "\n".join(
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        )
        told = f"Protocol: {_printable(self.protocol)}" if self.protocol else ""
        return "\n".join(filter(None, [_printable(self.title), body, told]))

    def to_markdown(self) -> str:
        r"""A Markdown table, numbers to the right.

        Example:
            >>> print(Table(["a|b", "n"], [["x", 1]]).to_markdown())
            | a\|b | n |
            | :--- | ---: |
            | x | 1 |
        """
        rules = ["---:" if to_right else ":---" for to_right in self._right_aligned()]
        lines = [[_markdown(name) for name in self.columns], rules]
        lines += [[_markdown(cell.text) for cell in row] for row in self.shown()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "columns": list(self.columns),
            "rows": [
                [cell.to_dict() if isinstance(cell, Measured) else plain(cell) for cell in row]
                for row in self.rows
            ],
            "title": self.title,
            "caption": self.caption,
            "protocol": self.protocol,
            "tradeoffs": [tradeoff.to_dict() for tradeoff in self.tradeoffs],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Table":
        """The inverse of `to_dict`; NaN comes back as None."""
        rows = cast("list[list[object]]", data["rows"])
        return cls(
            cast("list[str]", data["columns"]),
            [[_cell(cell) for cell in row] for row in rows],
            title=str(data["title"]),
            caption=str(data["caption"]),
            protocol=str(data["protocol"]),
            tradeoffs=[
                Tradeoff.from_dict(one)
                for one in cast("list[dict[str, object]]", data["tradeoffs"])
            ],
        )

    def _columnwise(self) -> Iterator[list[Cell]]:
        for place in range(len(self.columns)):
            yield [cast("Cell", row[place]) for row in self.rows]

    def _right_aligned(self) -> list[bool]:
        """Numbers stand to the right, unless intervals follow them: those align at their start."""
        return [
            numeric and not any(isinstance(cell, Measured) for cell in column)
            for numeric, column in zip(self.numeric(), self._columnwise(), strict=True)
        ]


def _native(cell: object) -> Cell:
    value = cell.item() if isinstance(cell, np.generic) else cell
    return cast("Cell", value)


def _cell(data: object) -> Cell:
    if isinstance(data, Mapping):
        return Measured.from_dict(data) if "low" in data else number(data)
    return cast("Cell", data)


def _absent(cell: Cell) -> bool:
    value = cell.value if isinstance(cell, Measured) else cell
    return value is None or (isinstance(value, float) and math.isnan(value))


def _shown(column: Sequence[Cell]) -> list[Shown]:
    measured = [cell.places for cell in column if isinstance(cell, Measured)]
    places = max(measured) if measured else decimals(x for x in column if isinstance(x, float))
    return [_show(cell, places) for cell in column]


def _show(cell: Cell, places: int) -> Shown:
    if cell is None or _absent(cell):
        return Shown(ABSENT, "", None)
    if isinstance(cell, Measured):
        return Shown(cell.written(places), f"{cell.value} [{cell.low}, {cell.high}]", cell.value)
    if isinstance(cell, float):
        return Shown(written(cell, places), str(cell), cell)
    if isinstance(cell, bool):
        return Shown("yes" if cell else "no", str(cell), None)
    return Shown(str(cell), str(cell), float(cell) if isinstance(cell, int) else None)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _markdown(text: str) -> str:
    escaped = "".join(f"\\{letter}" if letter in "\\|`*" else letter for letter in text)
    return _printable(escaped).replace("<", "&lt;").replace("](", "]\\(")
