"""The work behind `limen unlearn`; imported only when there is some."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from limen import unlearn
from limen._core.errors import UsageError
from limen._core.optional import require
from limen._core.streams import seed_for
from limen.cli.named import named
from limen.report import Curves, Facts, Page, Table, Trace
from limen.run.folder import RunFolder
from limen.run.progress import say
from limen.run.provenance import command, fingerprint
from limen.train.rectify import Rectify
from limen.unlearn.calibrate import mixed
from limen.unlearn.data import Row
from limen.unlearn.deposit import counted, deposit, settings, strengths, summary
from limen.unlearn.encode import context_length
from limen.unlearn.evidence import PROTOCOL, SCORE_COLUMNS, answer, records, scores_row
from limen.unlearn.outcome import outcome
from limen.unlearn.training import Training

Rows = tuple[list[Row], list[Row] | None]


@dataclass(frozen=True)
class Subject:
    """A loaded model with its tokenizer, and the name it was asked for by."""

    name: str
    model: Any
    tokenizer: Any


def training(*, objective: str, retain_loss: str | None, rectify: bool, on: str, ema: float,
             **settings: Any) -> Training:  # fmt: skip
    """The settings as an object; names are looked up here and nowhere else."""
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


def check_into(into: Path) -> None:
    """Refuse a folder that cannot be a run's, before anything is loaded.

    Raises:
        UsageError: It holds something else.
    """
    if not (into / "spec.json").is_file():
        RunFolder(into).check({})


def rows(forget: str, retain: str | None) -> Rows:
    """Both sets, read before the model is."""
    return _read(forget), None if retain is None else _read(retain)


def subject(
    where: str, *, device: str | None, dtype: str, lora: int = 0, seed: int = 0,
    threads: int | None = None,
) -> Subject:  # fmt: skip
    """Load model and tokenizer, put the model where it shall work, add an adapter if asked for."""
    if threads:
        torch.set_num_threads(threads)
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
    if dtype not in kinds:
        raise UsageError(f"--dtype {dtype!r} must be one of {', '.join(kinds)}")
    place = _device(device)
    tokenizer = unlearn.load_tokenizer(where)
    model = unlearn.load_model(where, dtype=kinds[dtype], device=place)
    return Subject(where, _adapted(model, lora, seed) if lora else model, tokenizer)


def task(subject: Subject, rows: Rows, *, template: str, eos: bool, allow_overlap: bool) -> Any:
    """Both sets, tokenised and checked against the model's context."""
    return unlearn.Task(
        subject.tokenizer,
        forget=rows[0],
        retain=rows[1],
        template=template,
        eos=eos,
        max_length=context_length(subject.model),
        allow_overlap=allow_overlap,
    )


def forget(
    subject: Subject, task: Any, plan: Training, *, keep: float, into: Path, as_json: bool
) -> None:
    """Forget, calibrate, write; a finished run is only told again."""
    facts = settings("unlearn forget", subject.model, task, plan=plan, keep=keep)
    if not _told_again(into, facts, as_json=as_json):
        unlearn.forget(
            subject.model,
            subject.tokenizer,
            forget=task,
            rectify=bool(plan.rectify),
            keep=keep,
            into=into,
            training=plan,
        )
        _tell(into, as_json=as_json)


def train(subject: Subject, task: Any, plan: Training, *, into: Path, as_json: bool) -> None:
    """Train and write the model as training left it; a finished run is only told again."""
    plan.check(task)
    facts = settings("unlearn train", subject.model, task, plan=plan)
    if _told_again(into, facts, as_json=as_json):
        return
    folder = RunFolder(into)
    with folder.opened(facts):
        before = _scores(subject.model, task)
        state = plan.run(subject.model, task, into=into, label=f"training, {plan.name}")
        after = _scores(subject.model, task)
        moments = {"before": before, "after": after}
        found = strengths(moments)
        page = Page(
            "Trained to forget, not yet calibrated",
            "Extraction strength went from "
            f"{found['forget extraction strength before']:.2f} to "
            f"{found['forget extraction strength after']:.2f} on the rows to forget.",
            [*_training_records(moments, state.history), Facts({**facts, "command": command()})],
            subtitle=counted(task),
        )
        result = {"method": plan.name, **found}
        deposit(folder, model=subject.model, task=task, page=page, result=result)
    _tell(into, as_json=as_json)


