"""`limen shift`: counter, line, hull, select, discover."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Find what a model only seems to know, and the price.",
    rich_markup_mode=None,
)

_ROWS = "an array of an .npz (x.npz/features), .npy, or a .csv of numbers"
_COLUMN = "a column (x.csv/label), .npy, or an array of an .npz"
_TABLE = "a .csv, .tsv or .jsonl with named columns"
Seed = Annotated[int, typer.Option(help="Decides every random number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Into = Annotated[Path | None, typer.Option(help="Folder for a page [none].")]


@app.command()
def counter(
    photos: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS", help="Folder CLASS/GROUP/photo, or a manifest (.csv, .jsonl)."
        ),
    ],
    *,
    model: Annotated[
        str,
        typer.Option(
            help="lite0, lite-pair, a network of torchvision or timm, a folder of transformers, an "
            ".onnx file, or saved embeddings (.npz, .safetensors)."
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(help="Of a network: a .safetensors file, or hub to download them [none]."),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="A second model, compared over classes [none].")
    ] = None,
    compare_weights: Annotated[str | None, typer.Option(help="Weights of that one [none].")] = None,
    pixels: Annotated[
        str | None,
        typer.Option(help="Of an .onnx file that takes floats: imagenet, half, clip, unit [none]."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of its pictures, where it leaves them open.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names of the model's classes, a line each [none].")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Saved embeddings that choose the candidate names [all names]."),
    ] = None,
    candidates: Annotated[
        int, typer.Option(min=2, help="Names of each class, with --reference.")
    ] = 20,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps [the best there is].")
    ] = None,
    into: Into = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell whether a model knows things or backgrounds."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import counting as do
    from limen.cli import pages, subjects
    from limen.cli.seeing import Seen

    folder = pages.folder("shift counter", options)
    held, names = do.photos(photos, labels)
    space = do.candidates(reference, held, size=candidates)
    place = subjects.place(device, dtype="float32", threads=None)
    first = Seen(
        told=model, device=place.device, weights=weights, pixels=pixels, size=size, names=names
    )
    second = do.second(first, compare, weights=compare_weights)
    both = [one.model() for one in (first, second) if one is not None]
    do.count(
        both, held, names=names, space=space, source=photos, seed=seed, into=folder,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def line(
    *,
    table: Annotated[
        Path | None,
        typer.Option(help=f"Accuracies of models, a row each: {_TABLE} [the published ones]."),
    ] = None,
    common: Annotated[str, typer.Option(help="Column of accuracy at home.")] = "common",
    counter: Annotated[str, typer.Option(help="Column of accuracy under shift.")] = "counter",
    names: Annotated[str | None, typer.Option(help="Column of names [the first].")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Model left out of the line; again for more.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=HOME,SHIFT", help="Your model's accuracies; again for more."),
    ] = None,
    transform: Annotated[str, typer.Option(help="Axis: logit, probit or linear.")] = "logit",
    into: Into = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell how robust models are beyond their accuracy."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import leaning as do
    from limen.cli import pages

    folder = pages.folder("shift line", options)
    mine = do.models(model or [])
    if table is None:
        do.place(mine, transform=transform, into=folder, as_json=as_json)
        return
    found = do.accuracies(table, common=common, counter=counter, names=names)
    do.line(
        found, mine, exclude=exclude or [], transform=transform, seed=seed, into=folder,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def hull(
    *,
    source: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=FILE", help=f"Features of a source domain, again for more: {_ROWS}."
        ),
    ],
    target: Annotated[
        list[str],
        typer.Option(metavar="NAME=FILE", help="Features of a target domain, again for more."),
    ],
    resamples: Annotated[int, typer.Option(min=20, help="Draws of the null.")] = 200,
    dimensions: Annotated[
        int, typer.Option(min=1, help="Principal components for the hull of points.")
    ] = 8,
    into: Into = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Tell whether targets are mixtures of the sources."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import mixing as do
    from limen.cli import pages

    folder = pages.folder("shift hull", options)
    sources, targets = do.domains(source, target)
    do.hull(
        sources, targets, resamples=resamples, dimensions=dimensions, seed=seed, into=folder,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def select(
    *,
    pool: Annotated[str, typer.Option(help=f"Features of the pool: {_ROWS}.")],
    budget: Annotated[float, typer.Option(help="Rows to choose; below 1 a share of the pool.")],
    by: Annotated[
        str,
        typer.Option(help="Rule: hull_cover, logdet, kcenter, herding, loss, policy, random."),
    ] = "hull_cover",
    labels: Annotated[
        str | None, typer.Option(help=f"Class of each row: {_COLUMN} [none].")
    ] = None,
    environments: Annotated[
        str | None, typer.Option(help="Environment of each row [none].")
    ] = None,
    losses: Annotated[str | None, typer.Option(help="Loss of each row, for loss [none].")] = None,
    quotas: Annotated[
        str | None,
        typer.Option(help="Most rows of a (class, environment), or even [none]."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Folder for rows.csv, the selection and a page [none].")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Choose rows to train on; prints row and weight."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import mixing as do
    from limen.cli import pages

    folder = pages.folder("shift select", options)
    asked = do.selecting(by, budget=budget, quotas=quotas, seed=seed)
    given = do.pool(pool, labels=labels, environments=environments, losses=losses)
    do.select(asked, given, into=folder, as_json=as_json)


@app.command()
def discover(
    *,
    table: Annotated[Path, typer.Option(help=f"A row for each prediction: {_TABLE}.")],
    correct: Annotated[str, typer.Option(help="Column that says whether it was right: 0 or 1.")] = (
        "correct"
    ),
    label: Annotated[str, typer.Option(help="Column of true classes.")] = "label",
    attribute: Annotated[
        str, typer.Option(help="Column of what the class should not depend on: background.")
    ] = "attribute",
    least: Annotated[
        int, typer.Option("--min-n", min=2, help="Rows of a class and attribute, at least.")
    ] = 30,
    gap: Annotated[
        float, typer.Option("--min-gap", help="Gap of accuracy worth a look, a share.")
    ] = 0.05,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    correction: Annotated[str, typer.Option(help="For many tests: holm or bh.")] = "holm",
    into: Into = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Find the attributes that a model leans on."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import discovering as do
    from limen.cli import pages

    folder = pages.folder("shift discover", options)
    found = do.predictions(table, correct=correct, label=label, attribute=attribute)
    do.discover(
        found, least=least, gap=gap, alpha=alpha, correction=correction, seed=seed, into=folder,
        as_json=as_json,
    )  # fmt: skip
