"""Scores judged on labelled series: how well each detector finds events, beside chance."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from limen._core.errors import UsageError, nearest
from limen.anomaly.events import runs
from limen.anomaly.judged import CHANCE, DRAWS, METRICS, Judged, Part
from limen.anomaly.metrics.alarms import alarms
from limen.anomaly.metrics.chance import random_scores
from limen.anomaly.metrics.given import Flags, Scores, scored
from limen.anomaly.metrics.oracle import best_points
from limen.anomaly.metrics.ucr import ucr_found
from limen.anomaly.metrics.vus import vus
from limen.anomaly.windows import period
from limen.measure.separation import aupr, auroc

_BUFFER = 100  # points, where neither a window nor a series says more
_ONE = "series"  # what a single one is called
_LONE = "scores"  # what a single detector is called


def judge(
    scores: Any,
    labels: Any,
    *,
    window: int | None = None,
    series: Any = None,
    variant: str = "tsbad",
    train_end: int | Mapping[str, int] = 0,
    thresholds: Mapping[str, Any] | None = None,
    recall: float = 0.9,
    level: float = 0.95,
    seed: int = 0,
) -> Judged:
    """How well detectors find labelled events, a row each, and what chance gets; up is better.

    VUS, AUC, whether the highest score points at an event, and what the labels had to choose a
    threshold for, stamped "oracle": the best F1 of points, and false alarms per 1,000 points where
    the events asked for are caught (lower is better). Over several series the mean, with an
    interval over series: points of one series depend on each other, so of one there is none.
    Nothing is point-adjusted.

    Args:
        scores: (time,); or {detector: (time,)}; or {series: {detector: (time,)}}. Higher = more
            anomalous.
        labels: (time,), 0 and 1; or {series: (time,)}.
        window: The widest buffer of VUS, points; None takes the period of `series`, and 100 where
            there is none.
        series: What was scored, for its period: an array, or {series: array}.
        variant: Of VUS.
        train_end: How many points from the start the detector was trained on, or {series: points};
            none of them is scored.
        thresholds: {detector: threshold} or {series: {detector: threshold}}, chosen without
            labels: fitted ones of `limen.anomaly.thresholds`, `limen.Threshold`, or numbers. They
            make `Judged.flagged`.
        recall: The share of events whose price in false alarms is given, above 0 and at most 1.
        level: Nominal coverage of the intervals, between 0 and 1.
        seed: Of the random scores and of the bootstrap.

    Returns:
        The table, with one Tradeoff for each detector and series, and four more beside it: see
        `Judged`.

    Raises:
        UsageError: Series or detectors that do not match, other lengths, NaN, labels other than 0
            and 1, or a training part that leaves no point.

    Example:
        >>> table = judge([0.1, 0.9, 0.2, 0.1], [0, 1, 0, 0], window=2)
        >>> table.rows[0][0], table.rows[0][table.columns.index("VUS-PR")]
        ('scores', 1.0)
    """
    if not 0 < recall <= 1:
        raise UsageError(f"recall must be above 0 and at most 1, got {recall}")
    given, truths = _by_series(scores, labels)
    ends = train_end if isinstance(train_end, Mapping) else dict.fromkeys(given, train_end)
    _refuse_names(given, train_end=ends, thresholds=thresholds)
    parts = {}
    for name, detectors in given.items():
        end = int(ends[name])
        found = {
            one: _cut(_called(one, name), values, truths[name], end=end)
            for one, values in detectors.items()
        }
        truth = next(iter(found.values()))[1]
        buffer = _buffer(window, series, name, several=name in _mapping(series))
        parts[name] = _part({one: pair[0] for one, pair in found.items()}, truth, buffer=buffer,
                            variant=variant, recall=recall, seed=seed)  # fmt: skip
    blank = [name for name, part in parts.items() if part.blank]
    if blank:
        warnings.warn(
            f"{len(blank)} of {len(parts)} series have no labelled point, or no other: their "
            f"metrics are nan and left out of means ({', '.join(blank[:3])})",
            UserWarning,
            stacklevel=2,
        )
    levels = {name: _levels(thresholds, name, list(given[name])) for name in given}
    return Judged.of(
        parts, levels={k: v for k, v in levels.items() if v}, recall=recall, level=level, seed=seed,
        how=_how(parts, variant=variant, ends=ends, given=window is not None or series is not None),
    )  # fmt: skip


def measured(
    scores: Scores, labels: Flags, *, window: int, variant: str, recall: float
) -> dict[str, float]:
    """Every metric of the table, of one detector on one series.

    Args:
        scores: As `scored` gives them.
        labels: With points of both kinds.
        window: Points.
        variant: Of VUS.
        recall: Share of events to catch.

    Returns:
        Name -> value.

    Example:
        >>> found = measured(np.array([0.0, 1.0]), np.array([False, True]), window=0,
        ...                  variant="tsbad", recall=1.0)
        >>> found["AUC-ROC"], found["false alarms (oracle)"]
        (1.0, 0.0)
    """
    volume = vus(scores, labels, window=window, variant=variant)
    sides = scores[~labels], scores[labels]
    values = (
        volume.pr,
        volume.roc,
        aupr(*sides),
        auroc(*sides),
        ucr_found(scores, labels, margin=max(100, window)),
        best_points(scores, labels).value,
        alarms(scores, labels).at(gain=recall).price,
    )
    return dict(zip(METRICS, values, strict=True))


def _part(
    scores: dict[str, Scores],
    labels: Flags,
    *,
    buffer: int,
    variant: str,
    recall: float,
    seed: int,
) -> Part:
    """One series: every detector's metrics, and chance's."""
    blank = bool(labels.all() or not labels.any())
    values = {name: dict.fromkeys(METRICS, float("nan")) for name in [*scores, CHANCE]}
    if not blank:
        kept: dict[str, Any] = {"window": buffer, "variant": variant, "recall": recall}
        for name, found in scores.items():
            values[name] = measured(found, labels, **kept)
        draws = [
            measured(random_scores(len(labels), seed=seed, draw=draw), labels, **kept)
            for draw in range(DRAWS)
        ]
        values[CHANCE] = {one: float(np.mean([draw[one] for draw in draws])) for one in METRICS}
    return Part(scores, labels, values=values, window=buffer, events=len(runs(labels)), blank=blank)


def _by_series(scores: Any, labels: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Scores and labels by series.

    Raises:
        UsageError: They do not match.
    """
    several = any(isinstance(one, Mapping) for one in _mapping(scores).values())
    if not several:
        if isinstance(labels, Mapping):
            raise UsageError("labels of several series need scores as {series: {detector: scores}}")
        detectors = dict(_mapping(scores)) or {_LONE: scores}
        return {_ONE: _refuse_chance(detectors)}, {_ONE: labels}
    if not isinstance(labels, Mapping) or set(labels) != set(scores):
        have = sorted(labels) if isinstance(labels, Mapping) else "one array"
        raise UsageError(f"labels must be of the series {sorted(scores)}, got {have}")
    first = next(iter(scores.values()))
    for name, detectors in scores.items():
        if not isinstance(detectors, Mapping) or set(detectors) != set(first) or not detectors:
            raise UsageError(
                f"every series must have scores of the same detectors; series {name!r} differs "
                "from the first"
            )
    order = list(first)
    found = {name: {one: scores[name][one] for one in order} for name in scores}
    return {name: _refuse_chance(one) for name, one in found.items()}, dict(labels)


