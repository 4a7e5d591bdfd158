"""The work behind `limen unlearn`; imported only when there is some."""

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401  before torch, whose C code imports it and swallows Ctrl-C
import torch
from torch import nn

from limen import unlearn
from limen._core.errors import UsageError
from limen.cli.named import named
from limen.report import Curves, Facts, Page, Table, Trace
from limen.run.folder import RunFolder
from limen.run.progress import say
from limen.run.provenance import fingerprint
from limen.train.rectify import Rectify
from limen.unlearn.calibrate import mixed
from limen.unlearn.data import Row
from limen.unlearn.deposit import conclude, counted, deposit, settings, strengths
from limen.unlearn.encode import require_fit
from limen.unlearn.evidence import PROTOCOL, SCORE_COLUMNS, origin, scores_row
from limen.unlearn.lora import with_lora
from limen.unlearn.outcome import outcome
from limen.unlearn.training import Training

DEVICES = ("cpu", "cuda", "mps", "xpu")
DTYPES = ("float32", "bfloat16", "float64")
Rows = tuple[list[Row], list[Row] | None]


@dataclass(frozen=True)
class Place:
    """Where models shall stand, and the type of their weights."""

    device: torch.device
    dtype: torch.dtype


def training(*, objective: str, retain_loss: str | None, rectify: bool, on: str, ema: float,
             **settings: Any) -> Training:  # fmt: skip
    """The settings as an object; names are looked up here and nowhere else.

    Raises:
        UsageError: An unknown name, a value out of range, or a setting of what is switched off.
    """
    if not rectify and (on, ema) != ("gradient", 0.8):
        raise UsageError(
            "--on and --ema are settings of --rectify; leave them out with --no-rectify"
        )
    if retain_loss is None and settings["weight"] != 1.0:
        raise UsageError("--weight is the factor of a retain loss; name one with --retain-loss")
    surgery = partial(Rectify, on=on, ema=ema)
    surgery(goal="forget", guard="retain")
    return Training(
        objective=named(objective, "limen.unlearn.objectives", option="--objective"),
        retain=named(retain_loss, "limen.unlearn.retain", option="--retain-loss")
        if retain_loss
        else None,
        rectify=surgery if rectify else False,
        **settings,
    )


def check_keep(keep: float) -> None:
    """Refuse a share outside (0, 1].

    Raises:
        UsageError: So it is.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"--keep {keep} must lie in (0, 1]: the share of knowledge to keep")


def check_guard(plan: Training, retain: str | None, *, calibrated: bool) -> None:
    """Refuse to go without rows to keep where they are needed.

    Raises:
        UsageError: So it is.
    """
    if retain is not None:
        return
    if calibrated:
        raise UsageError("--retain is needed to know what was kept; 'limen unlearn train' can do")
    if plan.rectify or plan.retain is not None:
        raise UsageError(
            "--retain is needed as a guard and for a retain loss; give rows to keep, or "
            "--no-rectify and no --retain-loss"
        )


def check_page(into: Path | None) -> None:
    """Refuse a folder whose page belongs to a run.

    Raises:
        UsageError: So it is, or a file stands there.
    """
    if into is not None and (into / "spec.json").is_file():
        raise UsageError(f"--into {into} must not be a run's folder, whose page would be replaced")
    if into is not None and into.exists() and not into.is_dir():
        raise UsageError(f"--into {into} must be a folder; a file stands there")


def check_into(into: Path) -> None:
    """Refuse a folder that cannot be a run's, before anything is loaded.

    Raises:
        UsageError: It holds something else.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("the commands run in one process; use limen.fit in a script for several")
    if not (into / "spec.json").is_file():
        RunFolder(into).check({})


def rows(forget: str, retain: str | None) -> Rows:
    """Both sets, read before the model is."""
    return _read(forget), None if retain is None else _read(retain)


