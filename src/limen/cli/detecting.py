"""The work behind `limen anomaly train` and `limen anomaly score`."""

import csv
import json
import sys
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any, cast

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.data import Recording
from limen.anomaly.detectors.protocol import Align, Detector
from limen.anomaly.flagged import Alarm, flagged
from limen.cli import thinking
from limen.cli.making import MAKERS, MOST_LANES
from limen.cli.named import named
from limen.cli.pages import PageFolder
from limen.report import Facts, Grid, Histogram, Page, Table, Timeline
from limen.report.table import Cell
from limen.run.files import load as loaded
from limen.run.files import save
from limen.run.folder import RunFolder
from limen.run.progress import say
from limen.run.provenance import hash_array, origin
from limen.run.store import write_text

DETECTORS = "limen.anomaly.detectors"
THRESHOLDS = {"quantile": "limen.anomaly", "pot": "limen.anomaly", "threshold": "limen.measure"}
"""Where each threshold is looked up."""
FILE = "detector.safetensors"
_DRIFTED, _UNUSUAL = 5, 0.2  # times as many flags as in training, and a fifth of all points
COLUMNS = ("start", "end", "from", "to", "peak", "at", "severity", "channels")


@dataclass(frozen=True)
class Plan:
    """What to train.

    Attributes:
        detector: Not fitted.
        told: As asked for on the command line: detector, maker, threshold.
        seed: Decides every random number.
    """

    detector: Detector
    told: dict[str, str | None]
    seed: int


def plan(
    detector: str,
    maker: str | None,
    *,
    threshold: str,
    seed: int,
    device: str | None,
    threads: int | None,
) -> Plan:
    """Everything by name, refused before a file is read.

    Raises:
        UsageError: An unknown name or setting, or a maker for a detector that takes none.
    """
    found = named(detector, DETECTORS, option="--detector")
    if not isinstance(found, Detector):
        raise UsageError(f"--detector {detector!r} must be a detector; see limen list anomaly")
    thinking.settle(found, seed=seed, device=device, threads=threads, text=detector)
    if maker is not None:
        if not hasattr(found, "maker"):
            raise UsageError(
                f"--maker is for detectors that learn from made anomalies; {detector} does not: "
                "leave it out, or take Contrastive or Classifier"
            )
        made = named(maker, MAKERS, option="--maker")
        thinking.settle(made, seed=seed, device=device, threads=threads, text=maker)
        found.set_params(maker=made)
    found.set_params(threshold=_level(threshold))
    return Plan(found, {"detector": detector, "maker": maker, "threshold": threshold}, seed)


def _level(text: str) -> Any:
    """A threshold by name, with its settings.

    Raises:
        UsageError: It is none.
    """
    name = text.partition("(")[0].strip().casefold()
    if name not in THRESHOLDS:
        raise UsageError(
            f"--threshold {text!r} must be Quantile, POT or Threshold, as in 'Quantile(0.01)'"
        )
    return named(text, THRESHOLDS[name], option="--threshold")


def train(asked: Plan, recordings: list[Recording], *, into: Path, as_json: bool) -> None:
    """Fit, write the detector and its page; a finished run is only told again."""
    facts = _facts(asked, recordings)
    folder = RunFolder(into)
    folder.check(facts)
    if folder.result is not None:
        say(f"{into} was finished before; nothing to do")
    else:
        with folder.opened(facts):
            detector = asked.detector.fit([one.frame() for one in recordings])
            table = _trained(detector, recordings)
            save(detector, into / FILE)
            Page(
                f"{asked.told['detector']}, trained",
                _promise(detector),
                [_scores(detector), *_diagnosis(detector), table,
                 Facts({**facts, **origin()}, title="How to do it again")],
                subtitle=", ".join(one.source for one in recordings),
            ).write(into / "report.html")  # fmt: skip
            folder.finish({"table": table.to_dict()})
    result = dict(folder.result or {})
    places = {"detector": str(into / FILE), "report": str(into / "report.html")}
    if as_json:
        print(json.dumps({**result, **places}, indent=2))
        return
    print(Table.from_dict(result["table"]).to_text())
    for name, place in places.items():
        print(f"{name}: {place}")


