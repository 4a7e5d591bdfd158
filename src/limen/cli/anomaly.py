"""`limen anomaly`: train, make, score, judge."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Find what is abnormal in time series, and the price.",
    rich_markup_mode=None,
)

_FILE = "a .csv, .tsv or .parquet table, .npy, .txt, or an array of an .npz (x.npz/train)"
Time = Annotated[
    str | None, typer.Option(help="Column of times [time, timestamp, date, ... if there is one].")
]
Label = Annotated[
    str | None, typer.Option(help="Column of 0/1 labels [label, is_anomaly, ... if there is one].")
]
Channels = Annotated[
    str | None, typer.Option(help="Columns to take, with commas between [all others].")
]
Missing = Annotated[str, typer.Option(help="What to do with NaN: raise, linear, forward or mean.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps [the best there is].")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads [torch's default].")]
Seed = Annotated[int, typer.Option(help="Decides every random number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Into = Annotated[Path | None, typer.Option(help="Folder for the files and a page [none].")]


@app.command()
def train(
    *,
    data: Annotated[
        list[str], typer.Option(help=f"Series taken for normal, again for more: {_FILE}.")
    ],
    into: Annotated[Path, typer.Option(help="Run folder for the detector and its page.")],
    detector: Annotated[
        str,
        typer.Option(
            help="What to train: Contrastive, RMSZ, 'KNN(window=100)'; limen list anomaly."
        ),
    ] = "Contrastive",
    maker: Annotated[
        str | None,
        typer.Option(help="What makes anomalies to learn from: 'GenIAS(window=100)' [its own]."),
    ] = None,
    threshold: Annotated[
        str,
        typer.Option(help="Where to flag, from training scores: 'Quantile(0.01)', POT, Threshold."),
    ] = "Quantile(0.01)",
    end: Annotated[
        int | None,
        typer.Option(min=1, help="Points of each series to train on, from its start [all]."),
    ] = None,
    time: Time = None,
    label: Label = None,
    channels: Channels = None,
    missing: Missing = "raise",
    device: Device = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a detector on series that are taken for normal."""
    from limen.cli import detecting as do
    from limen.cli import series as reading

    reader = reading.Reader(time, label, channels, missing)
    plan = do.plan(detector, maker, threshold=threshold, seed=seed, device=device, threads=threads)
    do.train(plan, reader.all(data, end=end), into=into, as_json=as_json)


@app.command()
def make(
    *,
    data: Annotated[str, typer.Option(help=f"The normal series to put events into: {_FILE}.")],
    into: Annotated[Path, typer.Option(help="Folder for the series, its events and a page.")],
    maker: Annotated[
        str,
        typer.Option(
            help="What makes them: GenIAS, Spike, 'LevelShift(size=3)'; limen list anomaly."
        ),
    ] = "GenIAS",
    events: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    shortest: Annotated[
        int | None, typer.Option(min=1, help="Least points of an event [the maker's own].")
    ] = None,
    longest: Annotated[
        int | None, typer.Option(min=1, help="Most points of an event [the maker's own].")
    ] = None,
    gap: Annotated[
        int | None, typer.Option(min=0, help="Normal points between events, at least [a window].")
    ] = None,
    size: Annotated[
        float | None,
        typer.Option(
            help="How hard they are: root mean square of each change, in standard "
            "deviations of the series [as made]."
        ),
    ] = None,
    time: Time = None,
    label: Label = None,
    channels: Channels = None,
    missing: Missing = "raise",
    device: Device = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Put anomalies into a normal series, with labels."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import making as do
    from limen.cli import pages
    from limen.cli import series as reading

    folder = pages.folder("anomaly make", options)
    asked = do.asked(
        maker, events=events, length=(shortest, longest), gap=gap, size=size, seed=seed,
        device=device, threads=threads,
    )  # fmt: skip
    recording = reading.Reader(time, label, channels, missing).one(data)
    do.make(asked, recording, folder=folder, as_json=as_json)


@app.command()
def score(
    *,
    data: Annotated[str, typer.Argument(help=f"The series: {_FILE}.")],
    detector: Annotated[Path, typer.Option(help="What train wrote: its folder, or the file.")],
    align: Annotated[
        str | None,
        typer.Option(
            help="mean: over all windows that cover a point; end: of the one that ends there."
        ),
    ] = None,
    join: Annotated[
        int, typer.Option(min=0, help="Flagged stretches this close are one event.")
    ] = 0,
    into: Into = None,
    time: Time = None,
    label: Label = None,
    channels: Channels = None,
    missing: Missing = "raise",
    device: Device = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object an event.")] = False,
) -> None:
    """Print the stretches that a detector flags, as CSV."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import detecting as do
    from limen.cli import pages
    from limen.cli import series as reading

    folder = pages.folder("anomaly score", options)
    found = do.load(detector, device=device, threads=threads)
    recording = reading.Reader(time, label, channels, missing).one(data)
    do.score(found, recording, align=align, join=join, folder=folder, as_json=as_json)


@app.command()
def judge(
    *,
    data: Annotated[list[str], typer.Option(help=f"Labelled series, again for more: {_FILE}.")],
    detector: Annotated[
        list[Path] | None,
        typer.Option(help="What train wrote; again: compares [none]."),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Scores made elsewhere, one a point: .csv, .npy, .txt; again for more [none].",
        ),
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=1, help="Buffer of VUS, in points [one period of the series].")
    ] = None,
    variant: Annotated[str, typer.Option(help="Definition of VUS: tsbad or original.")] = "tsbad",
    start: Annotated[
        int, typer.Option(min=0, help="First point that is judged [after what training saw].")
    ] = 0,
    into: Into = None,
    time: Time = None,
    label: Label = None,
    channels: Channels = None,
    missing: Missing = "raise",
    seed: Seed = 0,
    device: Device = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Tell how well scores find labelled events."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import estimating as do
    from limen.cli import pages
    from limen.cli import series as reading

    asked = do.asked(detector or [], scores or [], window=window, variant=variant, start=start,
                     seed=seed, device=device, threads=threads)  # fmt: skip
    folder = pages.folder("anomaly judge", options)
    recordings = reading.Reader(time, label, channels, missing).labelled(data)
    do.judge(asked, recordings, folder=folder, as_json=as_json)
