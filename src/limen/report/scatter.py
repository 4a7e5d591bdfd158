"""Points around zero, or beside lines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import decimals, short, written
from limen.report.key import Key, numbers
from limen.report.look import THEME, colour, dash, figure, safe, symbol
from limen.report.strict import number, plain
from limen.report.table import Table

CROWD = 300  # more points than this are drawn smaller and see-through


@dataclass(frozen=True)
class Scatter:
    """One point for each pair of values; zero is in the picture, as a line each way.

    With `lines`, which points are laid beside, the picture spans the points instead.

    Args:
        x: how far each point stands to the right.
        y: how far it stands up. A point without a finite x and y is counted, not drawn.
        names: what each point is; its number if left out.
        groups: the group of each point, by name: a colour and a marker of its own, and a line in
            the key. All alike if left out.
        marks: a letter or number beside each point; none if left out.
        lines: what the points are laid beside, by name: the xs and the ys of each line.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.
        x_name: what runs to the right, with its unit.
        y_name: what runs up, with its unit.

    Raises:
        UsageError: no point; x, y, names, groups or marks that differ in number; a line whose xs
            and ys do.

    Example:
        >>> scatter = Scatter([-1.0, 2.0], [0.5, 0.0], names=["a", "b"], x_name="u", y_name="v")
        >>> print(scatter.alt())
        v against u for 2 points. u from -1.00 at a to 2.00 at b; v from 0.00 at b to 0.50 at a.
    """

    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    _: KW_ONLY
    names: Sequence[str | int | float] = ()
    groups: Sequence[str | int | float] = ()
    marks: Sequence[str | int] = ()
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    title: str = ""
    caption: str = ""
    x_name: str = "x"
    y_name: str = "y"

    kind = "scatter"

    def __post_init__(self) -> None:
        for axis in ("x", "y"):
            values = np.asarray(getattr(self, axis)).tolist()
            object.__setattr__(self, axis, [number(value) for value in values])
        size = len(self.x)
        if not size:
            raise UsageError("a scatter must have at least one point, and has none")
        names = np.asarray(self.names).tolist() or [str(place) for place in range(size)]
        object.__setattr__(self, "names", [str(name) for name in names])
        object.__setattr__(self, "groups", [str(group) for group in np.asarray(self.groups)])
        object.__setattr__(self, "marks", [str(mark) for mark in self.marks])
        for what, least in (("y", size), ("names", size), ("groups", 0), ("marks", 0)):
            found = getattr(self, what)
            if len(found) not in {size, least}:
                raise UsageError(
                    f"{what} must be one for each of the {size} values of x, got {len(found)}"
                )
        lines = {
            str(name): tuple(
                [number(value) for value in np.asarray(side).tolist()] for side in ends
            )
            for name, ends in self.lines.items()
        }
        object.__setattr__(self, "lines", lines)
        odd = next((name for name, (x, y) in lines.items() if len(x) != len(y)), None)
        if odd is not None:
            raise UsageError(f"the line {odd!r} must have as many ys as xs")

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.x_name

    @property
    def upward(self) -> str:
        """What runs up."""
        return self.y_name

    @property
    def beyond(self) -> str:
        """How many points are not drawn, in words; empty where all are."""
        count = len(self.x) - len(self._drawn())
        return f"{count} {_points(count)} without both values" if count else ""

    def keys(self) -> list[Key]:
        """One entry a group, with how many points it has; none without groups."""
        parts = self._parts()
        points = [
            Key(place, name, f"{len(points)} {_points(len(points))}", lined=False)
            for place, (name, points) in enumerate(parts.items())
            if self.groups
        ]
        first = len(parts)
        lines = [Key(first + i, name, "line", marked=False) for i, name in enumerate(self.lines)]
        return [*points, *lines]

    def alt(self) -> str:
        """The picture in words."""
        drawn = self._drawn()
        parts = ", ".join(f"{name} ({len(points)})" for name, points in self._parts().items())
        where = f" in {parts}" if self.groups and drawn else ""
        head = f"{self.y_name} against {self.x_name} for {len(drawn)} {_points(len(drawn))}{where}."
        if not drawn:
            return head
        spans = (self._span(self.x_name, self.x), self._span(self.y_name, self.y))
        return f"{head} {spans[0]}; {spans[1]}."

    def numbers(self) -> Table:
        """Every point: name, group where there are some, x, y."""
        columns = ["point", *(["group"] if self.groups else []), self.x_name, self.y_name]
        parts = (self.names, *([self.groups] if self.groups else []), self.x, self.y)
        return numbers(columns, [list(row) for row in zip(*parts, strict=True)])

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        import plotly.graph_objects as go

        crowd = len(self._drawn()) > CROWD
        marks = [
            go.Scatter(
                x=[self.x[point] for point in points],
                y=[self.y[point] for point in points],
                text=[safe(self.marks[point]) for point in points] if self.marks else None,
                textposition="top center",
                textfont={"size": 11, "color": THEME["soft"][0]},
                cliponaxis=False,
                hovertext=[self._hover(point) for point in points],
                hoverinfo="text",
                mode="markers+text" if self.marks else "markers",
                marker={
                    "symbol": symbol(place),
                    "size": 6 if crowd else 10,
                    "opacity": 0.55 if crowd else 0.85,
                    "color": colour(place),
                    "line": {"width": 0 if crowd else 1, "color": THEME["paper"][0]},
                },
            )
            for place, points in enumerate(self._parts().values())
        ]
        zero = {"zeroline": True, "zerolinecolor": THEME["soft"][0], "zerolinewidth": 1.2}
        zero = {} if self.lines else zero
        drawn, around = self._drawn(), not self.lines
        return figure(
            [*self._drawn_lines(go), *marks],
            xaxis={**zero, "range": _range([self.x[point] for point in drawn], zero=around)},
            yaxis={**zero, "range": _range([self.y[point] for point in drawn], zero=around)},
            margin_t=12,
            height=380,
            hovermode="closest",
        )

    def _drawn_lines(self, go: Any) -> list[Any]:
        first = len(self._parts())
        return [
            go.Scatter(
                x=list(x), y=list(y), mode="lines", hoverinfo="skip",
                line={"color": colour(first + place), "width": 1.6, "dash": dash(first + place)},
            )
            for place, (x, y) in enumerate(self.lines.values())
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "x": plain(self.x),
            "y": plain(self.y),
            "names": plain(self.names),
            "groups": plain(self.groups),
            "marks": plain(self.marks),
            "lines": {name: [plain(x), plain(y)] for name, (x, y) in self.lines.items()},
            "title": self.title,
            "caption": self.caption,
            "x_name": self.x_name,
            "y_name": self.y_name,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Scatter":
        """The inverse of `to_dict`."""
        x, y = ([number(value) for value in cast("list[object]", data[axis])] for axis in "xy")
        return cls(
            x,
            y,
            names=cast("list[str]", data["names"]),
            groups=cast("list[str]", data["groups"]),
            marks=cast("list[str]", data.get("marks", [])),
            lines={
                name: (x, y)
                for name, (x, y) in cast("dict[str, Any]", data.get("lines", {})).items()
            },
            title=str(data["title"]),
            caption=str(data["caption"]),
            x_name=str(data["x_name"]),
            y_name=str(data["y_name"]),
        )

    def _drawn(self) -> list[int]:
        """The points that have a finite place."""
        places = zip(self.x, self.y, strict=True)
        return [i for i, (x, y) in enumerate(places) if math.isfinite(x) and math.isfinite(y)]

    def _parts(self) -> dict[str, list[int]]:
        """The drawn points of each group, in order of appearance."""
        parts: dict[str, list[int]] = {str(name): [] for name in self.groups or [""]}
        for point in self._drawn():
            parts[str(self.groups[point]) if self.groups else ""].append(point)
        return parts

    def _span(self, name: str, values: Sequence[float] | np.ndarray) -> str:
        drawn = sorted(self._drawn(), key=lambda point: values[point])
        ends = [values[drawn[0]], values[drawn[-1]]]
        places = max(decimals(ends), 2 if max(map(abs, ends)) < 10 else 0)
        low, high = (written(value, places) for value in ends)
        return f"{name} from {low} at {self.names[drawn[0]]} to {high} at {self.names[drawn[-1]]}"

    def _hover(self, point: int) -> str:
        lines = [
            self.names[point],
            self.groups[point] if self.groups else "",
            f"{self.x_name} {short(self.x[point])}",
            f"{self.y_name} {short(self.y[point])}",
        ]
        return "<br>".join(safe(line) for line in lines if line)


def _points(count: int) -> str:
    return "point" if count == 1 else "points"


def _range(values: Sequence[float], *, zero: bool) -> list[float]:
    """From the least to the most, zero in between where asked, with room for the markers."""
    ends = [0.0] if zero or not values else []
    low, high = min([*values, *ends]), max([*values, *ends])
    room = 0.07 * (high - low) or 1.0
    return [low - room, high + room]