def place(device: str | None, *, dtype: str, threads: int | None) -> Place:
    """Where the work shall be done; sets the number of threads.

    Raises:
        UsageError: A device that is not here, or an unknown type.
    """
    if dtype not in DTYPES:
        raise UsageError(f"--dtype {dtype!r} must be one of {', '.join(DTYPES)}")
    if threads:
        torch.set_num_threads(threads)
    return Place(_device(device), getattr(torch, dtype))


def task(where: str, rows: Rows, *, template: str, eos: bool, allow_overlap: bool) -> unlearn.Task:
    """Both sets, checked and tokenised with the tokenizer of a model that is not loaded yet."""
    return unlearn.Task(
        unlearn.load_tokenizer(where),
        forget=rows[0],
        retain=rows[1],
        template=template,
        eos=eos,
        allow_overlap=allow_overlap,
    )


def subject(
    where: str,
    task: unlearn.Task,
    place: Place,
    *,
    lora: int | None = None,
    seed: int = 0,
) -> nn.Module:
    """Load a model and see that the rows fit it; with `lora` it is one to be trained.

    A model to be trained has its own adapter merged and, for a rank above 0, gets a fresh one.
    """
    model: Any = unlearn.load_model(where, dtype=place.dtype, device=place.device)
    if lora is not None and hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    for option, encoded in (("--forget", task.forget), ("--retain", task.retain)):
        try:
            require_fit(model, encoded)
        except UsageError as wrong:
            raise UsageError(f"{option}: {wrong}") from None
    return with_lora(model, lora, seed=seed) if lora else model


def forget(
    model: nn.Module,
    task: Any,
    plan: Training,
    *,
    keep: float,
    merge: bool,
    into: Path,
    as_json: bool,
) -> None:
    """Forget, calibrate, write; a finished run is only told again."""
    facts = settings("unlearn forget", model, task, plan=plan, keep=keep)
    if not _told_again(into, facts, as_json=as_json):
        unlearn.forget(
            model,
            task.tokenizer,
            forget=task,
            rectify=bool(plan.rectify),
            keep=keep,
            into=into,
            training=plan,
            merge=merge,
        )
        _tell(into, as_json=as_json)


def train(
    model: nn.Module, task: Any, plan: Training, *, merge: bool, into: Path, as_json: bool
) -> None:
    """Train and write the model as training left it; a finished run is only told again."""
    facts = settings("unlearn train", model, task, plan=plan)
    if _told_again(into, facts, as_json=as_json):
        return
    folder = RunFolder(into)
    with folder.opened(facts):
        before = _scores(model, task)
        state = plan.run(model, task, into=into, label=f"training, {plan.name}")
        after = _scores(model, task)
        moments = {"before": before, "after": after}
        found = strengths(moments)
        page = Page(
            "Trained to forget, not yet calibrated",
            "Extraction strength went from "
            f"{found['forget extraction strength before']:.2f} to "
            f"{found['forget extraction strength after']:.2f} on the rows to forget.",
            [*_training_records(moments, state.history), Facts({**facts, **origin()})],
            subtitle=counted(task),
        )
        result = {"method": plan.name, **found}
        deposit(folder, model=model, task=task, page=page, result=result, merge=merge)
    _tell(into, as_json=as_json)


def calibrate(
    model: nn.Module,
    task: Any,
    *,
    before: str,
    keep: float,
    batch: int,
    into: Path,
    as_json: bool,
) -> None:
    """Mix, write the calibrated model and the page."""
    original = unlearn.load_model(before, dtype=next(model.parameters()).dtype)
    facts = {
        **settings("unlearn calibrate", model, task, keep=keep),
        "model before": fingerprint(original),
    }
    if _told_again(into, facts, as_json=as_json):
        return
    mixing = mixed(original, model, task, keep=keep, batch=batch)
    folder = RunFolder(into)
    with folder.opened(facts):
        found = outcome(mixing, name="calibrated", keep=keep, history=[])
        mixing.settle(float(found.point.knob))
        conclude(
            folder,
            found,
            model=model,
            task=task,
            keep=keep,
            facts=facts,
            title="Calibrated to equal retention",
        )
    _tell(into, as_json=as_json)


