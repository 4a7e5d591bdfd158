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
Guards = Annotated[
    list[str] | None,
    typer.Option(
        "--guard",
        metavar="NAME=ROWS",
        help="One more set to keep, with a guard of its own; again for more [none].",
    ),
]
Refusals = Annotated[
    Path | None,
    typer.Option(help="File of what PO and DPO teach to say, one a line [limen's hundred]."),
]
Objective = Annotated[
    str,
    typer.Option(
        help="Loss on the forget rows: NPO, 'WGA(alpha=1)', 'Temperature(NPO, temperature=2)'."
    ),
]
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
ALL_LINEAR = "all-linear"
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
        guard: Guards = None,
        refusals: Refusals = None,
        objective: Objective = "WGA",
        retain_loss: Annotated[
            str | None,
            typer.Option(help="Loss on the retain rows: NLL; without --rectify KL, RR too [none]."),
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
        by: Annotated[
            str, typer.Option(help="Rectify all parameters together, or by layer or tensor.")
        ] = "all",
        bound: Annotated[
            float | None,
            typer.Option(
                help="Hold the retain rows' NLL below this, in nats, by a multiplier (primal-dual);"
                " in place of --rectify and --retain-loss [none]."
            ),
        ] = None,
        steer: Annotated[
            str | None,
            typer.Option(help="Act on effects first: drop or weigh rows, freeze layers [none]."),
        ] = None,
        steer_share: Annotated[
            float,
            typer.Option(
                help="Share of the rows or layers that --steer drops or freezes, one at least."
            ),
        ] = 0.25,
        stop_forget: Annotated[
            float | None,
            typer.Option(
                help="Stop once the forget rows' extraction strength is down here, 0 to 1."
            ),
        ] = None,
        stop_retain: Annotated[
            float | None,
            typer.Option(
                help="Stop once less than this share of the retain rows' is left, 0 to 1."
            ),
        ] = None,
        check_every: Annotated[
            int | None,
            typer.Option(
                min=1, help="Steps between two looks at --stop-forget, --stop-retain [5]."
            ),
        ] = None,
        effects_every: Annotated[
            int, typer.Option(min=0, help="Steps between looks at the G-effect; 0 for none.")
        ] = 0,
        steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 60,
        lr: Annotated[float, typer.Option(help="Learning rate of AdamW.")] = 1e-5,
        batch: Batch = 8,
        accumulate: Annotated[int, typer.Option(min=1, help="Micro-batches to a step.")] = 1,
        clip: Annotated[
            float, typer.Option(min=0, help="Largest gradient norm; 0 for none.")
        ] = 1.0,
        weight_decay: Annotated[float, typer.Option(min=0, help="Weight decay of AdamW.")] = 0.0,
        lora: Annotated[int, typer.Option(min=0, help="Rank of a LoRA adapter; 0 trains all.")] = 0,
        lora_targets: Annotated[
            str | None,
            typer.Option(
                help="Layers that get the adapter of --lora: names, by commas [all-linear]."
            ),
        ] = None,
        checkpointing: Annotated[
            bool, typer.Option(help="Recompute activations: slower, less memory.")
        ] = False,
        merge: Annotated[
            bool,
            typer.Option(help="Write the adapter of --lora merged into the weights, or alone."),
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
        from limen.cli import subjects
        from limen.cli import unlearning as do

        if keep is not None and not calibrated:
            raise UsageError("--keep is for 'limen unlearn forget'; train does not calibrate")
        share = 0.95 if keep is None else keep
        do.check_keep(share)
        plan = do.training(
            objective=objective, retain_loss=retain_loss, weight=weight, rectify=rectify, on=on,
            ema=ema, by=by, bound=bound, steering=(steer, steer_share),
            limits=(stop_forget, stop_retain), check_every=check_every,
            effects_every=effects_every, steps=steps, lr=lr, batch=batch, accumulate=accumulate,
            clip=clip or None, weight_decay=weight_decay, seed=seed, save_every=save_every,
            precision=precision, checkpointing=checkpointing,
        )  # fmt: skip
        do.check_refusals(plan, refusals)
        do.check_adapter(lora, lora_targets, merge=merge)
        do.check_guard(plan, retain, calibrated=calibrated)
        do.check_into(into)
        place = subjects.place(device, dtype=dtype, threads=threads)
        rows = subjects.rows(forget, retain, guards=guard, refusals=refusals)
        task = subjects.task(model, rows, template=template, eos=eos, allow_overlap=allow_overlap)
        plan.check(task)
        adapter = subjects.Adapter(lora, lora_targets or ALL_LINEAR, seed)
        subject = subjects.subject(model, task, place, adapter=adapter)
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
    from limen.cli import subjects
    from limen.cli import unlearning as do

    do.check_keep(keep)
    do.check_into(into)
    place = subjects.place(device, dtype=dtype, threads=threads)
    rows = subjects.rows(forget, retain)
    task = subjects.task(after, rows, template=template, eos=eos, allow_overlap=allow_overlap)
    subject = subjects.subject(after, task, place)
    do.calibrate(subject, task, before=before, keep=keep, batch=batch, into=into, as_json=as_json)


@app.command()
def judge(
    *,
    model: Annotated[list[str], typer.Option(help="A model to judge; may be given again.")],
    forget: Annotated[str | None, typer.Option(help="Rows to forget, as for forget.")] = None,
    retain: RetainRows = None,
    benchmark: Annotated[
        str | None, typer.Option(help="TOFU, MUSE or WMDP, in place of rows [none].")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Part of the benchmark: forget01, news, bio.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The benchmark's folder [the hub].", envvar="LIMEN_DATA")
    ] = None,
    retrained: Annotated[
        str | None, typer.Option(help="Judgement (JSON) of a model that never saw the rows.")
    ] = None,
    generate: Annotated[
        bool | None, typer.Option(help="Let the models answer (slow), for ROUGE-L [yes].")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows of each set at most.")] = None,
    form: Annotated[
        str | None,
        typer.Option(
            help=r"TOFU's text, '{question}\n{answer}' [nothing between], before a template."
        ),
    ] = None,
    mmlu: Annotated[
        str | None, typer.Option(help="MMLU's folder or hub id, the price beside WMDP [none].")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="The model before: compares at equal retention.")
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="Share of the retained knowledge at which --before compares [0.95]."),
    ] = None,
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
    """Score models on rows or on a benchmark, side by side."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import judging as do
    from limen.cli import pages, subjects
    from limen.cli.unlearning import check_keep

    if keep is not None and before is None:
        raise UsageError("--keep is a setting of --before; name the model before, or leave it out")
    share = 0.95 if keep is None else keep
    check_keep(share)
    folder = pages.folder("unlearn judge", options)
    subjects.check_models(model)
    do.check_there(model, before)
    own = {"form": form and form.replace(r"\n", "\n"), "mmlu": mmlu}
    do.check_benchmark(
        benchmark,
        (forget, retain),
        of_benchmarks={
            "split": split, "retrained": retrained, "generate": generate, "limit": limit, **own
        },
        of_rows={"before": before, "keep": keep, "allow-overlap": allow_overlap or None},
    )  # fmt: skip
    found = None if benchmark is None else do.benchmark(benchmark, split, data, settings=own)
    place = subjects.place(device, dtype=dtype, threads=threads)
    if found is not None:
        settings = {
            "retrained": retrained, "generation": generate, "limit": limit, "batch": batch,
            "eos": eos or None, "template": None if template == "auto" else template,
        }  # fmt: skip
        do.judge_benchmark(found, model, place, settings=settings, into=folder, as_json=as_json)
        return
    rows = subjects.rows(str(forget), retain)
    tasks = {
        name: subjects.task(name, rows, template=template, eos=eos, allow_overlap=allow_overlap)
        for name in model
    }
    do.judge(tasks, place, before=before, keep=share, batch=batch, into=folder, as_json=as_json)


@app.command()
def effects(
    *,
    model: Model,
    forget: ForgetRows,
    retain: RetainRows = None,
    objective: Objective = "GA",
    by: Annotated[str, typer.Option(help="What to print: layer, row, token (largest).")] = "layer",
    refusals: Refusals = None,
    into: Annotated[Path | None, typer.Option(help="Folder for a page with all three.")] = None,
    template: Template = "auto",
    eos: Eos = False,
    allow_overlap: Overlap = False,
    batch: Batch = 16,
    device: Device = None,
    dtype: Dtype = "float32",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """What a step would do, by layer, row and token (G-effect)."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import effecting as do
    from limen.cli import pages, subjects

    folder = pages.folder("unlearn effects", options)
    place = subjects.place(device, dtype=dtype, threads=threads)
    rows = subjects.rows(forget, retain, refusals=refusals)
    task = subjects.task(model, rows, template=template, eos=eos, allow_overlap=allow_overlap)
    loss = do.objective(objective, by, task)
    subject = subjects.subject(model, task, place)
    do.effects(subject, task, loss, by=by, batch=batch, into=folder, as_json=as_json)


@app.command()
def attack(
    *,
    model: Annotated[
        list[str], typer.Option(help="A model to attack; three or more judge the metrics too.")
    ],
    forget: ForgetRows,
    retain: Annotated[str, typer.Option("--retain", help="Rows to keep, likewise.")],
    attack: Annotated[
        list[str] | None,
        typer.Option(help="Jailbreak, 'TokenNoise(rate=0.1)' and others; again for more [all]."),
    ] = None,
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
    """Score a model under attacks: gone, or only silent."""
    options = locals()  # and nothing else, as long as this line is the first
    from limen.cli import attacking as do
    from limen.cli import pages, subjects
    from limen.cli.judging import check_there

    folder = pages.folder("unlearn attack", options)
    subjects.check_models(model)
    check_there(model)
    attacks = do.attacks(attack or [])
    place = subjects.place(device, dtype=dtype, threads=threads)
    rows = subjects.rows(forget, retain)
    tasks = {
        name: subjects.task(name, rows, template=template, eos=eos, allow_overlap=allow_overlap)
        for name in model
    }
    do.attack(tasks, place, attacks, batch=batch, into=folder, as_json=as_json)
