"""`limen ood`: train, judge, threshold, score."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Know what a classifier of pictures does not know, and the price.",
    rich_markup_mode=None,
)

_PICTURES = "a folder, a .zip archive (photos.zip/train) or an .npz file"
Model = Annotated[
    str, typer.Option(help="Classifier: a run folder of train, its model folder, or a .onnx file.")
]
Outliers = Annotated[
    list[str],
    typer.Option(metavar="NAME=PATH", help="A set of outliers; again for more."),
]
TrainSet = Annotated[
    str | None,
    typer.Option("--train", help="Labelled training pictures, for scores that are fitted [none]."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Pictures of each class at most [all].")]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out pictures that cannot be read; they are told.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps [the best there is].")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads [torch's default].")]
Seed = Annotated[int, typer.Option(help="Decides every random number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def train(
    *,
    inliers: Annotated[
        str, typer.Option(help=f"Pictures in a folder for each class: {_PICTURES}.")
    ],
    into: Annotated[Path, typer.Option(help="Run folder; the same command again resumes there.")],
    outliers: Annotated[
        str | None,
        typer.Option(help="Pictures of other things; ATOL, VOS and none only look at them [none]."),
    ] = None,
    net: Annotated[
        str | None, typer.Option(help="Fresh network: 'ResNet(8)', 'WRN(16, 2)', timm:resnet18.")
    ] = None,
    begun: Annotated[
        str | None, typer.Option("--from", help="Classifier to go on from, in place of --net.")
    ] = None,
    objective: Annotated[
        str,
        typer.Option(help="Loss on the outliers: DOE, 'DAL(radius=0.1)', 'ATOL(width=32)', none."),
    ] = "OutlierExposure",
    weight: Annotated[
        float | None, typer.Option(help="Factor of the objective's loss [as published].")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 1000,
    lr: Annotated[
        float | None, typer.Option(help="First learning rate of the cosine [0.03; --from: 0.01].")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Inliers in a batch.")] = 64,
    outlier_batch: Annotated[
        int | None, typer.Option(min=1, help="Outliers in a batch [twice the inliers].")
    ] = None,
    clip: Annotated[
        float | None, typer.Option(help="Longest gradient; longer ones are shortened [any].")
    ] = None,
    bn: Annotated[
        str, typer.Option(help="Whose statistics batch norm takes: joint, id_stats or frozen.")
    ] = "joint",
    size: Annotated[
        int | None, typer.Option(help="Height and width of the pictures [32; --from: its own].")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=0, help="Pixels by which pictures are moved at random [size / 8]."),
    ] = None,
    flip: Annotated[bool, typer.Option(help="Mirror half of the pictures.")] = True,
    held_out: Annotated[
        float,
        typer.Option(help="Share kept apart to look at the result, of outliers by class."),
    ] = 0.1,
    score: Annotated[
        str | None,
        typer.Option(help="Score of the held-out pictures [msp; NTOM: extra_class]."),
    ] = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    device: Device = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier to be unsure of what it does not know."""
    from limen.cli import outlying as do
    from limen.cli import pictures, subjects

    pixels, model = do.start(net, begun, size=size)
    plan = do.plan(
        told=objective, weight=weight, judged_by=score, held_out=held_out, crop=crop, flip=flip,
        size=pixels, steps=steps, lr=do.rate(lr, tuned=model is not None),
        batch=batch, outlier_batch=outlier_batch, bn=bn, clip=clip, seed=seed,
        save_every=save_every,
    )  # fmt: skip
    do.check_into(into)
    place = subjects.place(device, dtype="float32", threads=threads)
    reading = pictures.Reading(limit, skip_bad)
    rows = do.rows(inliers, outliers, size=pixels, reading=reading, plan=plan)
    subject = do.classifier(net, model, rows, plan=plan, size=pixels).to(place.device)
    do.train(subject, rows, plan, tuned=model is not None, into=into, as_json=as_json)


