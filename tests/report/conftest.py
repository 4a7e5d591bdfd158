"""One of each record, with text that would do harm if any of it were not escaped."""

from collections.abc import Callable

import numpy as np
import pytest

from limen.measure import Tradeoff
from limen.report import (
    Answer,
    Bars,
    Curves,
    Diff,
    Facts,
    Gallery,
    Grid,
    Marked,
    Measured,
    Page,
    Picture,
    Scatter,
    Section,
    Table,
    Trace,
)

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&\u2028{{7*7}}"
)


def curve(name: str, *, scale: float = 1.0) -> Tradeoff:
    """Five settings, with intervals."""
    gain = np.array([0.0, 0.4, 0.3, 0.7, 0.9]) * scale
    return Tradeoff(
        price=[0.0, 0.02, 0.03, 0.06, 0.4],
        gain=gain,
        knob=[0.0, 0.25, 0.5, 0.75, 1.0],
        gain_interval=np.stack([gain - 0.05, gain + 0.04], axis=1),
        name=name,
        price_name="lost",
        gain_name="forgotten",
        knob_name="weight",
    )


@pytest.fixture(scope="session")
def hostile() -> str:
    """Text that would do harm if it were not escaped."""
    return HOSTILE


@pytest.fixture(scope="session")
def tradeoff() -> Callable[..., Tradeoff]:
    """Makes a trade-off of five settings by name."""
    return curve


@pytest.fixture(scope="session")
def records() -> dict[str, object]:
    """A record of each kind; names and texts are hostile wherever text may come from data."""
    return {
        "curves": Curves([curve(HOSTILE), curve("plain", scale=0.5)], at=0.05, title=HOSTILE),
        "table": Table(
            ["method", "gain", "cost", "n"],
            [
                [HOSTILE, Measured(0.931, 0.902, 0.954), 0.25, 3],
                ["b", Measured(0.5, 0.41, 0.58), None, 20],
                ["c", None, 0.5, 100],
            ],
            title="A table",
            caption=HOSTILE,
            protocol=HOSTILE,
            tradeoffs=[curve("behind")],
        ),
        "trace": Trace(
            [0, 1, 2, 3], {HOSTILE: [1.0, float("nan"), 2.0, 3.0]}, y_name=HOSTILE, reference=1.5
        ),
        "grid": Grid(
            [[1.0, -2.0], [float("nan"), 4.0]], x=[HOSTILE, "b"], y=[1, 2], diverging=True
        ),
        "scatter": Scatter(
            [-1.0, 2.0, float("nan")],
            [0.5, -0.25, 1.0],
            names=[HOSTILE, "b", "c"],
            groups=[HOSTILE, "other", "other"],
            x_name=HOSTILE,
            y_name=HOSTILE,
        ),
        "bars": Bars(
            [HOSTILE, "b"],
            {HOSTILE: [Measured(2.0, 1.0, 3.0), float("nan")], "other": [-1.0, 0.5]},
            x_name=HOSTILE,
        ),
        "gallery": Gallery(
            [
                Picture(np.zeros((4, 5, 3), dtype=np.uint8), HOSTILE),
                Picture([0.0, float("nan"), 1.0, 2.0], "a series"),
            ]
        ),
        "diff": Diff(
            [Answer(HOSTILE, HOSTILE, "It is Rome.", expected=HOSTILE, label=HOSTILE)],
            title="Before and after",
        ),
        "marked": Marked(
            [["It is", " Paris", HOSTILE, "."], ["Rome", "\n"]],
            [[0.5, -2.0, 1.0, float("nan")], [0.0, 1.5]],
            names=[HOSTILE, "second"],
            negative=HOSTILE,
            positive="kept",
            caption=HOSTILE,
        ),
        "facts": Facts({HOSTILE: HOSTILE, "seeds": [0, 1], "rate": 0.05}, title="Protocol"),
    }


@pytest.fixture(scope="session")
def page(records: dict[str, object]) -> Page:
    """Every record in one page of two sections."""
    found = list(records.values())
    return Page(
        "A page",
        f"It gains 0.91 [0.88, 0.94] {HOSTILE}",
        [
            Section("Figures", found[:6], answer="One [0, 1].", text=f"{HOSTILE}\n\nTwo."),
            Section("Words", found[6:]),
        ],
        subtitle=HOSTILE,
        lead=HOSTILE,
    )
