"""The work behind `limen anomaly make`; imported only when there is some."""

import csv
import json
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np

from limen._core.errors import UsageError
from limen.anomaly.data import Recording
from limen.anomaly.synth.protocol import Injected, Maker
from limen.cli import thinking
from limen.cli.named import named
from limen.cli.pages import PageFolder
from limen.report import Facts, Gallery, Page, Picture, Table, Timeline
from limen.report.table import Cell
from limen.run.files import save
from limen.run.progress import say
from limen.run.provenance import origin
from limen.run.store import write_text

MAKERS = "limen.anomaly.synth"
MOST_LANES = 8
"""Channels that are drawn, those with most events first."""


@dataclass(frozen=True)
class Asked:
    """What to make.

    Attributes:
        maker: What makes it, not fitted.
        events: How many.
        length: Least and most points, where asked for.
        gap: Normal points between events.
        size: Root mean square of each change, in standard deviations.
        seed: Decides every random number.
    """

    maker: Maker
    events: int
    length: tuple[int, int] | None
    gap: int | None
    size: float | None
    seed: int


def asked(
    maker: str,
    *,
    events: int,
    length: tuple[int | None, int | None],
    gap: int | None,
    size: float | None,
    seed: int,
    device: str | None,
    threads: int | None,
) -> Asked:
    """Everything, refused before a file is read.

    Raises:
        UsageError: An unknown maker, half a range of lengths, or a size that is not above 0.
    """
    if (length[0] is None) != (length[1] is None):
        raise UsageError("--shortest and --longest are one range; give both, or neither")
    if length[0] is not None and length[1] is not None and length[0] > length[1]:
        raise UsageError(f"--shortest {length[0]} must not be above --longest {length[1]}")
    if size is not None and not 0 < size < float("inf"):
        raise UsageError(f"--size {size} must be above 0 and finite")
    found = named(maker, MAKERS, option="--maker")
    thinking.settle(found, seed=seed, device=device, threads=threads, text=maker)
    wanted = None if length[0] is None or length[1] is None else (length[0], length[1])
    return Asked(found, events, wanted, gap, size, seed)


def make(wanted: Asked, recording: Recording, *, folder: PageFolder | None, as_json: bool) -> None:
    """Fit the maker, inject, write the series, its events, the maker and a page; tell the events.

    Raises:
        UsageError: The events do not fit, or the maker cannot learn from the series.
    """
    assert folder is not None  # --into must be given
    marked = 0 if recording.labels is None else int(recording.labels.sum())
    if marked:
        say(f"{marked} points of {recording.source} are labelled abnormal; the new labels know of "
            "what is put in alone")  # fmt: skip
    maker = wanted.maker.fit(recording.values)
    made = maker.inject(
        recording.values, events=wanted.events, seed=wanted.seed, length=wanted.length,
        gap=wanted.gap, size=wanted.size,
    )  # fmt: skip
    table = events_table(made, recording)
    with folder.held() as path:
        write_text(path / "series.csv", _series(made, recording))
        write_text(path / "events.csv", _events(table))
        save(maker, path / "maker.safetensors")
        facts = {**folder.spec, "points": len(made.series), "source": recording.source, **origin()}
        page = Page(
            f"{len(made.events)} anomalies put into {recording.source}",
            _answer(made),
            [
                _timeline(made, recording),
                _gallery(made, recording),
                table,
                Facts({k: _plain(v) for k, v in facts.items()}, title="How to do it again"),
            ],
            subtitle=f"{type(maker).__name__}, {len(made.series)} points of "
            f"{made.series.shape[1]} channels",
        )
        page.write(path / "report.html")
    for name in ("series.csv", "events.csv", "maker.safetensors", "report.html"):
        say(f"{folder.path / name}")
    print(json.dumps(table.to_dict(), indent=2) if as_json else table.to_text())


def events_table(made: Injected, recording: Recording) -> Table:
    """One row for each event."""
    rows: list[list[Cell]] = [
        [
            event.start, event.end, recording.at(event.start), recording.at(event.end - 1),
            event.kind, event.magnitude,
            ", ".join(recording.names[channel] for channel in event.channels),
        ]
        for event in made.events
    ]  # fmt: skip
    return Table(
        ["start", "end", "from", "to", "kind", "size [sd]", "channels"],
        rows,
        title="Events",
        protocol="end is the point after the last one; size is the root mean square of the change "
        "over its points and channels, in standard deviations of the series.",
    )


def _answer(made: Injected) -> str:
    share = float(made.mask.any(1).mean())
    sizes = [event.magnitude for event in made.events]
    return (
        f"{len(made.events)} events of {min(sizes):.2g} to {max(sizes):.2g} standard deviations "
        f"cover {share:.1%} of the points; everything else is the series as it was."
    )


def _timeline(made: Injected, recording: Recording) -> Timeline:
    order = np.argsort(-made.mask.sum(0), kind="stable")[:MOST_LANES]
    return Timeline.of(
        {recording.names[c]: made.series[:, c] for c in sorted(order.tolist())},
        spans={"put in": [(event.start, event.end) for event in made.events]},
        title="The series with its events",
        caption="Drag to zoom; double-click to see all again.",
    )


def _gallery(made: Injected, recording: Recording) -> Gallery:
    """The first events beside what was there: the channel that moved most."""
    items = []
    for event in list(made.events)[:6]:
        room = max(event.length, 20)
        here = slice(max(0, event.start - room), event.end + room)
        moved = np.abs(made.series[here] - recording.values[here]).sum(0)
        channel = int(np.argmax(moved))
        name = recording.names[channel]
        where = f"points {event.start} to {event.end - 1} of {name}"
        items += [
            Picture(recording.values[here, channel], f"before: {where}"),
            Picture(made.series[here, channel], f"{event.kind}, {event.magnitude:.2g} sd: {where}"),
        ]
    return Gallery(items, title="Before and after, by event")


def _series(made: Injected, recording: Recording) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *recording.names, "label"])
    label = made.mask.any(1).astype(int)
    for point, (row, flag) in enumerate(zip(made.series.tolist(), label, strict=True)):
        writer.writerow([recording.at(point), *row, flag])
    return text.getvalue()


def _events(table: Table) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
