"""The work behind `limen unlearn effects`; imported only when there is some."""

import json
from typing import Any

from torch import nn

from limen import unlearn
from limen._core.errors import UsageError
from limen.cli.named import named
from limen.cli.pages import PageFolder
from limen.report import Facts, Page
from limen.report.records import Record
from limen.run.progress import progress
from limen.run.provenance import origin
from limen.unlearn.deposit import counted, settings
from limen.unlearn.effect_records import (
    answer,
    layer_records,
    layer_table,
    row_records,
    token_records,
    token_table,
)

BY = ("layer", "row", "token")


def objective(text: str, by: str, task: unlearn.Task) -> Any:
    """The loss, looked up; refused before a model is loaded where it cannot be measured.

    Raises:
        UsageError: Unknown names, or rows without the prompts that refusals need.
    """
    if by not in BY:
        raise UsageError(f"--by {by!r} must be one of {', '.join(BY)}")
    found = named(text, "limen.unlearn.objectives", option="--objective")
    if getattr(found, "sees", "answers") in ("refusals", "preferences"):
        _ = task.refusals
    return found


def effects(
    model: nn.Module,
    task: unlearn.Task,
    loss: Any,
    *,
    by: str,
    batch: int,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Measure, print, and write the page with all three resolutions."""
    steps = 3 if into is not None else 1
    with progress("effects", total=steps) as advance:
        found = unlearn.effects(model, None, objective=loss, forget=task, by=by, batch=batch)
        advance(note=f"by {by}")
        records: list[Record] = []
        if into is not None:
            layers = (
                found
                if by == "layer"
                else unlearn.effects(model, None, objective=loss, forget=task, batch=batch)
            )
            records += layer_records(layers)
            if task.retain:
                points = unlearn.pg_effects(model, None, forget=task, batch=batch)
                records += row_records(points, [row.prompt for row in task.forget_rows])
            advance(note="by row")
            tokens = (
                found
                if by == "token"
                else unlearn.effects(
                    model, None, objective=loss, forget=task, by="token", batch=batch
                )
            )
            records += token_records(tokens)
            advance(note="by token")
    _print(found, as_json=as_json)
    if into is not None:
        facts = settings("unlearn effects", model, task, objective=repr(loss))
        page = Page(
            "What a step would do",
            answer(layers),
            [*records, Facts({**facts, **origin()})],
            subtitle=counted(task),
        )
        into.write(page)


def _print(found: unlearn.Effects, *, as_json: bool) -> None:
    sides = {"forget": found.forget, "retain": found.retain}
    known = {name: values for name, values in sides.items() if values is not None}
    if as_json:
        lists = {name: _numbers(values.tolist()) for name, values in known.items()}
        record = {"by": found.by, "names": list(found.names), **lists, "total": found.total}
        print(json.dumps(record, indent=2))
        return
    if found.by == "layer":
        print(layer_table(found).to_text())
        return
    print("effect on each row's own risk (mean over its tokens)")
    for name, side in found.sides.items():
        for i, value in enumerate(side.rows):
            print(f"{name} {i + 1}\t{value:.4g}")
    if found.by == "token":
        print(f"\n{token_table(found).to_text()}\n(--json gives every token)")


def _numbers(values: Any) -> Any:
    """JSON knows no nan: what is beyond an answer is null."""
    if isinstance(values, list):
        return [_numbers(value) for value in values]
    return None if values != values else values
