"""One bar for each thing, with what was measured around it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import ABSENT, decimals, short, written
from limen.report.key import Key, numbers
from limen.report.look import THEME, colour, figure, safe, symbol
from limen.report.measured import Measured
from limen.report.strict import number
from limen.report.table import Table

PALE = 0.32  # of a bar, so that its marker and its interval stand out
TALL = 22  # pixels of a line; more series make it taller


@dataclass(frozen=True)
class Bars:
    """Bars from zero to each value, the first on top; a whisker where an interval is known.

    Args:
        names: what each bar is.
        series: for each series' name its values, one a bar: numbers, or `Measured` ones. One
            that is not finite is counted, not drawn.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.
        x_name: what the bars measure, with its unit.

    Raises:
        UsageError: no bar, no series, or one of another length.

    Example:
        >>> bars = Bars(["hen", "fox"], {"drop": [Measured(5.0, 2.0, 8.0), -1.0]}, x_name="points")
        >>> print(bars.alt())
        points of 2 bars. drop: from -1.00 at fox to 5.00 at hen.
    """

    names: Sequence[str | int | float]
    series: Mapping[str, Sequence[float | Measured] | np.ndarray]
    _: KW_ONLY
    title: str = ""
    caption: str = ""
    x_name: str = "value"

    kind = "bars"
    upward = ""

    def __post_init__(self) -> None:
        names = [str(name) for name in np.asarray(self.names).tolist()]
        series = {str(name): [_value(one) for one in each] for name, each in self.series.items()}
        if not names or not series:
            raise UsageError("bars must have at least one name and one series")
        odd = next((name for name, each in series.items() if len(each) != len(names)), None)
        if odd is not None:
            raise UsageError(
                f"series {odd!r} must have one value for each of {len(names)} names, got "
                f"{len(series[odd])}"
            )
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "series", series)

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.x_name

    @property
    def beyond(self) -> str:
        """How many bars are not drawn, in words; empty where all are."""
        count = sum(len(self.names) - len(self._drawn(name)) for name in self.series)
        return f"{count} {'bar' if count == 1 else 'bars'} without a value" if count else ""

    def keys(self) -> list[Key]:
        """One entry a series, with its mean; none where there is one alone."""
        if len(self.series) == 1:
            return []
        found = []
        for place, name in enumerate(self.series):
            values = [value.value for _, value in self._drawn(name)]
            mean = short(float(np.mean(values))) if values else ABSENT
            found.append(Key(place, name, mean, "mean", lined=False))
        return found

    def alt(self) -> str:
        """The picture in words."""
        parts = " ".join(self._ends(name) for name in self.series)
        return f"{self.x_name} of {len(self.names)} bars. {parts}"

    def numbers(self) -> Table:
        """Every bar, with its intervals."""
        columns = zip(self.names, *self.series.values(), strict=True)
        return numbers(["", *self.series], cast("Any", [list(row) for row in columns]))

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        count = len(self.series)
        rows = list(range(len(self.names)))
        axis = {
            "tickvals": rows, "ticktext": [f"{safe(name)} " for name in self.names],
            "range": [len(rows) - 0.4, -0.6], "showgrid": False, "fixedrange": True,
        }  # fmt: skip
        zero = {"zeroline": True, "zerolinecolor": THEME["soft"][0], "zerolinewidth": 1.2}
        return figure(
            [
                trace
                for place, name in enumerate(self.series)
                for trace in self._traces(place, name)
            ],
            yaxis=axis,
            xaxis=zero,
            barmode="overlay",
            height=60 + len(rows) * (TALL + 8 * (count - 1)),
            hovermode="closest",
        )

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        series = {name: [one.to_dict() for one in each] for name, each in self._measured()}
        return {
            "kind": self.kind, "names": list(self.names), "series": series, "title": self.title,
            "caption": self.caption, "x_name": self.x_name,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Bars":
        """The inverse of `to_dict`."""
        series = cast("dict[str, list[dict[str, object]]]", data["series"])
        return cls(
            cast("list[str]", data["names"]),
            {name: [Measured.from_dict(one) for one in each] for name, each in series.items()},
            title=str(data["title"]), caption=str(data["caption"]), x_name=str(data["x_name"]),
        )  # fmt: skip

    def _measured(self) -> Iterator[tuple[str, list[Measured]]]:
        yield from cast("dict[str, list[Measured]]", self.series).items()

    def _drawn(self, name: str) -> list[tuple[int, Measured]]:
        """The bars of a series that have a finite value, with their places."""
        each = dict(self._measured())[name]
        return [(place, one) for place, one in enumerate(each) if math.isfinite(one.value)]

    def _ends(self, name: str) -> str:
        drawn = sorted(self._drawn(name), key=lambda pair: pair[1].value)
        if not drawn:
            return f"{name}: none."
        ends = [drawn[0][1].value, drawn[-1][1].value]
        places = max(decimals(ends), 2 if max(map(abs, ends)) < 10 else 0)
        low, high = (written(value, places) for value in ends)
        first, last = self.names[drawn[0][0]], self.names[drawn[-1][0]]
        return f"{name}: from {low} at {first} to {high} at {last}."

    def _traces(self, place: int, name: str) -> list[Any]:
        """Pale bars, and on each end a marker with its whisker."""
        import plotly.graph_objects as go

        drawn, count = self._drawn(name), len(self.series)
        thick = 0.76 / count
        y = [row + (place - (count - 1) / 2) * thick for row, _ in drawn]
        x = [one.value for _, one in drawn]
        ends = [_finite_ends(one) for _, one in drawn]
        told = [
            safe(f"{self.names[row]}, {name}: {one if one.low < one.high else short(one.value)}")
            for row, one in drawn
        ]
        whisker = {
            "type": "data", "symmetric": False, "array": [high for _, high in ends],
            "arrayminus": [low for low, _ in ends], "color": colour(place), "thickness": 1.3,
            "width": 0,
        }  # fmt: skip
        marker = {"symbol": symbol(place), "size": 7, "color": colour(place)}
        return [
            go.Bar(
                x=x, y=y, width=[0.9 * thick] * len(x), orientation="h", hoverinfo="skip",
                marker={"color": colour(place), "opacity": PALE, "line": {"width": 0}},
            ),
            go.Scatter(
                x=x, y=y, mode="markers", marker=marker, error_x=whisker, hovertext=told,
                hoverinfo="text",
            ),
        ]  # fmt: skip


def _value(given: Any) -> Measured:
    if isinstance(given, Measured):
        return given
    value = number(given)
    return Measured(value, value, value)


def _finite_ends(one: Measured) -> tuple[float, float]:
    """How far the whisker reaches down and up; nowhere where nothing is known."""
    down, up = one.value - one.low, one.high - one.value
    return (down if math.isfinite(down) else 0.0), (up if math.isfinite(up) else 0.0)