def calibrate(
    subject: Subject,
    task: Any,
    *,
    before: str,
    keep: float,
    batch: int,
    into: Path,
    as_json: bool,
) -> None:
    """Mix, write the calibrated model and the page."""
    original = unlearn.load_model(before, dtype=next(subject.model.parameters()).dtype)
    facts = settings(
        "unlearn calibrate", subject.model, task,
        keep=keep, **{"model before": fingerprint(original)},
    )  # fmt: skip
    if _told_again(into, facts, as_json=as_json):
        return
    mixing = mixed(original, subject.model, task, keep=keep, batch=batch)
    folder = RunFolder(into)
    with folder.opened(facts):
        found = outcome(mixing, name="calibrated", keep=keep, history=[])
        mixing.settle(float(found.point.knob))
        page = Page(
            "Calibrated to equal retention",
            answer([found], keep=keep),
            records([found], keep=keep, facts=facts),
            subtitle=counted(task),
        )
        deposit(
            folder,
            model=subject.model,
            task=task,
            page=page,
            result=summary(found, keep=keep),
            tradeoff=found.tradeoff,
        )
    _tell(into, as_json=as_json)


def judge(
    models: list[str],
    found: Rows,
    *,
    before: str | None,
    keep: float,
    batch: int,
    into: Path | None,
    as_json: bool,
    load: dict[str, Any],
    encode: dict[str, Any],
) -> None:
    """Score the models one after another, so that only two are in memory."""
    original = unlearn.load_model(before, device=_device(load["device"])) if before else None
    tables = []
    for name in models:
        one = subject(name, **load)
        asked = task(one, found, **encode)
        if original is not None:
            original.to(next(one.model.parameters()).dtype)
        tables.append(
            unlearn.judge({name: one.model}, asked, before=original, keep=keep, batch=batch)
        )
    table = Table(
        tables[0].columns,
        [row for part in tables for row in part.rows],
        title=tables[0].title,
        protocol=tables[0].protocol,
        tradeoffs=[curve for part in tables for curve in part.tradeoffs],
    )
    print(json.dumps(table.to_dict(), indent=2) if as_json else table.to_text())
    if into is not None:
        curves = [Curves(table.tradeoffs, at=1 - keep)] if table.tradeoffs else []
        records_ = [*curves, table, Facts({"command": command()})]
        page = Page("Models side by side", f"{len(models)} models on {counted(asked)}.", records_)
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
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as absent:
        why = str(absent).splitlines()[0]
        raise UsageError(f"--device {wanted!r} must be a device that is here: {why}") from None
    return device


def _adapted(model: Any, rank: int, seed: int) -> Any:
    """The model with a fresh LoRA adapter on every linear layer."""
    peft = require("peft", extra="llm")
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "adapter") % 2**31)
        return peft.get_peft_model(model, config)


def _scores(model: Any, task: Any) -> Any:
    sets = (task.forget, task.retain or task.forget)
    return tuple(unlearn.recall(model, None, part) for part in sets)


def _training_records(moments: dict[str, Any], history: list[dict[str, float]]) -> list[Any]:
    steps = list(range(1, len(history) + 1))
    names = [name for name in history[0] if name in ("forget", "retain")]
    losses = {name: [row[name] for row in history] for name in names}
    columns = ["model", *SCORE_COLUMNS]
    table = Table(columns, [[when, *scores_row(both)] for when, both in moments.items()],
                  title="Scores", protocol=PROTOCOL)  # fmt: skip
    found: list[Any] = [table, Trace(steps, losses, title="Losses", y_name="loss")]
    if "angle" in history[0]:
        angles = {"angle": [row["angle"] for row in history]}
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