def load(where: Path, *, device: str | None, threads: int | None) -> Detector:
    """A detector that train wrote.

    Raises:
        UsageError: There is none.
    """
    path = where / FILE if where.is_dir() else where
    try:
        found = loaded(path)
    except UsageError as wrong:
        raise UsageError(f"--detector {wrong}") from None
    if not isinstance(found, Detector):
        raise UsageError(f"--detector {path} must hold a detector that 'limen anomaly train' wrote")
    thinking.settle(found, seed=0, device=device, threads=threads, text="seed=kept")
    return found


def score(
    detector: Detector,
    recording: Recording,
    *,
    align: str | None,
    join: int,
    folder: PageFolder | None,
    as_json: bool,
) -> None:
    """Print every alarm; with a folder also write the scores, the alarms and a page."""
    recording = recording.like(detector.names)
    scores = detector.decision_function(recording.values, align=cast("Align | None", align))
    seen = detector.trained_on(recording.values)
    if seen:
        say(f"the detector was trained on the first {seen} of {len(scores)} points; scores.csv "
            "marks them, and judge leaves them out")  # fmt: skip
    parts = _parts(detector, recording)
    usual = float(np.median(detector.decision_scores_))
    found = flagged(scores, level=detector.threshold_, usual=usual, join=join, parts=parts)
    rows = [_row(one, recording) for one in found]
    if as_json:
        for one, row in zip(found, rows, strict=True):
            print(json.dumps({**asdict(one), "from": row[2], "to": row[3], "channels": row[-1]}))
    else:
        sys.stdout.write(_csv([list(COLUMNS), *rows]))
    share, before = (
        float(np.mean(one > detector.threshold_)) for one in (scores, detector.decision_scores_)
    )
    say(f"{len(found)} stretches flagged, {share:.2%} of {len(scores)} points")
    if share > max(_DRIFTED * before, _UNUSUAL):
        say(
            f"that is much more than the {before:.2%} of training: either this series is unlike "
            "it, or the threshold does not hold for it; train on more, or on what is usual now"
        )
    if folder is None:
        return
    with folder.held() as path:
        times = [recording.at(point) for point in range(len(scores))]
        flags = (scores > detector.threshold_).astype(int)
        trained = (np.arange(len(scores)) < seen).astype(int)
        columns = zip(times, scores.tolist(), flags.tolist(), trained.tolist(), strict=True)
        header = ["time", "score", "flag", "trained"]
        write_text(path / "scores.csv", _csv([header, *map(list, columns)]))
        write_text(path / "events.csv", _csv([list(COLUMNS), *rows]))
        _page(detector, recording, scores, found=found, parts=parts, spec=folder.spec).write(
            path / "report.html"
        )
    for name in ("scores.csv", "events.csv", "report.html"):
        say(f"{folder.path / name}")


def _page(
    detector: Detector,
    recording: Recording,
    scores: np.ndarray,
    *,
    found: list[Alarm],
    parts: np.ndarray | None,
    spec: Any,
) -> Page:
    """The series with its scores and alarms, which channels, and how it was done."""
    count = len(found)
    answer = f"{count} stretches lie above the threshold of {detector.threshold_:.4g}"
    if found:
        worst = max(found, key=lambda one: one.severity)
        answer += (
            f"; the most severe, {worst.severity:.1f} times as far above the usual as the "
            f"threshold, begins at {recording.at(worst.start)}"
        )
    rows = [_row(one, recording) for one in found]
    records: list[Any] = [
        _timeline(detector, recording, scores, found=found, parts=parts),
        *_heat(recording, found, parts),
        Table(
            list(COLUMNS),
            cast("list[list[Cell]]", rows),
            title="Alarms",
            protocol="severity: (peak - usual) / (threshold - usual), usual the median of the "
            "training scores; end is the point after the last one.",
        ),
        Histogram.of(
            {"training": detector.decision_scores_, recording.source or "this series": scores},
            at=detector.threshold_, title="Scores", x_name="score",
        ),
        Facts({**{k: _plain(v) for k, v in spec.items()}, "points": len(scores), **origin()},
              title="How to do it again"),
    ]  # fmt: skip
    return Page(f"{recording.source}, scored", answer + ".", records,
                subtitle=type(detector).__name__)  # fmt: skip