def judge(
    tasks: dict[str, unlearn.Task],
    place: Place,
    *,
    before: str | None,
    keep: float,
    batch: int,
    into: Path | None,
    as_json: bool,
) -> None:
    """Score the models one after another, so that only two are in memory."""
    original = None
    if before is not None:
        original = unlearn.load_model(before, dtype=place.dtype, device=place.device)
    tables = [
        unlearn.judge(
            {name: subject(name, asked, place)}, asked, before=original, keep=keep, batch=batch
        )
        for name, asked in tasks.items()
    ]
    table = Table(
        tables[0].columns,
        [row for part in tables for row in part.rows],
        title=tables[0].title,
        protocol=tables[0].protocol,
        tradeoffs=[curve for part in tables for curve in part.tradeoffs],
    )
    print(json.dumps(table.to_dict(), indent=2) if as_json else table.to_text())
    if into is not None:
        task = next(iter(tasks.values()))
        curves = [Curves(table.tradeoffs, at=1 - keep)] if table.tradeoffs else []
        records_ = [*curves, table, Facts(origin())]
        page = Page("Models side by side", f"{len(tasks)} models on {counted(task)}.", records_)
        say(f"the page: {page.write(into / 'report.html')}")


def _read(source: str) -> list[Row]:
    """A file or folder as it is; a hub id may carry `:config` and `:split`."""
    if Path(source).exists():
        return unlearn.read_rows(source)
    name, _, rest = source.partition(":")
    config, _, split = rest.partition(":")
    return unlearn.read_rows(name, config=config or None, split=split or None)


def _device(wanted: str | None) -> torch.device:
    """The device asked for, or the one that Accelerate finds."""
    if wanted is None:
        from accelerate import PartialState

        return PartialState().device
    if wanted.partition(":")[0] not in DEVICES:
        raise UsageError(f"--device {wanted!r} must be one of {', '.join(DEVICES)}, or cuda:1")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as absent:
        why = str(absent).split(". ")[0].splitlines()[0]
        raise UsageError(f"--device {wanted!r} must be a device that is here: {why}") from None
    return device


def _scores(model: Any, task: Any) -> Any:
    """Of the rows to forget and, where there are any, of those to keep."""
    sets = [part for part in (task.forget, task.retain) if part]
    return tuple(unlearn.recall(model, None, part) for part in sets)


def _training_records(moments: dict[str, Any], history: list[dict[str, float]]) -> list[Any]:
    steps = list(range(1, len(history) + 1))
    names = [name for name in history[0] if name in ("forget", "retain")]
    losses = {name: [row[name] for row in history] for name in names}
    sides = ("forget", "retain")[: len(moments["before"])]
    columns = ["model", *(name for name in SCORE_COLUMNS if name.startswith(sides))]
    table = Table(columns, [[when, *scores_row(both)] for when, both in moments.items()],
                  title="Scores", protocol=PROTOCOL)  # fmt: skip
    found: list[Any] = [table, Trace(steps, losses, title="Losses", y_name="loss")]
    if "angle" in history[0]:
        angles = {"angle": [row.get("update_angle", row["angle"]) for row in history]}
        found.append(Trace(steps, angles, title="Conflict", y_name="degrees", reference=90.0))
    return found


def _told_again(into: Path, facts: dict[str, Any], *, as_json: bool) -> bool:
    """Whether the run was finished before; if so, its result is printed again."""
    folder = RunFolder(into)
    folder.check(facts)
    if folder.result is None:
        return False
    say(f"{into} was finished before; nothing to do")
    _tell(into, as_json=as_json)
    return True


def _tell(into: Path, *, as_json: bool) -> None:
    """The result on stdout, and where model and page lie."""
    result = dict(RunFolder(into).result or {})
    result |= {"model": str(into / "model"), "report": str(into / "report.html")}
    if as_json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name}: {_written(value)}")


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " to ".join(_written(item) for item in value)
    return str(value)