def _refuse_chance(detectors: dict[str, Any]) -> dict[str, Any]:
    if CHANCE in detectors:
        raise UsageError(f"a detector may not be called {CHANCE!r}: that row is the table's own")
    return detectors


def _refuse_names(
    given: Mapping[str, Mapping[str, Any]],
    *,
    train_end: Mapping[str, int],
    thresholds: Mapping[str, Any] | None,
) -> None:
    missing = [name for name in given if name not in train_end]
    if missing:
        raise UsageError(f"train_end must name every series; {missing[0]!r} is missing")
    detectors = list(next(iter(given.values())))
    for name in thresholds or {}:
        if name not in given and name not in detectors:
            close = nearest(name, [*given, *detectors])
            raise UsageError(f"thresholds names {name!r}, no detector or series; nearest: {close}")


def _cut(name: str, scores: Any, labels: Any, *, end: int) -> tuple[Scores, Flags]:
    """What lies after the end of training.

    Raises:
        UsageError: Other lengths, or nothing lies there.
    """
    if not (np.ndim(scores) and np.ndim(labels)):
        raise UsageError(f"{name} and labels must be (time,), one for each point")
    length = len(scores)
    if length != len(labels):
        raise UsageError(f"{name} are {length}, and labels {len(labels)}: one for each point")
    if not 0 <= end < length:
        raise UsageError(f"train_end must leave a point to judge; it is {end} of {length} points")
    return scored(scores[end:], labels[end:], name=name)


def _called(detector: str, series: str) -> str:
    """What an error calls the scores."""
    return f"scores of {detector!r}" + ("" if series == _ONE else f" on {series!r}")


def _buffer(window: int | None, series: Any, name: str, *, several: bool) -> int:
    if window is not None:
        if window < 0:
            raise UsageError(f"window must be 0 or more points, got {window}")
        return window
    if series is None:
        return _BUFFER
    if isinstance(series, Mapping) and not several:
        raise UsageError(f"series must hold every series that was scored; {name!r} is missing")
    return period(series[name] if several else series)


def _levels(thresholds: Any, name: str, detectors: list[str]) -> dict[str, Any]:
    """The thresholds of one series, by detector."""
    found = _mapping(thresholds)
    return dict(found.get(name, {})) or {one: found[one] for one in detectors if one in found}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _how(parts: Mapping[str, Part], *, variant: str, ends: Mapping[str, int], given: bool) -> str:
    """How the numbers were made, as far as the input decides it."""
    widths = sorted({part.window for part in parts.values()})
    width = f"{widths[0]}" if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
    points = sum(len(part.labels) for part in parts.values())
    events = sum(part.events for part in parts.values())
    left = sum(int(ends[name]) for name in parts)
    return (
        f"{len(parts)} series, {points} points, {events} events"
        + (f"; {left} points of training left out" if left else "")
        + f". VUS: variant {variant}, buffers 0 to {width} points"
        + ("" if given else " (no window and no series was given)")
    )
