"""Effects as records for a page: by layer, by row, by token, and over the steps of a training."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from limen.measure.interval import Interval
from limen.report.grid import Grid
from limen.report.marked import Marked
from limen.report.measured import Measured
from limen.report.records import Record
from limen.report.scatter import Scatter
from limen.report.table import Cell, Table
from limen.report.trace import Trace
from limen.unlearn.effect_trace import EffectTrace
from limen.unlearn.effects import Effects, PGEffects

MARKED = 60
"""Points that can be numbered before the numbers hide each other."""
SIGN = "Negative: a small step raises the risk, which is wanted of the rows to forget only."
PROTOCOL = (
    "Effect: inner product of the gradient of the risk (token-mean negative log-likelihood) with "
    "the gradient of the objective over all rows to forget. 95 % bootstrap intervals over rows."
)


def answer(found: Effects) -> str:
    """The effect on both sets in one sentence.

    Args:
        found: Effects by layer.

    Returns:
        The sentence, with intervals.
    """
    said = [
        f"{side.total:.3g} [{side.interval().low:.3g}, {side.interval().high:.3g}] on the rows to "
        f"{'forget' if name == 'forget' else 'keep'}"
        for name, side in found.sides.items()
    ]
    return f"To first order a step of the objective has an effect of {' and '.join(said)}. {SIGN}"


def layer_records(found: Effects) -> list[Record]:
    """A heat map of layers and sets, and the numbers with their intervals."""
    sides = list(found.sides.items())
    values = [side.layers / max(abs(side.layers).max(), 1e-30) for _, side in sides]
    return [
        Grid(
            np.stack(values),
            x=list(found.names),
            y=[name for name, _ in sides],
            title="Where a step acts",
            caption=f"Effect of each layer as a share of the set's largest. {SIGN}",
            x_name="layer",
            y_name="rows",
            diverging=True,
        ),
        layer_table(found),
    ]


def layer_table(found: Effects) -> Table:
    """Effect of each layer on each set, with intervals, and of all together."""
    sides = list(found.sides.items())
    rows: list[list[Cell]] = [
        [layer, *(_measured(side.layers[i], side.interval(i)) for _, side in sides)]
        for i, layer in enumerate(found.names)
    ]
    total: list[Cell] = ["all", *(_measured(side.total, side.interval()) for _, side in sides)]
    return Table(
        ["layer", *(f"effect on {name}" for name, _ in sides)],
        [*rows, total],
        title="Effect by layer",
        protocol=PROTOCOL,
    )


def row_records(found: PGEffects, prompts: Sequence[str]) -> list[Record]:
    """A scatter of the rows to forget: what each removes, and what it harms.

    Args:
        found: PG-effects, those of plain ascent whatever the objective.
        prompts: A name for each row.
    """
    harm = found.retention < 0
    numbers = [str(place + 1) for place in range(len(prompts))]
    return [
        Scatter(
            found.removal,
            found.retention,
            names=[f"{n}: {_short(prompt)}" for n, prompt in zip(numbers, prompts, strict=True)],
            groups=["does harm" if bad else "does no harm" for bad in harm],
            marks=numbers if len(numbers) <= MARKED else (),
            title="What suppressing each row does",
            caption="Of plain ascent (GA) on one row by itself, whatever the objective. Left: "
            "removes more. Below zero: harms what is to be kept; such rows can be dropped or "
            "weighed down (--steer). Numbers are those of the rows to forget.",
            x_name="effect on the forget rows' risk",
            y_name="effect on the retain rows' risk",
        )
    ]


def token_records(found: Effects, *, shown: int = 4) -> list[Record]:
    """Answer tokens of the rows to forget, shaded by the effect on their own risk.

    A character of several tokens is one piece, which has the sum of their effects.

    Args:
        found: Effects by token.
        shown: How many rows, those of the largest effect first.
    """
    strength = np.nan_to_num(np.abs(found.forget)).sum(1)
    chosen = np.argsort(-strength, kind="stable")[:shown]
    rows = [_pieces(found.tokens[i], found.forget[i]) for i in chosen]
    few = shown < len(strength)
    told = f"the {shown} rows of largest effect, of {len(strength)}" if few else "all rows"
    return [
        Marked(
            [[text for text, _ in row] for row in rows],
            [[value for _, value in row] for row in rows],
            names=[found.names[i] for i in chosen],
            title="Which tokens a step forgets",
            caption=f"Effect on each token's own risk. Shown: {told} to forget.",
            negative="its risk rises: forgotten",
            positive="its risk falls: learnt",
        )
    ]


def token_table(found: Effects, *, shown: int = 20) -> Table:
    """The tokens of both sets that a step moves most, largest first.

    Args:
        found: Effects by token.
        shown: How many.
    """
    values = [v for side in (found.forget, found.retain) if side is not None for v in side]
    pieces: list[list[Cell]] = [
        [name, text.strip() or repr(text), value]
        for name, texts, row in zip(found.names, found.tokens, values, strict=True)
        for text, value in _pieces(texts, row)
    ]
    largest = sorted(pieces, key=lambda piece: -abs(cast("float", piece[2])))[:shown]
    return Table(
        ["row", "token", "effect on its own risk"],
        largest,
        title=f"Largest effects by token, {len(largest)} of {len(pieces)}",
    )


def trace_records(trace: EffectTrace) -> list[Record]:
    """Heat maps of steps and layers, the totals over the steps, and how far they were right."""
    if not trace.steps:
        return []
    sides = {"forget": trace.forget, "retain": trace.retain}
    known = {name: table for name, table in sides.items() if table is not None}
    what = "the optimiser's step" if trace.on == "update" else "the gradient"
    maps: list[Record] = [
        Grid(
            table.T,
            x=trace.steps,
            y=list(trace.names),
            title=f"Effect of {what} on the rows to {'forget' if name == 'forget' else 'keep'}",
            caption=SIGN,
            x_name="step",
            y_name="layer",
            diverging=True,
        )
        for name, table in known.items()
    ]
    totals = {f"effect on {name}": table.sum(1) for name, table in known.items()}
    maps.append(
        Trace(
            trace.steps,
            totals,
            title=f"Effect of {what} over the steps",
            y_name="effect",
            reference=0.0,
            caption="On probe rows, all layers together. Rows that training sees too show larger "
            "effects than others.",
        )
    )
    return [*maps, *(_changes(trace) if trace.on == "update" else []), _intervals(trace)]


def _changes(trace: EffectTrace) -> list[Record]:
    """What the first order said of each step, what came, and the difference."""
    words = {"forget": "forget", "retain": "keep"}
    return [
        Trace(
            trace.steps,
            {
                "predicted": trace.actual[side] - left,
                "measured": trace.actual[side],
                "residual": left,
            },
            title=f"Change of risk on the rows to {words[side]}",
            y_name="change of risk in one step [nats]",
            reference=0.0,
            caption="Predicted: to first order. Residual: measured less predicted, what the "
            "linearisation does not explain; where it is large, effects say little.",
        )
        for side, left in trace.residual.items()
    ]


def _intervals(trace: EffectTrace) -> Table:
    """The totals with their intervals, a row for each probe."""
    columns: list[list[Cell]] = [
        [Measured(float(value), float(low), float(high)) for value, (low, high) in pairs]
        for side, found in trace.interval.items()
        for pairs in [zip(trace.total[side], found, strict=True)]
    ]
    return Table(
        ["step", *(f"effect on {side}" for side in trace.interval)],
        [[step, *cells] for step, *cells in zip(trace.steps, *columns, strict=True)],
        title="Effects over the steps, with intervals",
        protocol="95 % bootstrap intervals over probe rows, for the direction taken.",
    )


def _pieces(texts: Sequence[str], values: np.ndarray) -> list[tuple[str, float]]:
    """Text and effect of each token; tokens that are part of a character stand together."""
    found: list[tuple[str, float]] = []
    waiting = 0.0
    for text, value in zip(texts, values.tolist(), strict=False):  # values go on beyond an answer
        waiting += value
        if text:
            found.append((text, waiting))
            waiting = 0.0
    if waiting and found:
        found[-1] = (found[-1][0], found[-1][1] + waiting)
    return found


def _measured(value: float, interval: Interval) -> Measured:
    return Measured(float(value), interval.low, interval.high)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
