"""The work behind `limen unlearn`; imported only when there is some."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np  # noqa: F401  before torch, whose C code imports it and swallows Ctrl-C
from torch import nn

from limen import unlearn
from limen._core.errors import UsageError, WorkError
from limen.cli.named import named
from limen.report import Facts, Page, Table, Trace
from limen.run.folder import RunFolder
from limen.run.progress import say
from limen.run.provenance import fingerprint, origin
from limen.train.rectify import Rectify
from limen.unlearn.calibrate import mixed
from limen.unlearn.deposit import (
    conclude,
    counted,
    deposit,
    ending,
    guard_strengths,
    settings,
    strengths,
)
from limen.unlearn.effect_records import trace_records
from limen.unlearn.evidence import (
    GUARDED,
    ON_THE_WAY,
    PROTOCOL,
    SCORE_COLUMNS,
    guard_records,
    scores_row,
    stop_record,
)
from limen.unlearn.outcome import guard_scores, outcome
from limen.unlearn.steer import Steer
from limen.unlearn.step import REFUSING, sight_of
from limen.unlearn.training import Training

LOOKS = 5
"""Steps between looks whether to stop, where nothing else is asked for."""


def training(
    *,
    objective: str,
    retain_loss: str | None,
    rectify: bool,
    on: str,
    ema: float,
    by: str,
    steering: tuple[str | None, float],
    limits: tuple[float | None, float | None],
    check_every: int | None,
    **settings: Any,
) -> Training:
    """The settings as an object; names are looked up here and nowhere else.

    Raises:
        UsageError: An unknown name, a value out of range, or a setting of what is switched off.
    """
    if not rectify and (on, ema, by) != ("gradient", 0.8, "all"):
        raise UsageError(
            "--on, --ema and --by are settings of --rectify; leave them out with --no-rectify"
        )
    if retain_loss is None and settings["weight"] != 1.0:
        raise UsageError("--weight is the factor of a retain loss; name one with --retain-loss")
    steer, share = steering
    if steer is None and share != 0.25:
        raise UsageError("--steer-share is a setting of --steer; say what to steer by")
    stop = _stop(*limits)
    if stop is None and check_every is not None:
        raise UsageError(
            "--check-every is a setting of --stop-forget and --stop-retain; give one of them"
        )
    surgery = partial(Rectify, on=on, ema=ema, by=by)
    surgery(goal="forget", guard="retain")
    return Training(
        objective=named(objective, "limen.unlearn.objectives", option="--objective"),
        retain=named(retain_loss, "limen.unlearn.retain", option="--retain-loss")
        if retain_loss
        else None,
        rectify=surgery if rectify else False,
        steer=Steer(steer, share) if steer else None,
        stop=stop,
        check_every=check_every or (LOOKS if stop is None else min(LOOKS, settings["steps"])),
        **settings,
    )


def _stop(forget: float | None, retain: float | None) -> tuple[float, float] | None:
    """Both limits, one of which may be left open."""
    if forget is None and retain is None:
        return None
    for option, value in (("--stop-forget", forget), ("--stop-retain", retain)):
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{option} {value} must lie in [0, 1]")
    return (0.0 if forget is None else forget, 0.0 if retain is None else retain)


def check_keep(keep: float) -> None:
    """Refuse a share outside (0, 1].

    Raises:
        UsageError: So it is.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"--keep {keep} must lie in (0, 1]: the share of knowledge to keep")


def check_refusals(plan: Training, refusals: Path | None) -> None:
    """Refuse refusals that nobody would hear.

    Raises:
        UsageError: The objective uses none.
    """
    if refusals is not None and sight_of(plan.objective) not in REFUSING:
        raise UsageError(
            f"--refusals is for objectives that teach them, PO and DPO; {plan.objective} does not"
        )


def check_adapter(lora: int, targets: str | None, *, merge: bool) -> None:
    """Refuse settings of an adapter that there is not.

    Raises:
        UsageError: So it is.
    """
    if targets is not None and not targets.strip():
        raise UsageError(f"--lora-targets {targets!r} must name layers, as q_proj; it is blank")
    if lora:
        return
    if targets is not None:
        raise UsageError("--lora-targets says where the adapters of --lora go; give --lora a rank")
    if not merge:
        raise UsageError("--no-merge leaves the adapter of --lora alone; give --lora a rank")


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
    needed = {
        "--bound": plan.bound,
        "--steer": plan.steer,
        "--stop-forget and --stop-retain": plan.stop,
    }
    for option, value in needed.items():
        if value is not None:
            raise UsageError(f"--retain is needed for {option}; give rows to keep")


def check_into(into: Path) -> None:
    """Refuse a folder that cannot be a run's, before anything is loaded.

    Raises:
        UsageError: It holds something else.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("the commands run in one process; use limen.fit in a script for several")
    if not (into / "spec.json").is_file():
        RunFolder(into).check({})


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
    plan.check(task, model)
    facts = settings("unlearn forget", model, task, plan=plan, merge=merge, keep=keep)
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
    plan.check(task, model)
    facts = settings("unlearn train", model, task, plan=plan, merge=merge)
    if _told_again(into, facts, as_json=as_json):
        return
    folder = RunFolder(into)
    with folder.opened(facts):
        before = _scores(model, task), guard_scores(model, task)
        trace, stop = plan.trace(task), plan.early_stop(task)
        watchers = [watcher for watcher in (trace, stop) if watcher is not None]
        state = plan.run(model, task, into=into, label=f"training, {plan.name}", callbacks=watchers)
        after = _scores(model, task), guard_scores(model, task)
        moments = dict(zip(("before", "after"), (before, after), strict=True))
        scores = {when: sides for when, (sides, _) in moments.items()}
        guards = {when: kept for when, (_, kept) in moments.items()}
        found = {**strengths(scores), **guard_strengths(guards)}
        page = Page(
            "Trained to forget, not yet calibrated",
            _headline(found),
            [
                *_training_records(scores, state.history),
                *guard_records(guards, title=GUARDED),
                *([stop_record(stop, title=ON_THE_WAY)] if stop else []),
                *(trace_records(trace) if trace else []),
                Facts({**facts, **origin()}),
            ],
            subtitle=counted(task),
        )
        result = {"method": plan.name, **found, **ending(state.history, stop)}
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


def _scores(model: Any, task: Any) -> Any:
    """Of the rows to forget and, where there are any, of those to keep."""
    found = []
    for option, part in (("--forget", task.forget), ("--retain", task.retain)):
        try:
            found += [unlearn.recall(model, None, part)] if part else []
        except WorkError as wrong:
            raise WorkError(f"{option}: {wrong}") from None
    return tuple(found)


def _headline(found: dict[str, float]) -> str:
    """What was forgotten, and what it cost, by set."""
    kind = " extraction strength "
    names = [name.removesuffix(f"{kind}before") for name in found if name.endswith("before")]
    words = {"forget": "the rows to forget", "retain": "those to keep"}
    moved = [
        f"from {found[f'{name}{kind}before']:.2f} to {found[f'{name}{kind}after']:.2f} on "
        f"{words.get(name, name)}"
        for name in names
    ]
    unseen = "" if "retain" in names else "; there were no rows to keep"
    return f"Extraction strength went {', and '.join(moved)}{unseen}."


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
    if value is None:
        return "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " to ".join(_written(item) for item in value)
    return str(value)
