"""The work behind `limen unlearn attack`; imported only when there is some."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from limen import unlearn
from limen._core.errors import UsageError
from limen.cli.named import named
from limen.cli.pages import PageFolder
from limen.cli.subjects import Adapter, Place, subject
from limen.report import Facts, Page
from limen.report.records import Record
from limen.run.provenance import origin
from limen.unlearn.attacks.attacked import Attack, Attacked
from limen.unlearn.attacks.suite import ATTACKS, answer, gathered, records, suite, table
from limen.unlearn.deposit import counted, settings

MODELS = 3
"""Models from which a correlation says something."""


def attacks(names: Sequence[str]) -> Sequence[Attack]:
    """The attacks by name; all of them without names.

    Raises:
        UsageError: An unknown name, or the same attack twice.
    """
    found = [named(name, "limen.unlearn.attacks", option="--attack") for name in names]
    if len({attack.name for attack in found}) < len(found):
        raise UsageError("--attack must name each attack once")
    return found or ATTACKS


def attack(
    tasks: Mapping[str, unlearn.Task],
    place: Place,
    attacks: Sequence[Attack],
    *,
    batch: int,
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """Attack one model after another, print, and write the page."""
    found: dict[str, dict[str, Attacked]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name, task in tasks.items():
        model = subject(name, task, place, adapter=Adapter(0))
        found[name] = suite(model, task, attacks, batch=batch)
        facts[name] = settings(
            "unlearn attack", model, task, attacks=[repr(each) for each in attacks]
        )
    names = {name: name if len(tasks) > 1 else "" for name in tasks}
    shown = [_titled(record, names[name]) for name in found for record in records(found[name])]
    tables: list[Any] = [_titled(table(one), names[name]) for name, one in found.items()]
    if len(found) >= MODELS:
        tables.append(unlearn.robustness(*gathered(list(found.values()))))
        shown.insert(0, tables[-1])
    if as_json:
        print(json.dumps([each.to_dict() for each in tables], indent=2))
    else:
        print("\n\n".join(each.to_text() for each in tables))
    if into is not None:
        page = Page(
            "Gone, or only silent?",
            " ".join(answer(one, name=names[name]) for name, one in found.items()),
            [*shown, Facts({**_together(facts), "models": list(tasks), **origin()})],
            subtitle=counted(next(iter(tasks.values()))),
        )
        into.write(page)


def _titled(record: Record, name: str) -> Record:
    """A record whose title says which model it is about."""
    if not name or not getattr(record, "title", ""):
        return record
    return replace(record, title=f"{record.title}: {name}")


def _together(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings of several models: once where all agree, else for each under its name."""
    first, *others = facts.values()
    found: dict[str, Any] = {}
    for key, value in first.items():
        if all(other[key] == value for other in others):
            found[key] = value
        else:
            found |= {f"{key}, {name}": told[key] for name, told in facts.items()}
    return found
