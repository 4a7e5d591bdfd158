"""What a run folder of unlearning holds: settings, model, curve, page, and the result last."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from limen.measure.tradeoff import Tradeoff
from limen.report.page import Page
from limen.run.files import save
from limen.run.folder import RunFolder
from limen.run.provenance import fingerprint
from limen.unlearn.early_stop import EarlyStop
from limen.unlearn.evidence import answer, records
from limen.unlearn.models import save_model
from limen.unlearn.outcome import Kept, Outcome
from limen.unlearn.scores.one_pass import Recall
from limen.unlearn.task import Task
from limen.unlearn.training import Training


def settings(
    command: str,
    model: nn.Module,
    task: Task,
    *,
    plan: Training | None = None,
    merge: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """Everything that decides a run's numbers and files, for `spec.json` and the page."""
    weights = next(model.parameters())
    return {
        "kind": command,
        **(plan.spec(tuple(task.guards)) if plan else {}),
        **more,
        **({} if merge else {"merge": False}),
        "model": type(model).__name__,
        "model weights": fingerprint(model),
        "rows": task.content_hash()[:16],
        "template": task.template,
        "end of sequence counted": task.eos,
        "dtype": str(weights.dtype).removeprefix("torch."),
        "device": weights.device.type,
    }


def deposit(
    folder: RunFolder,
    *,
    model: nn.Module,
    task: Task,
    page: Page,
    result: Mapping[str, Any],
    tradeoff: Tradeoff | None = None,
    merge: bool = True,
) -> Path:
    """Write model, curve and page; then the result, which marks the run as done.

    `merge=False` writes a LoRA adapter alone, as `save_model` does.

    Returns:
        The path of the page.
    """
    save_model(model, task.tokenizer, folder.path / "model", merge=merge)
    if tradeoff is not None:
        save(tradeoff, folder.path / "tradeoff.json")
    report = page.write(folder.path / "report.html")
    folder.finish(result)
    return report


def conclude(
    folder: RunFolder,
    found: Outcome,
    *,
    model: nn.Module,
    task: Task,
    keep: float,
    facts: Mapping[str, Any],
    title: str,
    merge: bool = True,
) -> Path:
    """Deposit a calibrated model that stands at its operating point, with the page about it.

    Args:
        folder: The run's folder, open.
        found: What the run came to.
        model: The calibrated model.
        task: Its rows.
        keep: Share kept at the operating point.
        facts: Settings to print, by name.
        title: Of the page.
        merge: Add an adapter to the weights; False writes the adapter alone.

    Returns:
        The path of the page.
    """
    page = Page(
        title,
        answer([found], keep=keep),
        records([found], keep=keep, facts=facts),
        subtitle=counted(task),
    )
    return deposit(
        folder,
        model=model,
        task=task,
        page=page,
        result=summary(found, keep=keep),
        tradeoff=found.tradeoff,
        merge=merge,
    )


def summary(found: Outcome, *, keep: float) -> dict[str, Any]:
    """The numbers of a calibrated result as JSON values."""
    return {
        "method": found.name,
        "keep": keep,
        "price": found.point.price,
        "gain": found.point.gain,
        "gain interval": found.point.gain_interval,
        "mixing weight": found.point.knob,
        **strengths({"before": found.before, "after": found.after, "calibrated": found.calibrated}),
        **guard_strengths(found.guards),
        **ending(found.history, found.stop),
    }


def ending(history: Sequence[object], stop: EarlyStop | None) -> dict[str, Any]:
    """Where a training ended, and why before its last step (None: it did not), if it could."""
    told: dict[str, Any] = {"steps taken": len(history)} if history else {}
    return told if stop is None else {**told, "stopped early": stop.stopped or None}


def strengths(scores: Mapping[str, Sequence[Recall]]) -> dict[str, float]:
    """Mean extraction strengths of named scores, by set and moment; a set may be absent."""
    return {
        f"{side} extraction strength {when}": float(np.nanmean(part.extraction_strength))
        for when, both in scores.items()
        for side, part in zip(("forget", "retain"), both, strict=False)
    }


def guard_strengths(guards: Mapping[str, Kept]) -> dict[str, float]:
    """Mean extraction strengths of the further sets to keep, by set and moment."""
    return {
        f"{name} extraction strength {when}": float(np.nanmean(scores.extraction_strength))
        for when, kept in guards.items()
        for name, scores in kept.items()
    }


def counted(task: Task) -> str:
    """How many rows there are, in words."""
    guards = "".join(f", {len(rows)} to keep as {name}" for name, rows in task.guards.items())
    return f"{len(task.forget)} rows to forget, {len(task.retain)} to keep{guards}"