def _timeline(
    detector: Detector,
    recording: Recording,
    scores: np.ndarray,
    *,
    found: list[Alarm],
    parts: np.ndarray | None,
) -> Timeline:
    """The channels that the alarms are due to, and the score under them."""
    weight = (
        np.zeros(recording.values.shape[1]) if parts is None else np.clip(parts, 0, None).sum(0)
    )
    shown = sorted(np.argsort(-weight, kind="stable")[: MOST_LANES - 1].tolist())
    lanes = {recording.names[c]: recording.values[:, c] for c in shown}
    spans: dict[str, Any] = {"flagged": [(one.start, one.end) for one in found]}
    if recording.labels is not None:
        from limen.anomaly.events import runs

        spans["labelled"] = runs(recording.labels).tolist()
    return Timeline.of(
        {**lanes, "score": scores}, spans=spans, levels={"score": detector.threshold_},
        title="The series, its scores and alarms",
        caption="Drag to zoom; double-click to see all again. The line is the threshold.",
    )  # fmt: skip


def _heat(recording: Recording, found: list[Alarm], parts: np.ndarray | None) -> list[Grid]:
    """Each alarm's score by channel."""
    if parts is None or not found or parts.shape[1] < 2:
        return []
    most = sorted(sorted(found, key=lambda one: -one.severity)[:30], key=lambda one: one.start)
    sums = np.array([np.clip(parts[one.start : one.end], 0, None).sum(0) for one in most])
    shares = sums / np.maximum(sums.sum(1, keepdims=True), 1e-30)
    return [
        Grid(
            shares.T,
            x=[recording.at(one.start) for one in most],
            y=list(recording.names),
            x_name="alarm from",
            y_name="channel",
            title="Which channels",
            caption="Each channel's share of an alarm's score.",
        )
    ]


def _parts(detector: Detector, recording: Recording) -> np.ndarray | None:
    try:
        return np.asarray(detector.attribution(recording.values))
    except UsageError:
        return None


def _row(one: Alarm, recording: Recording) -> list[Any]:
    names = "+".join(recording.names[channel] for channel in one.channels)
    return [one.start, one.end, recording.at(one.start), recording.at(one.end - 1),
            f"{one.peak:.6g}", one.at, f"{one.severity:.3g}", names]  # fmt: skip


def _csv(rows: list[list[Any]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _facts(asked: Plan, recordings: list[Recording]) -> dict[str, Any]:
    """Everything that decides the numbers."""
    return {
        "kind": "anomaly train", **asked.told, "seed": asked.seed,
        "options": repr(asked.detector),
        "series": [f"{one.source} {hash_array(one.values)}" for one in recordings],
        "channels": ", ".join(recordings[0].names),
    }  # fmt: skip


def _trained(detector: Detector, recordings: list[Recording]) -> Table:
    scores = detector.decision_scores_
    points = sum(len(one.values) for one in recordings)
    rows: list[list[Cell]] = [[
        type(detector).__name__, points, detector.channels, float(np.median(scores)),
        detector.threshold_, float(np.mean(scores > detector.threshold_)),
    ]]  # fmt: skip
    return Table(
        ["detector", "points", "channels", "usual score", "threshold", "flagged in training"],
        rows,
        protocol="usual: the median of the training scores. The detector has seen these points; "
        "on new ones it flags more.",
    )


def _promise(detector: Detector) -> str:
    share = float(np.mean(detector.decision_scores_ > detector.threshold_))
    return f"Above a score of {detector.threshold_:.4g}, {share:.2%} of the training points lie."


def _scores(detector: Detector) -> Histogram:
    return Histogram.of(
        {"training": detector.decision_scores_}, at=detector.threshold_,
        title="Scores of the training points", x_name="score",
    )  # fmt: skip


def _diagnosis(detector: Detector) -> list[Any]:
    """What a maker that was trained here says about itself."""
    found = getattr(getattr(detector, "made", None), "diagnosis", None)
    if found is None:
        return []
    numbers = {k: v for k, v in vars(found).items() if isinstance(v, int | float)}
    return [Facts(numbers, title="The maker of anomalies")]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
