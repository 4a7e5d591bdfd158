"""The work behind `limen anomaly judge`; imported only when there is some."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.data import Recording, read_series
from limen.anomaly.detectors.protocol import Detector
from limen.anomaly.judge import judge as judged
from limen.anomaly.judged import Judged
from limen.anomaly.metrics.vus import Variant
from limen.anomaly.series import POLICIES
from limen.cli import detecting
from limen.cli.pages import PageFolder
from limen.report import Curves, Facts, Page, Timeline
from limen.run.progress import say
from limen.run.provenance import origin


@dataclass(frozen=True)
class Asked:
    """What to judge.

    Attributes:
        detectors: By the name of their folder.
        scores: Files of scores, by name.
        window: Buffer of VUS.
        variant: Of VUS.
        start: First point that is judged, where training ended no later.
        seed: Of random scores and draws.
    """

    detectors: dict[str, Detector]
    scores: dict[str, Path]
    window: int | None
    variant: Variant
    start: int
    seed: int
    told: dict[str, str] = field(default_factory=dict)


def asked(
    detectors: Sequence[Path],
    scores: Sequence[str],
    *,
    window: int | None,
    variant: str,
    start: int,
    seed: int,
    device: str | None,
    threads: int | None,
) -> Asked:
    """Everything that is judged, read before the series are.

    Raises:
        UsageError: Nothing, two of one name, an unknown variant, or no such file.
    """
    if variant not in get_args(Variant):
        raise UsageError(f"--variant {variant!r} must be one of {', '.join(get_args(Variant))}")
    if not detectors and not scores:
        raise UsageError("--detector or --scores must name what is to be judged")
    made: dict[str, Detector] = {}
    files: dict[str, Path] = {}
    for where in detectors:
        name = where.name if where.is_dir() else where.stem
        _fresh(name, {**made, **files}, option=f"--detector {where}")
        made[name] = detecting.load(where, device=device, threads=threads)
    for text in scores:
        name, _, path = text.partition("=")
        if not path:
            raise UsageError(f"--scores {text!r} must read NAME=PATH")
        _fresh(name, {**made, **files}, option=f"--scores {text}")
        files[name] = Path(path)
    return Asked(made, files, window, cast("Variant", variant), start, seed)


def judge(
    wanted: Asked, recordings: list[Recording], *, folder: PageFolder | None, as_json: bool
) -> None:
    """Score, judge, print the table and, with a folder, write a page.

    Raises:
        UsageError: Scores for several series, or of another length.
    """
    if wanted.scores and len(recordings) > 1:
        raise UsageError("--scores holds the scores of one series; give one --data with it")
    for recording in recordings:
        _require_inside(wanted, recording)
    scores: dict[str, dict[str, np.ndarray]] = {}
    starts: dict[str, int] = {}
    for recording in recordings:
        found, seen = {}, {}
        for name, detector in wanted.detectors.items():
            values = recording.like(detector.names).values
            found[name], seen[name] = (
                detector.decision_function(values),
                detector.trained_on(values),
            )
        for name, path in wanted.scores.items():
            found[name], seen[name] = _read(path, len(recording.values))
        scores[recording.source] = found
        starts[recording.source] = _start(seen, recording, asked=wanted.start)
    table = _table(wanted, recordings, scores=scores, starts=starts)
    print(json.dumps(table.to_dict(), indent=2) if as_json else table.to_text())
    if folder is None:
        return
    facts = {k: ", ".join(map(str, v)) if isinstance(v, list) else v
             for k, v in folder.spec.items()}  # fmt: skip
    folder.write(
        Page(
            "What was caught, and at how many false alarms",
            _answer(table),
            [
                Curves(list(table.tradeoffs)[:12], title="Events caught, against false alarms"),
                table,
                *(_timeline(one, scores[one.source], starts[one.source]) for one in recordings[:4]),
                Facts({**facts, **origin()}, title="How to do it again"),
            ],
            subtitle=", ".join(one.source for one in recordings[:6]),
        )
    )


def _require_inside(wanted: Asked, recording: Recording) -> None:
    """Refuse a buffer or a start beyond the series.

    Raises:
        UsageError: So it is.
    """
    length = len(recording.values)
    for option, value in (("--start", wanted.start), ("--window", wanted.window or 0)):
        if value >= length:
            raise UsageError(
                f"{option} {value} must be below the points of every series; {recording.source} "
                f"has {length}"
            )


def _table(
    wanted: Asked,
    recordings: list[Recording],
    *,
    scores: dict[str, dict[str, np.ndarray]],
    starts: dict[str, int],
) -> Judged:
    """Every detector's figures; what the metrics warn of is told in a line."""
    series = {one.source: one.values for one in recordings} if wanted.window is None else None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        table = judged(
            scores,
            {one.source: one.labels for one in recordings},
            window=wanted.window,
            series=series,
            variant=wanted.variant,
            train_end=starts,
            seed=wanted.seed,
        )
    for one in told:
        say(str(one.message))
    return table


