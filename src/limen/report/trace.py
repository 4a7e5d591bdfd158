"""Values over steps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.report.digits import decimals, written
from limen.report.key import Key, numbers
from limen.report.look import THEME, colour, dash, figure
from limen.report.strict import number, plain
from limen.report.table import Table


@dataclass(frozen=True)
class Trace:
    """Named series over common steps; NaN is a gap in the line.

    Args:
        steps: where the values were taken, in order.
        series: a name and as many values as there are steps.
        title: a few words above the picture.
        caption: what to see in it, in a sentence.
        x_name: what runs to the right.
        y_name: what runs up, with its unit.
        reference: a value to compare with, drawn as a thin horizontal line.

    Raises:
        UsageError: no series, or one that is longer or shorter than `steps`.

    Example:
        >>> trace = Trace([0, 10], {"forget": [1.0, 4.0], "retain": [1.0, 1.5]}, y_name="loss")
        >>> print(trace.alt())
        loss over step 0 to 10. forget: from 1.00 to 4.00. retain: from 1.00 to 1.50.
    """

    steps: Sequence[float] | np.ndarray
    series: Mapping[str, Sequence[float] | np.ndarray]
    _: KW_ONLY
    title: str = ""
    caption: str = ""
    x_name: str = "step"
    y_name: str = "value"
    reference: float | None = None

    kind = "trace"
    beyond = ""

    def __post_init__(self) -> None:
        steps = np.asarray(self.steps).tolist()
        series = {str(name): _floats(values) for name, values in self.series.items()}
        if not series or not steps:
            raise UsageError("a trace must have at least one series and one step, and has none")
        for name, values in series.items():
            if len(values) != len(steps):
                raise UsageError(
                    f"series {name!r} must have one value a step, {len(steps)}, "
                    f"and has {len(values)}; put NaN where nothing was measured"
                )
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "series", series)

    @property
    def across(self) -> str:
        """What runs to the right."""
        return self.x_name

    @property
    def upward(self) -> str:
        """What runs up."""
        return self.y_name

    def keys(self) -> list[Key]:
        """One entry a series, its name and its last value; then the reference."""
        level = [] if self.reference is None else [self.reference]
        return [
            Key(place, name, _written(_ends(values)[1]), "last", marked=False)
            for place, (name, values) in enumerate(self.series.items())
        ] + [Key(None, "reference", _written(value), marked=False) for value in level]

    def alt(self) -> str:
        """The picture in words."""
        ends = {name: _ends(values) for name, values in self.series.items()}
        readings = " ".join(
            f"{name}: from {_written(first)} to {_written(last)}."
            for name, (first, last) in ends.items()
        )
        level = "" if self.reference is None else f" Reference: {_written(self.reference)}."
        span = f"{self.x_name} {self.steps[0]:g} to {self.steps[-1]:g}"
        return f"{self.y_name} over {span}. {readings}{level}"

    def numbers(self) -> Table:
        """The steps and every series."""
        columns = zip(self.steps, *self.series.values(), strict=True)
        return numbers([self.x_name, *self.series], [list(row) for row in columns])

    def figure(self) -> dict[str, Any]:
        """The picture, as plotly's JSON in the light colours."""
        import plotly.graph_objects as go

        lines = [
            go.Scatter(
                x=list(self.steps),
                y=[value if math.isfinite(value) else None for value in values],
                mode="lines" if len(self.steps) > 1 else "markers",
                connectgaps=False,
                line={"color": colour(place), "width": 2, "dash": dash(place)},
                marker={"color": colour(place)},
                hovertemplate="%{x}: %{y:.4g}<extra></extra>",
            )
            for place, values in enumerate(self.series.values())
        ]
        return figure(
            lines,
            shapes=self._level(),
            margin_t=12,
            height=300,
            hovermode="closest",
        )

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "steps": plain(self.steps),
            "series": plain(self.series),
            "title": self.title,
            "caption": self.caption,
            "x_name": self.x_name,
            "y_name": self.y_name,
            "reference": plain(self.reference),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Trace":
        """The inverse of `to_dict`."""
        series = cast("dict[str, list[object]]", data["series"])
        return cls(
            cast("list[float]", data["steps"]),
            {name: [number(value) for value in values] for name, values in series.items()},
            title=str(data["title"]),
            caption=str(data["caption"]),
            x_name=str(data["x_name"]),
            y_name=str(data["y_name"]),
            reference=None if data["reference"] is None else number(data["reference"]),
        )

    def _level(self) -> list[dict[str, Any]]:
        if self.reference is None:
            return []
        line = {"color": THEME["ink"][0], "width": 1}
        span = {"xref": "paper", "x0": 0, "x1": 1, "y0": self.reference, "y1": self.reference}
        return [{"type": "line", "layer": "below", "line": line, **span}]


def _floats(values: Sequence[float] | np.ndarray) -> list[float]:
    return [number(value) for value in np.asarray(values).tolist()]


def _ends(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    known = [value for value in values if not math.isnan(value)]
    return (known[0], known[-1]) if known else (math.nan, math.nan)


def _written(value: float) -> str:
    return written(value, max(decimals([value]), 2 if abs(value) < 10 else 0))
