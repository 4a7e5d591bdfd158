"""The page of a forgetting: what was gained, what it cost, and how to do it again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limen.measure.interval import bootstrap
from limen.report.curves import Curves
from limen.report.diff import Diff
from limen.report.facts import Facts
from limen.report.measured import Measured
from limen.report.records import Record
from limen.report.table import Cell, Table
from limen.report.trace import Trace
from limen.run.provenance import origin
from limen.unlearn.early_stop import EarlyStop
from limen.unlearn.effect_records import trace_records
from limen.unlearn.outcome import Kept, Outcome
from limen.unlearn.scores.one_pass import Recall

PROTOCOL = (
    "Extraction strength: share of an answer that the model says by itself once a prefix is given "
    "(greedy, one teacher-forced pass). Means over rows; 95 % bootstrap intervals over rows. "
    "After: as training left it. Calibrated: mixed with the model before until the share asked for "
    "is kept; the mixing weight is chosen on the same retain rows that the table shows."
)
GUARDED = "What the guards kept"
ON_THE_WAY = "Extraction strength on the way"
SCORE_COLUMNS = [
    "forget: extraction strength", "retain: extraction strength", "forget: exact memorisation",
    "retain: exact memorisation", "forget: probability", "retain: probability",
]  # fmt: skip


def answer(outcomes: Sequence[Outcome], *, keep: float) -> str:
    """The result in one sentence, with intervals."""
    said = [f"{_gain(found)} with {found.name}" for found in outcomes]
    return (
        f"While at least {keep:.0%} of the rest is kept, what was known of the text to forget by "
        f"heart falls by {' and by '.join(said)}."
    )


def records(outcomes: Sequence[Outcome], *, keep: float, facts: Mapping[str, Any]) -> list[Record]:
    """The page's records in order: trade-off, tables, answers, conflict, looks, protocol.

    Args:
        outcomes: One for each method, on the same task.
        keep: Share kept at the operating point.
        facts: Settings to print, by name.

    Returns:
        Records for a `Page` or a `Section`.
    """
    found: list[Record] = [
        Curves(
            [o.tradeoff for o in outcomes],
            at=1 - keep,
            title="What was forgotten, and what it cost",
            caption="Each marker is a mixture of the model before (lower left) and after. The line "
            f"marks the price at which methods are compared: {1 - keep:.0%} of the retained "
            "knowledge.",
        ),
        table(outcomes),
        Diff(
            outcomes[-1].answers,
            title="The same prompt, before and after",
            caption=f"Greedy answers of the model before and of the calibrated model "
            f"({outcomes[-1].name}); words that agree with the text are marked.",
        ),
    ]
    for o in outcomes:
        found += guard_records(o.guards, title=_titled(GUARDED, o, outcomes))
    found += _conflict(outcomes)
    for o in outcomes:
        if o.stop is not None:
            found.append(stop_record(o.stop, title=_titled(ON_THE_WAY, o, outcomes)))
    found += [record for o in outcomes if o.effects for record in trace_records(o.effects)]
    return [*found, Facts({**facts, **origin()}, title="How to do it again")]


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row for each model, one column for each score of each set."""
    columns = ["model", *SCORE_COLUMNS, "mixing weight"]
    rows: list[list[Cell]] = [["before", *scores_row(outcomes[0].before), 0.0]]
    for found in outcomes:
        rows.append([f"{found.name}, after", *scores_row(found.after), 1.0])
        rows.append([f"{found.name}, calibrated", *scores_row(found.calibrated), found.point.knob])
    return Table(
        columns,
        rows,
        title="Scores",
        caption="Forget: lower is forgotten. Retain: higher is kept.",
        protocol=PROTOCOL,
        tradeoffs=[o.tradeoff for o in outcomes],
    )


def scores_row(scores: Sequence[Recall]) -> list[Measured]:
    """Extraction strength, exact memorisation and probability of each set, with intervals."""
    kinds = ("extraction_strength", "exact_memorisation", "probability")
    return [measured(getattr(part, kind)) for kind in kinds for part in scores]


def measured(values: np.ndarray) -> Measured:
    """A mean over rows with its bootstrap interval; rows without tokens are left out."""
    known = values[~np.isnan(values)]
    interval = bootstrap(known)
    return Measured(float(known.mean()), interval.low, interval.high)


def guard_records(guards: Mapping[str, Kept], *, title: str) -> list[Record]:
    """A table of the further sets to keep, a row for each; nothing where there are none.

    Args:
        guards: Scores by moment and name.
        title: Of the table.
    """
    names = list(next(iter(guards.values()), {}))
    if not names:
        return []
    rows: list[list[Cell]] = [
        [name, *(measured(kept[name].extraction_strength) for kept in guards.values())]
        for name in names
    ]
    return [
        Table(
            ["guard", *guards],
            rows,
            title=title,
            caption="Extraction strength of further sets to keep, each with a guard of its own. "
            "Higher is kept.",
            protocol="Means over rows; 95 % bootstrap intervals over rows.",
        )
    ]


def stop_record(stop: EarlyStop, *, title: str) -> Trace:
    """What was seen by the watcher that may end a training, and why it did."""
    return Trace(
        stop.steps,
        {"forget": stop.forget, "retain": stop.retain},
        title=title,
        y_name="extraction strength",
        caption=f"Stopped early, at {stop.stopped}." if stop.stopped else "Not stopped early.",
    )


def _titled(title: str, found: Outcome, outcomes: Sequence[Outcome]) -> str:
    return title if len(outcomes) == 1 else f"{title}, {found.name}"


def _gain(found: Outcome) -> str:
    point = found.point
    if point.gain_interval is None:
        return f"{point.gain:.0%}"
    low, high = point.gain_interval
    return f"{point.gain:.0%} [{low:.0%}, {high:.0%}]"


def _counted(found: Outcome) -> str:
    """What a share is of: steps, or the blocks of all steps where surgery goes block by block."""
    steps = len(found.history)
    whole = all(row["rectified"] in (0, 1) for row in found.history)
    return f"{steps} steps" if whole else f"all blocks in {steps} steps"


def _conflict(outcomes: Sequence[Outcome]) -> list[Record]:
    """The angle over the steps, and how often surgery was needed, for the rectified runs."""
    rectified = [o for o in outcomes if o.history and "rectified" in o.history[0]]
    if not rectified:
        return []
    steps = range(1, len(rectified[0].history) + 1)
    angles = {
        o.name: [row.get("update_angle", row["angle"]) for row in o.history] for o in rectified
    }
    first, word = _bent(rectified)
    times = "; ".join(f"{o.name}: {_bent_share(o):.0%} of {_counted(o)}" for o in rectified)
    return [
        Trace(
            list(steps),
            angles,
            title="Where forgetting and keeping disagree",
            y_name=f"angle between {first} [degrees]",
            reference=90.0,
            caption="Above 90 degrees a step that forgets would also harm what is to be kept, and "
            f"{word} is bent. Bent in {times}.",
        )
    ]


def _bent_share(found: Outcome) -> float:
    """Share of steps, or of steps and blocks, in which surgery stepped in."""
    return float(np.mean([row["rectified"] for row in found.history]))


def _bent(rectified: Sequence[Outcome]) -> tuple[str, str]:
    """What the angle lies between, and what surgery bends: gradients, or the optimiser's steps."""
    on_update = {"update_angle" in o.history[0] for o in rectified}
    if on_update == {True}:
        return "the optimiser's step and the retain gradient", "the step"
    if on_update == {False}:
        return "the gradients", "the gradient"
    return "gradient, or step on the update, and the retain gradient", "the gradient or the step"
