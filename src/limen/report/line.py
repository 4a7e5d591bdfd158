"""How the limen line is drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from limen.measure.tradeoff import Point, Tradeoff
from limen.report.digits import short
from limen.report.look import THEME, colour, dash, figure, safe, symbol

CROWD = 60  # more settings than this are drawn as a line without markers
PALE = 0.28
WIDE = 5  # the picture ends at this many times the price that can be afforded


def drawn(
    tradeoffs: Sequence[Tradeoff], points: Sequence[Point | None], at: float | None
) -> dict[str, Any]:
    """Stairs, hollow settings, one filled marker a curve, and the line at `at` (None: no line)."""
    cheapest = min(float(tradeoff.price.min()) for tradeoff in tradeoffs)
    edge = right_edge(tradeoffs, at)
    limit = edge if at is None else at
    across = _range([min(cheapest, limit), edge])
    gains = [float(x) for t in tradeoffs for x in t.gain[t.price <= edge + 1e-9]]
    intervals = [point.gain_interval for point in points if point is not None]
    gains += [x for pair in intervals if pair is not None for x in pair]
    traces = [
        trace
        for place, tradeoff in enumerate(tradeoffs)
        for trace in (*_stairs(tradeoff, place, limit), _settings(tradeoff, place, limit))
    ]
    if at is not None:
        traces.append(_line(at, _range(gains)))
    traces += [_dot(point, place) for place, point in enumerate(points) if point is not None]
    return figure(
        traces,
        xaxis_range=across,
        yaxis_range=_range(gains),
        shapes=[] if at is None else _frame(at, across),
        annotations=[] if at is None else [_label(at)],
        hovermode="closest",
    )


def right_edge(tradeoffs: Sequence[Tradeoff], at: float | None) -> float:
    """The dearest price in the picture: far beyond the line, nothing is left to compare.

    Example:
        >>> curve = Tradeoff(price=[0.0, 0.5, 1.0], gain=[0.0, 0.8, 1.0])
        >>> right_edge([curve], None), right_edge([curve], 0.1), right_edge([curve], 0.4)
        (1.0, 0.5, 1.0)
    """
    cheapest = min(float(tradeoff.price.min()) for tradeoff in tradeoffs)
    dearest = max(float(tradeoff.price.max()) for tradeoff in tradeoffs)
    if at is None or at <= cheapest:
        return dearest if at is None else max(dearest, at)
    return max(at, min(dearest, cheapest + WIDE * (at - cheapest)))


def _stairs(tradeoff: Tradeoff, place: int, limit: float) -> list[Any]:
    """The best gain for each price: one stair up to the line, a pale one beyond."""
    import plotly.graph_objects as go

    best = tradeoff.frontier()
    some = _distinct(best, cells=1000)
    price, gain = best.price[some], best.gain[some]
    near = int(np.searchsorted(price, limit + 1e-9, side="right"))
    end = max(float(tradeoff.price.max()), limit)
    here = ([*price[:near], limit], [*gain[:near], *gain[:near][-1:]])
    bend = [limit] if near else []
    there = ([*bend, *price[near:], end], [*gain[:near][-1:], *gain[near:], gain[-1]])
    line = {"shape": "hv", "color": colour(place), "width": 2, "dash": dash(place)}
    stairs = [(here, 1.0)] if near else []
    stairs += [(there, PALE)] if end > limit else []
    return [
        go.Scatter(
            x=[float(value) for value in x],
            y=[float(value) for value in y],
            mode="lines",
            opacity=opacity,
            line=line,
            hoverinfo="skip",
        )
        for (x, y), opacity in stairs
    ]


def _settings(tradeoff: Tradeoff, place: int, limit: float) -> Any:
    """Every measured setting as a hollow marker; of a crowd, only what the pointer says."""
    import plotly.graph_objects as go

    crowd = len(tradeoff) > CROWD
    some = _distinct(tradeoff, cells=250) if crowd else np.arange(len(tradeoff))
    affordable = tradeoff.price[some] <= limit + 1e-9
    return go.Scatter(
        x=tradeoff.price[some].tolist(),
        y=tradeoff.gain[some].tolist(),
        text=[_hover(tradeoff, int(setting)) for setting in some],
        hoverinfo="text",
        mode="markers",
        marker={
            "symbol": f"{symbol(place)}-open",
            "size": 7,
            "color": colour(place),
            "opacity": 0.0 if crowd else np.where(affordable, 1.0, PALE).tolist(),
            "line": {"width": 1.3},
        },
    )


def _dot(point: Point, place: int) -> Any:
    import plotly.graph_objects as go

    low, high = point.gain_interval or (point.gain, point.gain)
    return go.Scatter(
        x=[point.price],
        y=[point.gain],
        mode="markers",
        hoverinfo="skip",
        marker={
            "symbol": symbol(place),
            "size": 13,
            "color": colour(place),
            "line": {"width": 1.5, "color": THEME["paper"][0]},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - point.gain],
            "arrayminus": [point.gain - low],
            "visible": point.gain_interval is not None,
            "color": colour(place),
            "thickness": 1.5,
            "width": 5,
        },
    )


def _line(at: float, up: Sequence[float]) -> Any:
    """The line itself, beneath the dots, long enough to stay when the view moves."""
    import plotly.graph_objects as go

    far = 20 * (up[1] - up[0])
    return go.Scatter(
        x=[at, at],
        y=[up[0] - far, up[1] + far],
        mode="lines",
        hoverinfo="skip",
        line={"color": THEME["accent"][0], "width": 1.5},
    )


def _frame(at: float, across: Sequence[float]) -> list[dict[str, Any]]:
    """A wash over everything dearer than the line, and the tip of the line above the picture."""
    tall = {"xref": "x", "yref": "paper", "x0": at}
    far = at + 20 * (across[1] - across[0])
    wash = {"fillcolor": THEME["wash"][0], "line": {"width": 0}, "layer": "below"}
    tip = {"line": {"color": THEME["accent"][0], "width": 1.5}, "layer": "above"}
    return [
        {"type": "rect", "x1": far, "y0": 0, "y1": 1, **tall, **wash},
        {"type": "line", "x1": at, "y0": 1, "y1": 1.04, **tall, **tip},
    ]


def _label(at: float) -> dict[str, Any]:
    return {
        "text": f"at {at:.6g}",
        "x": at,
        "y": 1.04,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"color": THEME["accent"][0], "size": 13},
    }


def _distinct(tradeoff: Tradeoff, *, cells: int) -> np.ndarray:
    """Settings that a picture can tell apart: one for each occupied cell of a fine grid."""
    points = np.stack([tradeoff.price, tradeoff.gain], axis=1)
    span = np.ptp(points, axis=0)
    scaled = np.round((points - points.min(axis=0)) / np.where(span > 0, span, 1.0) * cells)
    return np.sort(np.unique(scaled, axis=0, return_index=True)[1])


def _range(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return [low - room, high + room]


def _hover(tradeoff: Tradeoff, setting: int) -> str:
    lines = [
        tradeoff.name,
        f"{tradeoff.gain_name} {short(float(tradeoff.gain[setting]))}",
        f"{tradeoff.price_name} {short(float(tradeoff.price[setting]))}",
        f"{tradeoff.knob_name} {short(tradeoff.knob[setting])}",
    ]
    return "<br>".join(safe(line) for line in lines if line)
