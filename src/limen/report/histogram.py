"""How values are spread, one outline for each group."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import short
from limen.report.key import Key, numbers
from limen.report.look import THEME, colour, dash, figure
from limen.report.strict import number, plain
from limen.report.table import Table

TAIL = 0.005  # of each group, may stand in the bin at the edge of the picture


@dataclass(frozen=True)
class Histogram:
    """Counts in common bins, drawn as each group's share a bin, so that groups can be compared.

    `Histogram.of` counts for you.

    Args:
        edges: where the bins begin and end, rising: one more than there are bins.
        counts: for each group's name how many values lie in each bin.
        at: a value to compare with, drawn as a thin vertical line; None draws none.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.
        x_name: what runs to the right, with its unit.

    Raises:
        UsageError: no group, edges that do not rise, or counts that do not fit them.

    Example:
        >>> drawn = Histogram([0.0, 1.0, 2.0], {"a": [3, 1], "b": [0, 2]}, x_name="score")
        >>> print(drawn.alt())
        share of each group against score, 0 to 2 in 2 bins. a: 4 values, most from 0 to 1. \
b: 2 values, most from 1 to 2.
    """

    edges: Sequence[float] | np.ndarray
    counts: Mapping[str, Sequence[int] | np.ndarray]
    _: KW_ONLY
    at: float | None = None
    title: str = ""
    caption: str = ""
    x_name: str = "value"

    kind = "histogram"
    upward = "share of each group"
    beyond = ""

    def __post_init__(self) -> None:
        edges = [number(edge) for edge in np.asarray(self.edges).tolist()]
        counts = {str(k): [int(c) for c in np.asarray(v)] for k, v in self.counts.items()}
        if len(edges) < 2 or not all(a < b for a, b in pairwise(edges)):
            raise UsageError(f"edges must rise, two at least, got {edges[:5]}")
        odd = [name for name, each in counts.items() if len(each) != len(edges) - 1]
        if odd or not counts:
            raise UsageError(
                f"counts must hold a group at least, each with {len(edges) - 1} counts; "
                f"got {odd or 'none'}"
            )
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "counts", counts)

    @classmethod
    def of(
        cls,
        values: Mapping[str, Sequence[float] | np.ndarray],
        *,
        bins: int = 40,
        at: float | None = None,
        title: str = "",
        caption: str = "",
        x_name: str = "value",
    ) -> "Histogram":
        """Count finite values in equal bins; the outermost bins hold what lies beyond them too.

        The bins reach from the smallest 0.5 % quantile of a group to the largest 99.5 % one, so
        that a single far value does not press the picture together.

        Args:
            values: for each group's name its values.
            bins: how many, at least 1.
            at: as for the class, as all that follow.
            title: likewise.
            caption: likewise.
            x_name: likewise.

        Returns:
            The record.

        Raises:
            UsageError: a group without a finite value, no group, or no bin.

        Example:
            >>> Histogram.of({"a": [0.0, 1.0, 1.0, 2.0]}, bins=2).counts
            {'a': [1, 3]}
        """
        known = {name: _finite(name, each) for name, each in values.items()}
        if not known or bins < 1:
            raise UsageError(f"values must hold a group at least and bins=1 or more, got {bins}")
        low = min(float(np.quantile(each, TAIL)) for each in known.values())
        high = max(float(np.quantile(each, 1 - TAIL)) for each in known.values())
        room = max(abs(low), abs(high), 1.0) * 1e-6
        edges = np.linspace(low, max(high, low + room), bins + 1)
        counts = {
            name: np.histogram(each.clip(edges[0], edges[-1]), edges)[0]
            for name, each in known.items()
        }
        return cls(edges, counts, at=at, title=title, caption=caption, x_name=x_name)

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.x_name

    def keys(self) -> list[Key]:
        """One entry a group, with how many values it has; then the line."""
        level = [] if self.at is None else [self.at]
        return [
            Key(place, name, f"{sum(each)} values", marked=False)
            for place, (name, each) in enumerate(self.counts.items())
        ] + [Key(None, "line", short(value), marked=False) for value in level]

    def alt(self) -> str:
        """The picture in words."""
        ends = f"{short(self.edges[0])} to {short(self.edges[-1])}"
        head = f"{self.upward} against {self.x_name}, {ends} in {len(self.edges) - 1} bins."
        parts = [f"{name}: {self._most(each)}." for name, each in self.counts.items()]
        level = [] if self.at is None else [f"Line at {short(self.at)}."]
        return " ".join([head, *parts, *level])

    def numbers(self) -> Table:
        """Every bin: where it begins and ends, and each group's count."""
        rows = [
            [low, high, *(each[place] for each in self.counts.values())]
            for place, (low, high) in enumerate(pairwise(self.edges))
        ]
        return numbers(["from", "to", *self.counts], cast("Any", rows))

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        import plotly.graph_objects as go

        x = [self.edges[0], *np.repeat(self.edges[1:-1], 2).tolist(), self.edges[-1]]
        outlines = [
            go.Scatter(
                x=[x[0], *x, x[-1]],
                y=[0.0, *np.repeat(self._shares(each), 2).tolist(), 0.0],
                mode="lines",
                line={"color": colour(place), "width": 2, "dash": dash(place)},
                hovertemplate="%{x:.4g}: %{y:.1%}<extra></extra>",
            )
            for place, each in enumerate(self.counts.values())
        ]
        return figure(
            outlines,
            shapes=self._line(),
            margin_t=12,
            height=300,
            yaxis={"tickformat": ".0%", "rangemode": "tozero"},
            hovermode="closest",
        )

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "edges": plain(self.edges),
            "counts": plain(self.counts),
            "at": plain(self.at),
            "title": self.title,
            "caption": self.caption,
            "x_name": self.x_name,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Histogram":
        """The inverse of `to_dict`."""
        return cls(
            cast("list[float]", data["edges"]),
            cast("dict[str, list[int]]", data["counts"]),
            at=None if data["at"] is None else number(data["at"]),
            title=str(data["title"]),
            caption=str(data["caption"]),
            x_name=str(data["x_name"]),
        )

    def _most(self, each: Sequence[int] | np.ndarray) -> str:
        place = int(np.argmax(each))
        span = f"{short(self.edges[place])} to {short(self.edges[place + 1])}"
        return f"{sum(each)} values, most from {span}"

    def _shares(self, each: Sequence[int] | np.ndarray) -> np.ndarray:
        return np.asarray(each) / max(1, sum(each))

    def _line(self) -> list[dict[str, Any]]:
        if self.at is None:
            return []
        line = {"color": THEME["ink"][0], "width": 1}
        span = {"yref": "paper", "y0": 0, "y1": 1, "x0": self.at, "x1": self.at}
        return [{"type": "line", "line": line, **span}]


def _finite(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    found = np.asarray(values, dtype=np.float64).ravel()
    found = found[np.isfinite(found)]
    if not found.size:
        raise UsageError(f"group {name!r} must hold a finite value, and holds none")
    return found
