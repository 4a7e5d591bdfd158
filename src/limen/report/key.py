"""One entry of a figure's key, and the table of numbers behind a figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limen.report.look import DASHES, SERIES, SYMBOLS, dash, symbol
from limen.report.table import Cell, Table

MOST_ROWS = 200


@dataclass(frozen=True)
class Key:
    """What a line of a figure stands for: swatch, name, and the number to read off it."""

    place: int | None
    name: str
    reading: str
    detail: str = ""
    marked: bool = True
    lined: bool = True
    solid: bool = False

    @property
    def style(self) -> str:
        """The class that carries its colour; a reference, which has no place, is plain ink."""
        return "plain" if self.place is None else f"s{self.place % len(SERIES)}"

    @property
    def dashes(self) -> str:
        """Its dash, in the words of SVG."""
        return DASHES[dash(0 if self.solid else self.place or 0)]

    @property
    def marker(self) -> str:
        """The outline of its marker, in a box of 30 by 12."""
        return SYMBOLS[symbol(self.place or 0)] if self.marked else ""


def numbers(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """The rows behind a figure; of very many, an even choice that keeps the first and the last.

    Example:
        >>> len(numbers(["x"], [[x] for x in range(5000)]).rows)
        200
    """
    if len(rows) <= MOST_ROWS:
        return Table(columns, rows)
    chosen = np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int)
    caption = (
        f"{MOST_ROWS} of {len(rows)} rows, evenly chosen; the data of the page holds them all."
    )
    return Table(columns, [rows[place] for place in chosen], caption=caption)
