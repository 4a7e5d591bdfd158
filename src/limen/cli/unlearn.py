"""`limen unlearn`: forget, train, calibrate, judge."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from limen._core.errors import UsageError

app = typer.Typer(
    help="Make a language model forget text, and know the price.",
    rich_markup_mode=None,
)

Model = Annotated[
    str, typer.Option(help="Model to change: a folder, a hub id, a .gguf file or an adapter.")
]
ForgetRows = Annotated[
    str,
    typer.Option(
        "--forget",
        help="Rows to forget: .jsonl, .json, .csv, a data set's folder or hub id"
        " (org/name, org/name:config or org/name:config:split).",
    ),
]
RetainRows = Annotated[str | None, typer.Option("--retain", help="Rows to keep, likewise.")]
Into = Annotated[Path, typer.Option(help="Run folder; the same command again resumes there.")]
Keep = Annotated[float, typer.Option(help="Share of the retained knowledge to keep, in (0, 1].")]
Template = Annotated[str, typer.Option(help="auto, chat or plain.")]
Eos = Annotated[bool, typer.Option(help="Count the end of sequence as part of a response.")]
Overlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Accept rows that stand in both sets.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps [the best there is].")]
Dtype = Annotated[str, typer.Option(help="Type of the weights: float32, bfloat16, float64.")]
Seed = Annotated[int, typer.Option(help="Decides every random number.")]
Batch = Annotated[int, typer.Option(min=1, help="Rows in a micro-batch.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads [torch's default].")]


def _verb(*, calibrated: bool) -> Callable[..., None]:
    """`forget`, or `train`, which leaves the calibration out."""

    def verb(
        *,
        model: Model,
        forget: ForgetRows,
        into: Into,
        retain: RetainRows = None,
        keep: Annotated[
            float | None,
            typer.Option(help="Share of the retained knowledge to keep [0.95]; for forget only."),
        ] = None,
        objective: Annotated[
            str, typer.Option(help="Loss on the forget rows, such as GA, 'WGA(alpha=1)', NPO.")
        ] = "WGA",
        retain_loss: Annotated[
            str | None, typer.Option(help="Loss on the retain rows: NLL, KL [none].")
        ] = None,
        weight: Annotated[float, typer.Option(min=0, help="Factor of the retain loss.")] = 1.0,
        rectify: Annotated[
            bool, typer.Option(help="Bend the gradient so that it does not harm the retain rows.")
        ] = True,
        on: Annotated[
            str, typer.Option(help="What rectify bends: gradient or update.")
        ] = "gradient",
        ema: Annotated[
            float, typer.Option(help="Weight of the new retain gradient, 1: only it.")
        ] = 0.8,
        steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 60,
        lr: Annotated[float, typer.Option(help="Learning rate of AdamW.")] = 1e-5,
        batch: Batch = 8,
        accumulate: Annotated[int, typer.Option(min=1, help="Micro-batches to a step.")] = 1,
        clip: Annotated[
            float, typer.Option(min=0, help="Largest gradient norm; 0 for none.")
        ] = 1.0,
        weight_decay: Annotated[float, typer.Option(min=0, help="Weight decay of AdamW.")] = 0.0,
        lora: Annotated[int, typer.Option(min=0, help="Rank of a LoRA adapter; 0 trains all.")] = 0,
        merge: Annotated[
            bool, typer.Option(help="Write a LoRA adapter merged into the weights, or alone.")
        ] = True,
        save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 20,
        template: Template = "auto",
        eos: Eos = False,
        allow_overlap: Overlap = False,
        device: Device = None,
        dtype: Dtype = "float32",
        precision: Annotated[str, typer.Option(help="no, or bf16 for autocast.")] = "no",
        seed: Seed = 0,
        threads: Threads = None,
        as_json: AsJson = False,
    ) -> None:
        from limen.cli import unlearning as do

        if keep is not None and not calibrated:
            raise UsageError("--keep is for 'limen unlearn forget'; train does not calibrate")
        share = 0.95 if keep is None else keep
        do.check_keep(share)
        plan = do.training(
            objective=objective, retain_loss=retain_loss, weight=weight, rectify=rectify, on=on,
            ema=ema, steps=steps, lr=lr, batch=batch, accumulate=accumulate, clip=clip or None,
            weight_decay=weight_decay, seed=seed, save_every=save_every, precision=precision,
        )  # fmt: skip
        do.check_guard(plan, retain, calibrated=calibrated)
        do.check_into(into)
        place = do.place(device, dtype=dtype, threads=threads)
        rows = do.rows(forget, retain)
        task = do.task(model, rows, template=template, eos=eos, allow_overlap=allow_overlap)
        subject = do.subject(model, task, place, lora=lora, seed=seed)
        if calibrated:
            do.forget(subject, task, plan, keep=share, merge=merge, into=into, as_json=as_json)
        else:
            do.train(subject, task, plan, merge=merge, into=into, as_json=as_json)

    return verb


app.command("forget", help="Make a model forget rows at a set price, and write the page.")(
    _verb(calibrated=True)
)
app.command("train", help="Train a model to forget rows, and stop there: no calibration.")(
    _verb(calibrated=False)
)


@app.command()
def calibrate(
    *,
    before: Annotated[str, typer.Option(help="The model before unlearning.")],
    after: Annotated[str, typer.Option(help="The unlearned model, whatever made it.")],
    forget: ForgetRows,
    retain: Annotated[str, typer.Option("--retain", help="Rows to keep, likewise.")],
    into: Into,
    keep: Keep = 0.95,
    template: Template = "auto",
    eos: Eos = False,
    allow_overlap: Overlap = False,
    batch: Batch = 16,
    device: Device = None,
    dtype: Dtype = "float32",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Mix two models until enough is retained; write model and page."""
    from limen.cli import unlearning as do

    do.check_keep(keep)
    do.check_into(into)
    place = do.place(device, dtype=dtype, threads=threads)
    rows = do.rows(forget, retain)
    task = do.task(after, rows, template=template, eos=eos, allow_overlap=allow_overlap)
    subject = do.subject(after, task, place)
    do.calibrate(subject, task, before=before, keep=keep, batch=batch, into=into, as_json=as_json)


@app.command()
def judge(
    *,
    model: Annotated[list[str], typer.Option(help="A model to judge; may be given again.")],
    forget: ForgetRows,
    retain: Annotated[str, typer.Option("--retain", help="Rows to keep, likewise.")],
    before: Annotated[
        str | None, typer.Option(help="The model before: compares at equal retention.")
    ] = None,
    keep: Keep = 0.95,
    into: Annotated[Path | None, typer.Option(help="Folder for a page [none].")] = None,
    template: Template = "auto",
    eos: Eos = False,
    allow_overlap: Overlap = False,
    batch: Batch = 16,
    device: Device = None,
    dtype: Dtype = "float32",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Score models on both sets of rows, side by side."""
    from limen.cli import unlearning as do

    do.check_keep(keep)
    do.check_page(into)
    place = do.place(device, dtype=dtype, threads=threads)
    rows = do.rows(forget, retain)
    tasks = {
        name: do.task(name, rows, template=template, eos=eos, allow_overlap=allow_overlap)
        for name in model
    }
    do.judge(tasks, place, before=before, keep=keep, batch=batch, into=into, as_json=as_json)