@app.command()
def judge(
    *,
    model: Annotated[
        list[str],
        typer.Option(
            help="Classifier: a run folder of train, its model folder, or a .onnx file; "
            "twice: compares."
        ),
    ],
    inliers: Annotated[str, typer.Option(help=f"Labelled test pictures: {_PICTURES}.")],
    outliers: Outliers,
    near: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Outlier set that is near; the others are far [none]."),
    ] = None,
    score: Annotated[
        list[str], typer.Option(help="Score: energy, 'KNN(k=50)'; again for more.")
    ] = ["msp"],  # noqa: B006  typer copies it
    train: TrainSet = None,
    bank: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that keeps what the network said, one for each model [none]."),
    ] = None,
    into: Annotated[Path | None, typer.Option(help="Folder for a page [none].")] = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    seed: Seed = 0,
    device: Device = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Tell how well scores separate inliers from outliers."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import pages, pictures, scoring, subjects
    from limen.cli import separating as do

    found = scoring.scores(score, train=train)
    asked = do.question(inliers, outliers, near=near or [], train=train, scores=found, seed=seed)
    folder = pages.folder("ood judge", options)
    place = subjects.place(device, dtype="float32", threads=threads)
    seers = do.load_all(model, bank or [], device=place.device, scores=found)
    reading = pictures.Reading(limit, skip_bad)
    do.judge(asked, seers, reading=reading, into=folder, as_json=as_json)


@app.command()
def threshold(
    *,
    model: Model,
    calibration: Annotated[
        str, typer.Option(help="Inliers that neither model nor score was trained on.")
    ],
    into: Annotated[Path, typer.Option(help="File or folder for the detector.")],
    alpha: Annotated[float, typer.Option(help="Share of inliers that may be flagged.")] = 0.05,
    score: Annotated[str, typer.Option(help="Score: energy, 'KNN(k=50)'.")] = "energy",
    train: TrainSet = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="One threshold for each predicted class.")
    ] = False,
    fallback: Annotated[
        bool,
        typer.Option("--fallback", help="Classes with too few pictures take the threshold of all."),
    ] = False,
    onnx: Annotated[
        Path | None, typer.Option(help="File for network, score and threshold as ONNX [none].")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Folder for a page [none].")] = None,
    limit: Limit = None,
    skip_bad: SkipBad = False,
    device: Device = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate a detector to a promised share of alarms."""
    options = {**locals(), "into": page}  # and nothing else, as long as this line is the first
    from limen._core.errors import UsageError
    from limen.cli import classifiers, pages, pictures, scoring, subjects
    from limen.cli import flagging as do

    if fallback and not per_class:
        raise UsageError("--fallback is a setting of --per-class; give it too, or leave it out")
    found = scoring.scores([score], train=train)
    file = do.place_of(into)
    do.check_alpha(alpha)
    folder = pages.folder("ood threshold", options, option="--page")
    place = subjects.place(device, dtype="float32", threads=threads)
    seer = classifiers.load(model, place.device, scores=found)
    do.check_onnx(onnx, seer, found[0], per_class=per_class)
    do.threshold(
        seer, found[0], calibration=calibration, train=train, alpha=alpha,
        each=(per_class, fallback), reading=pictures.Reading(limit, skip_bad), into=file,
        onnx=onnx, page=folder, as_json=as_json,
    )  # fmt: skip


@app.command()
def score(
    *,
    paths: Annotated[
        list[str], typer.Argument(help="Pictures, folders, .zip archives or .npz files.")
    ],
    model: Model,
    detector: Annotated[
        Path | None, typer.Option(help="What threshold wrote; without one nothing is flagged.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--score", help="Score, without a detector [energy].")
    ] = None,
    train: TrainSet = None,
    skip_bad: SkipBad = False,
    device: Device = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Print each picture's score, flag and class."""
    from limen._core.errors import UsageError
    from limen.cli import classifiers, pictures, scoring, subjects
    from limen.cli import flagging as do

    if detector is not None and (by is not None or train is not None):
        raise UsageError("--detector brings its own score; leave --score and --train out")
    found = None if detector else scoring.scores([by or "energy"], train=train)[0]
    place = subjects.place(device, dtype="float32", threads=threads)
    made = None if detector is None else do.detector_at(detector)
    seer = classifiers.load(model, place.device, scores=[made.score if made else found])
    if detector is not None and made is not None:
        do.require_same(made, seer, where=detector)
    do.tell(
        seer, paths, score=found, detector=made, train=train,
        reading=pictures.Reading(skip_bad=skip_bad), as_json=as_json,
    )  # fmt: skip
