"""A heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import decimals, written
from limen.report.key import Key, numbers
from limen.report.look import THEME, figure, safe, scale
from limen.report.strict import number, plain
from limen.report.table import Table


@dataclass(frozen=True)
class Grid:
    """A heat map of values[y, x]: the first row on top, stronger is more; NaN is crossed out.

    Args:
        values: rows of numbers, all of one length.
        x: a label for each column; their numbers if left out.
        y: a label for each row; their numbers if left out.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.
        x_name: what runs to the right.
        y_name: what runs down.
        diverging: two colours that meet at zero, for values that may have either sign.

    Raises:
        UsageError: rows that differ in length, or labels that do not match the values.

    Example:
        >>> print(Grid([[0.0, 1.0], [-3.0, 2.0]], x=["a", "b"], y=["q", "v"]).alt())
        Heat map of 2 rows and 2 columns. Least -3.00 at v, a; most 2.00 at v, b.
    """

    values: Sequence[Sequence[float]] | np.ndarray
    _: KW_ONLY
    x: Sequence[str | int | float] = ()
    y: Sequence[str | int | float] = ()
    title: str = ""
    caption: str = ""
    x_name: str = ""
    y_name: str = ""
    diverging: bool = False

    kind = "grid"
    beyond = ""

    def __post_init__(self) -> None:
        rows = [np.asarray(row).tolist() for row in self.values]
        if not rows or not all(isinstance(row, list) for row in rows) or not rows[0]:
            raise UsageError("values must be rows of numbers (2-D) and not empty")
        if len({len(row) for row in rows}) > 1:
            raise UsageError(
                f"rows of values must be of one length, got {[len(row) for row in rows]}"
            )
        object.__setattr__(self, "values", [[number(value) for value in row] for row in rows])
        for axis, size in (("x", len(rows[0])), ("y", len(rows))):
            labels = np.asarray(getattr(self, axis)).tolist() or list(range(size))
            if len(labels) != size:
                raise UsageError(f"{axis} must have {size} labels, one for each, has {len(labels)}")
            object.__setattr__(self, axis, labels)

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.x_name

    @property
    def upward(self) -> str:
        """What runs down."""
        return self.y_name

    def keys(self) -> list[Key]:
        """None: the colour bar is the key."""
        return []

    def alt(self) -> str:
        """The picture in words."""
        values = np.asarray(self.values, dtype=float)
        size = f"Heat map of {values.shape[0]} rows and {values.shape[1]} columns."
        if np.isnan(values).all():
            return f"{size} All empty."
        least = self._place(values, int(np.nanargmin(values)))
        return f"{size} Least {least}; most {self._place(values, int(np.nanargmax(values)))}."

    def numbers(self) -> Table:
        """The heat map as rows and columns."""
        corner = " / ".join(filter(None, [self.y_name, self.x_name]))
        rows = [[str(name), *row] for name, row in zip(self.y, self.values, strict=True)]
        return numbers([corner, *map(str, self.x)], rows)

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        import plotly.graph_objects as go

        values = np.asarray(self.values, dtype=float)
        shown = np.isfinite(values)
        heat = go.Heatmap(
            z=[[value if np.isfinite(value) else None for value in row] for row in values.tolist()],
            colorscale=scale(diverging=self.diverging),
            zmid=0.0 if self.diverging and shown.any() else None,
            xgap=1 if values.shape[1] <= 60 else 0,
            ygap=1 if values.shape[0] <= 60 else 0,
            text=[[self._name(i, j) for j in range(len(self.x))] for i in range(len(self.y))],
            hovertemplate="%{text}<br>%{z:.4g}<extra></extra>",
            colorbar={"thickness": 10, "outlinewidth": 0, "len": 1.0, "ticklen": 0, "xpad": 8},
        )
        return figure(
            [heat, self._missing(shown)],
            xaxis=_axis(self.x),
            yaxis={**_axis(self.y), "range": [len(self.y) - 0.5, -0.5]},
            margin_t=8,
            height=min(max(120 + 22 * len(self.y), 220), 560),
        )

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "values": plain(self.values),
            "x": plain(self.x),
            "y": plain(self.y),
            "title": self.title,
            "caption": self.caption,
            "x_name": self.x_name,
            "y_name": self.y_name,
            "diverging": self.diverging,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Grid":
        """The inverse of `to_dict`."""
        values = cast("list[list[object]]", data["values"])
        return cls(
            [[number(value) for value in row] for row in values],
            x=cast("list[str]", data["x"]),
            y=cast("list[str]", data["y"]),
            title=str(data["title"]),
            caption=str(data["caption"]),
            x_name=str(data["x_name"]),
            y_name=str(data["y_name"]),
            diverging=bool(data["diverging"]),
        )

    def _missing(self, shown: np.ndarray) -> Any:
        """A small cross where nothing was measured, which is not the same as zero."""
        import plotly.graph_objects as go

        rows, columns = np.nonzero(~shown)
        marker = {"symbol": "x-thin-open", "size": 7, "color": THEME["soft"][0]}
        return go.Scatter(
            x=columns.tolist(), y=rows.tolist(), mode="markers", marker=marker, hoverinfo="skip"
        )

    def _name(self, row: int, column: int) -> str:
        """Where a cell is, in the words of the labels."""
        named = ((self.y_name or "row", self.y[row]), (self.x_name or "column", self.x[column]))
        return ", ".join(f"{safe(name)} {safe(label)}" for name, label in named)

    def _place(self, values: np.ndarray, flat: int) -> str:
        row, column = divmod(flat, values.shape[1])
        value = float(values[row, column])
        shown = written(value, max(decimals([value]), 2 if abs(value) < 10 else 0))
        return f"{shown} at {self.y[row]}, {self.x[column]}"


def _axis(labels: Sequence[str | int | float]) -> dict[str, Any]:
    """An axis whose cells stand at 0, 1, 2 ... and carry every label, or an even choice of them."""
    some = range(0, len(labels), max(1, round(len(labels) / 12)))
    return {
        "tickvals": list(some),
        "ticktext": [safe(labels[place]) for place in some],
        "range": [-0.5, len(labels) - 0.5],
        "showgrid": False,
        "linecolor": THEME["line"][0],
    }