def _answer(table: Any) -> str:
    place = table.columns.index("VUS-PR")
    rows = [row for row in table.rows if row[0] != "chance"]
    told = "; ".join(f"{row[0]} reaches a VUS-PR of {_said(row[place])}" for row in rows[:4])
    chance = next((row[place] for row in table.rows if row[0] == "chance"), None)
    return told + (f", where random scores get {_said(chance)}." if chance is not None else ".")


def _said(value: Any) -> str:
    return str(value) if not isinstance(value, float) else f"{value:.3f}"


def _timeline(recording: Recording, scores: dict[str, np.ndarray], start: int) -> Timeline:
    from limen.anomaly.events import runs

    assert recording.labels is not None
    shown = recording.values[start:, : max(1, 6 - len(scores))]
    lanes = {recording.names[c]: shown[:, c] for c in range(shown.shape[1])}
    return Timeline.of(
        {**lanes, **{f"score of {name}": found[start:] for name, found in scores.items()}},
        first=start,
        spans={"labelled": runs(recording.labels[start:])},
        title=recording.source,
        caption="Drag to zoom; double-click to see all again.",
    )


def _start(seen: dict[str, int], recording: Recording, *, asked: int) -> int:
    """Where judging starts: after what any of the detectors was trained on.

    Raises:
        UsageError: That is all.
    """
    name, end = max(seen.items(), key=lambda one: one[1])
    length = len(recording.values)
    if end >= length:
        raise UsageError(
            f"--data {recording.source} must have points that {name} was not trained on; all "
            f"{length} were: judge another series, or train with --end"
        )
    if end > asked:
        say(f"{name} was trained on the first {end} of {length} points of {recording.source}; "
            "they are left out")  # fmt: skip
    return max(asked, end)


def _read(path: Path, length: int) -> tuple[np.ndarray, int]:
    """Scores from a file, and how many of its first points a column "trained" marks.

    The scores are a column "score" where there is one, else the only column.

    Raises:
        UsageError: Several columns, or another length.
    """
    try:
        found = read_series(path)
    except UsageError as wrong:
        why = str(wrong).removesuffix(f"; fill them by {POLICIES}")
        raise UsageError(f"--scores {why}") from None
    column = found.names.index("score") if "score" in found.names else 0
    if "score" not in found.names and len(found.names) > 1:
        raise UsageError(f"--scores {path} must have one column, or one called score; it has "
                         f"{', '.join(found.names)}")  # fmt: skip
    if len(found.values) != length:
        raise UsageError(
            f"--scores {path} must have a score for each of {length} points; it has "
            f"{len(found.values)}"
        )
    marked = found.values[:, found.names.index("trained")] if "trained" in found.names else ()
    return found.values[:, column], int(np.flatnonzero(marked).max(initial=-1)) + 1


def _fresh(name: str, taken: dict[str, Any], *, option: str) -> None:
    """Refuse a second one of a name.

    Raises:
        UsageError: The name is taken.
    """
    if not name or name in taken:
        raise UsageError(f"{option} must have a name of its own; {name!r} is taken or empty")
