"""The look of every picture: one accent, a palette for all eyes, light and dark.

Figures are made in the light colours; the page's script exchanges each for its dark twin.
"""

from html import escape
from typing import Any

THEME = {
    "paper": ("#ffffff", "#15181d"),
    "ink": ("#1c2024", "#e8e6e1"),
    "soft": ("#5c6570", "#a3abb5"),
    "line": ("#e3e6ea", "#2c323a"),
    "wash": ("#f6f7f8", "#1c2027"),
    "accent": ("#0b5fa5", "#6db8f2"),
}
SERIES = (  # after Okabe and Ito, darkened or lightened until each has contrast 3 on its paper
    ("#0072b2", "#56b4e9"),
    ("#c8500a", "#f08a4b"),
    ("#008a64", "#2fc79b"),
    ("#a8568a", "#dd94c0"),
    ("#9a7400", "#e6b93c"),
    ("#4f5a8c", "#9fabe6"),
    ("#5d6369", "#b4bac1"),
)
RAMP = (
    ("#f4f7fa", "#1b2128"),
    ("#a9cbe6", "#1f4a6e"),
    ("#4a93c9", "#3182bd"),
    ("#0b4a83", "#a5d5f7"),
)
DIVERGING = (
    ("#a33f06", "#f5a06a"),
    ("#e9b48f", "#8a4a22"),
    ("#f7f7f6", "#1b2026"),
    ("#93bfe0", "#275a83"),
    ("#0a4f8c", "#86c5f5"),
)
SYMBOLS = {
    "circle": "M10.5 6a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "square": "M11 2h8v8h-8z",
    "diamond": "M15 .6 20.4 6 15 11.4 9.6 6z",
    "triangle-up": "M15 1.2 20 10h-10z",
    "triangle-down": "M15 10.8 20 2h-10z",
    "cross": "M13.3 1h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3v-3.4h3.3z",
    "pentagon": "M15 1 20 4.7 18 10.5h-6L10 4.7z",
}
DASHES = {"solid": "none", "6px,3px": "6 3", "2px,2px": "2 2", "8px,2px,2px,2px": "8 2 2 2"}


def colour(place: int) -> str:
    """The light colour of the series at `place`."""
    return SERIES[place % len(SERIES)][0]


def symbol(place: int) -> str:
    """The marker of the series at `place`."""
    return list(SYMBOLS)[place % len(SYMBOLS)]


def dash(place: int) -> str:
    """The dash of the series at `place`, so that colour never speaks alone."""
    return list(DASHES)[place % len(DASHES)]


def twins() -> dict[str, str]:
    """Each light colour and its dark twin."""
    return dict([*THEME.values(), *SERIES, *RAMP, *DIVERGING])


def scale(*, diverging: bool) -> list[tuple[float, str]]:
    """A colour scale that starts (or has its middle) near the paper."""
    stops = [light for light, _ in (DIVERGING if diverging else RAMP)]
    return [(place / (len(stops) - 1), stop) for place, stop in enumerate(stops)]


def safe(text: object) -> str:
    """Text for a figure, where plotly would read `<b>` or `<a>` as markup."""
    return escape(str(text), quote=False)


def figure(traces: list[Any], **layout: Any) -> dict[str, Any]:
    """A bare figure: transparent, no frame, thin grid, room for the numbers only."""
    import plotly.graph_objects as go

    axis: dict[str, Any] = {
        "gridcolor": THEME["line"][0],
        "linecolor": THEME["line"][0],
        "zeroline": False,
        "automargin": True,
        "title": None,
        "ticks": "",
    }
    drawn = go.Figure(traces).update_layout(
        template=None,
        height=360,
        margin={"l": 8, "r": 12, "t": 28, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": THEME["soft"][0], "size": 12, "family": "system-ui, sans-serif"},
        hoverlabel={
            "bgcolor": THEME["paper"][0],
            "bordercolor": THEME["soft"][0],
            "font": {"color": THEME["ink"][0]},
            "align": "left",
        },
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": THEME["soft"][0],
            "activecolor": THEME["accent"][0],
        },
        showlegend=False,
        xaxis=axis,
        yaxis=axis,
    )
    drawn.update_layout(**layout)
    return drawn.to_plotly_json()
