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
from limen.unlearn.evidence import answer, records
from limen.unlearn.models import save_model
from limen.unlearn.outcome import Outcome
from limen.unlearn.scores.one_pass import Recall
from limen.unlearn.task import Task
from limen.unlearn.training import Training


def settings(
    command: str, model: nn.Module, task: Task, *, plan: Training | None = None, **more: Any
) -> dict[str, Any]:
    """Everything that decides a run's numbers, for `spec.json` and the page."""
    weights = next(model.parameters())
    return {
        "kind": command,
        **(plan.spec() if plan else {}),
        **more,
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
    }


def strengths(scores: Mapping[str, Sequence[Recall]]) -> dict[str, float]:
    """Mean extraction strengths of named scores, by set and moment; a set may be absent."""
    return {
        f"{side} extraction strength {when}": float(np.nanmean(part.extraction_strength))
        for when, both in scores.items()
        for side, part in zip(("forget", "retain"), both, strict=False)
    }


def counted(task: Task) -> str:
    """How many rows there are, in words."""
    return f"{len(task.forget)} rows to forget, {len(task.retain)} to keep"
