"""Long series in lanes over one time, with stretches shaded."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import short
from limen.report.key import Key, numbers
from limen.report.look import THEME, colour, dash, figure, safe
from limen.report.strict import number, plain
from limen.report.table import Table

POINTS = 3000
"""Of a lane's line, at most: of a longer one each bucket's least and greatest value are kept."""


@dataclass(frozen=True)
class Timeline:
    """Lanes of values above one another over common points, with stretches of time shaded.

    Dragging zooms all lanes together. A long lane is thinned as `Timeline.of` does it, so that no
    peak is lost.

    Args:
        at: the number of each point, rising.
        lanes: for each lane's name its values, one for each point; NaN is a gap.
        spans: for each group's name its stretches [start, end), in the numbers of `at`.
        levels: for a lane's name a value to compare with, drawn as a thin horizontal line.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.
        x_name: what runs to the right.

    Raises:
        UsageError: no lane, a lane of another length, numbers that do not rise, a stretch that
            ends before it starts, or a level of no lane.

    Example:
        >>> line = Timeline([0, 1, 2], {"load": [1.0, 9.0, 1.0]}, spans={"event": [(1, 2)]})
        >>> print(line.alt())
        1 lane over point 0 to 2. load: 1 to 9. event: 1 stretch, the first from 1 to 2.
    """

    at: Sequence[float] | np.ndarray
    lanes: Mapping[str, Sequence[float] | np.ndarray]
    _: KW_ONLY
    spans: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    caption: str = ""
    x_name: str = "point"

    kind = "timeline"
    upward = ""
    beyond = ""

    def __post_init__(self) -> None:
        at = [number(value) for value in np.asarray(self.at).tolist()]
        lanes = {str(k): [number(x) for x in np.asarray(v).tolist()] for k, v in self.lanes.items()}
        spans = {
            str(name): [(number(start), number(end)) for start, end in found]
            for name, found in self.spans.items()
        }
        levels = {str(name): number(value) for name, value in self.levels.items()}
        if not lanes or not at or not (np.diff(at) > 0).all():
            raise UsageError("a timeline must have a lane, and points whose numbers rise")
        odd = {name: len(values) for name, values in lanes.items() if len(values) != len(at)}
        if odd:
            raise UsageError(f"each lane must have one value a point, {len(at)}; got {odd}")
        turned = [span for found in spans.values() for span in found if not span[0] < span[1]]
        if turned:
            raise UsageError(f"a stretch must start before it ends, got {turned[0]}")
        if not levels.keys() <= lanes.keys():
            raise UsageError(f"levels must be of lanes {list(lanes)}, got {list(levels)}")
        for name, value in (("at", at), ("lanes", lanes), ("spans", spans), ("levels", levels)):
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        lanes: Mapping[str, Sequence[float] | np.ndarray],
        *,
        first: int = 0,
        spans: Mapping[str, Any] | None = None,
        levels: Mapping[str, float] | None = None,
        points: int = POINTS,
        **told: str,
    ) -> "Timeline":
        """Thin long lanes: of each bucket of points, where any lane is least or greatest is kept.

        Args:
            lanes: for each name its values, all of one length.
            first: the number of the first point.
            spans: for each group's name its stretches [start, end), in points.
            levels: as for the class.
            points: how many are kept, about.
            **told: title, caption, x_name.

        Returns:
            The record.

        Raises:
            UsageError: what the class refuses.

        Example:
            >>> peak = np.zeros(10_000)
            >>> peak[4321] = 1.0
            >>> line = Timeline.of({"load": peak}, points=100)
            >>> len(line.at) <= 101, max(line.lanes["load"])
            (True, 1.0)
        """
        arrays = {name: np.asarray(values, dtype=float) for name, values in lanes.items()}
        length = min((len(values) for values in arrays.values()), default=0)
        kept = np.arange(length)
        if length > points:
            buckets = np.linspace(0, length, max(1, points // (2 * len(arrays))) + 1).astype(int)
            kept = np.unique(
                [0, length - 1, *(i for v in arrays.values() for i in _extremes(v, buckets))]
            )
        shown = {name: values[kept] for name, values in arrays.items()}
        listed = {
            name: [(int(start) + first, int(end) + first) for start, end in found]
            for name, found in (spans or {}).items()
        }
        return cls(kept + first, shown, spans=listed, levels=levels or {}, **told)

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.x_name

    def keys(self) -> list[Key]:
        """One entry a lane from top to bottom, then the groups of stretches."""
        found = [
            Key(place, name, _range(values), marked=False, solid=True)
            for place, (name, values) in enumerate(self.lanes.items())
        ]
        return found + [
            Key(self._place(i), name, _counted(spans), "shaded", lined=False)
            for i, (name, spans) in enumerate(self.spans.items())
        ]

    def alt(self) -> str:
        """The picture in words."""
        count = len(self.lanes)
        head = f"{count} lane{'s' * (count > 1)} over {self.x_name} "
        head += f"{self.at[0]:g} to {self.at[-1]:g}."
        parts = [f"{name}: {_range(values)}." for name, values in self.lanes.items()]
        for name, spans in self.spans.items():
            first = f", the first from {spans[0][0]:g} to {spans[0][1]:g}" if spans else ""
            parts.append(f"{name}: {_counted(spans)}{first}.")
        return " ".join([head, *parts])

    def numbers(self) -> Table:
        """The points that are drawn, and every lane there."""
        columns = zip(self.at, *self.lanes.values(), strict=True)
        return numbers([self.x_name, *self.lanes], [list(row) for row in columns])

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        import plotly.graph_objects as go

        lines = [
            go.Scatter(
                x=list(self.at),
                y=[value if math.isfinite(value) else None for value in values],
                yaxis=f"y{place + 1}" if place else "y",
                mode="lines",
                line={"color": colour(place), "width": 1.2},
                hovertemplate=f"{safe(name)} at %{{x}}: %{{y:.4g}}<extra></extra>",
            )
            for place, (name, values) in enumerate(self.lanes.items())
        ]
        return figure(
            lines,
            shapes=[*self._shaded(), *self._level_lines()],
            margin_t=14 + 10 * len(self.spans),
            height=min(130 + 110 * len(self.lanes), 900),
            hovermode="x",
            **self._axes(),
        )

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "at": plain(self.at),
            "lanes": plain(self.lanes),
            "spans": {name: [list(span) for span in found] for name, found in self.spans.items()},
            "levels": plain(self.levels),
            "title": self.title,
            "caption": self.caption,
            "x_name": self.x_name,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Timeline":
        """The inverse of `to_dict`."""
        lanes = cast("dict[str, list[object]]", data["lanes"])
        spans = cast("dict[str, list[list[float]]]", data["spans"])
        levels = cast("dict[str, object]", data["levels"])
        return cls(
            cast("list[float]", data["at"]),
            {name: [number(value) for value in values] for name, values in lanes.items()},
            spans={name: [(s, e) for s, e in found] for name, found in spans.items()},
            levels={name: number(value) for name, value in levels.items()},
            title=str(data["title"]),
            caption=str(data["caption"]),
            x_name=str(data["x_name"]),
        )

    def _place(self, group: int) -> int:
        """The colour of a group of stretches: after those of the lanes."""
        return len(self.lanes) + group

    def _axes(self) -> dict[str, Any]:
        """Lanes from top to bottom, with one axis of time."""
        count, room = len(self.lanes), 0.06
        tall = (1 - room * (count - 1)) / count
        plain_axis = {
            "gridcolor": THEME["line"][0], "linecolor": THEME["line"][0], "zeroline": False,
            "automargin": True, "title": None, "ticks": "", "nticks": 4,
        }  # fmt: skip
        axes: dict[str, Any] = {}
        for place in range(count):
            top = 1 - place * (tall + room)
            name = f"yaxis{place + 1}" if place else "yaxis"
            axes[name] = {**plain_axis, "domain": [max(0.0, top - tall), top]}
        axes["xaxis"] = {"anchor": f"y{count}" if count > 1 else "y"}
        return axes

    def _shaded(self) -> list[dict[str, Any]]:
        """Every stretch, pale over all lanes and strong in its group's row above them."""
        found: list[dict[str, Any]] = []
        for group, spans in enumerate(self.spans.values()):
            look = {"type": "rect", "yref": "paper", "fillcolor": colour(self._place(group))}
            bare = {**look, "line": {"width": 0}}
            edge = {**look, "line": {"width": 2, "color": colour(self._place(group))}}
            low = 1.01 + 0.03 * group
            for start, end in spans:
                across = {"x0": start, "x1": end}
                pale = {"layer": "below", "y0": 0, "y1": 1, "opacity": 0.14}
                found += [
                    {**bare, **across, **pale},
                    {**edge, **across, "y0": low, "y1": low + 0.02},
                ]
        return found

    def _level_lines(self) -> list[dict[str, Any]]:
        places = {name: place for place, name in enumerate(self.lanes)}
        return [
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value,
                "yref": f"y{places[name] + 1}" if places[name] else "y",
                "line": {"color": THEME["ink"][0], "width": 1, "dash": dash(1)},
            }
            for name, value in self.levels.items()
        ]  # fmt: skip


def _extremes(values: np.ndarray, buckets: np.ndarray) -> list[int]:
    """Where each bucket has its least and its greatest finite value, or its first point."""
    found: list[int] = []
    for start, end in pairwise(buckets):
        inside = values[start:end]
        known = np.flatnonzero(np.isfinite(inside))
        if len(known):
            found += [
                int(start + known[np.argmin(inside[known])]),
                int(start + known[np.argmax(inside[known])]),
            ]
        elif end > start:
            found.append(int(start))
    return found


def _range(values: Sequence[float] | np.ndarray) -> str:
    known = [value for value in values if math.isfinite(value)]
    return f"{short(min(known))} to {short(max(known))}" if known else "nothing"


def _counted(spans: Sequence[tuple[float, float]]) -> str:
    return f"{len(spans)} stretch{'es' * (len(spans) != 1)}"
