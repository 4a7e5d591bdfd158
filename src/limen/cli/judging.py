"""The work behind `limen unlearn judge`; imported only when there is some."""

import json
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from limen import unlearn
from limen._core.errors import UsageError
from limen.cli.named import looked_up
from limen.cli.pages import PageFolder
from limen.cli.subjects import Place, subject
from limen.report import Curves, Facts, Page, Table
from limen.run.progress import say
from limen.run.provenance import origin
from limen.unlearn.deposit import counted

TAKEN = frozenset({"spec", "environment"})
"""Names of files that every folder of a page has."""


def check_there(models: Sequence[str], before: str | None = None) -> None:
    """Refuse a folder without a model before another one is loaded.

    Raises:
        UsageError: It has neither a model's configuration nor an adapter's.
    """
    options = [("--model", where) for where in models]
    for option, where in [*options, ("--before", before)] if before else options:
        folder = Path(where).expanduser()
        held = any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
        if folder.is_dir() and not held:
            raise UsageError(f"{option} {where} must hold a model; its config.json is not there")


def judge(
    tasks: dict[str, unlearn.Task],
    place: Place,
    *,
    before: str | None,
    keep: float,
    batch: int,
    into: PageFolder | None,
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
        into.write(page)


def benchmark(
    name: str, split: str | None, data: Path | None, *, settings: Mapping[str, str | None]
) -> Any:
    """A benchmark by name, checked before a model is loaded.

    Raises:
        UsageError: An unknown benchmark or split, no such folder, or a setting it lacks.
    """
    make = looked_up(name, "limen.unlearn.benchmarks", option="--benchmark")
    if data is not None and not data.is_dir():
        raise UsageError(f"--data {data} must be a folder; there is none")
    which = {} if split is None else {next(iter(signature(make).parameters)): split}
    return make(**which, data=data, **_taken(settings, make, name=make.__name__))


def check_benchmark(
    name: str | None,
    rows: Sequence[str | None],
    *,
    of_benchmarks: Mapping[str, object],
    of_rows: Mapping[str, object],
) -> None:
    """A benchmark, or rows of one's own: exactly one of the two, with the settings it obeys.

    Raises:
        UsageError: Both or neither, or a setting of the other one (None is none).
    """
    if name is None:
        idle = _given(of_benchmarks)
        if idle:
            raise UsageError(f"--{next(iter(idle))} is a setting of --benchmark; name one")
        if None in rows:
            raise UsageError("--forget and --retain are needed, or a --benchmark")
        return
    if any(rows):
        raise UsageError(f"--benchmark {name} brings its own rows; leave --forget and --retain out")
    idle = _given(of_rows)
    if idle:
        raise UsageError(f"--{next(iter(idle))} is for rows of your own; --benchmark takes none")


def judge_benchmark(
    found: Any,
    models: Sequence[str],
    place: Place,
    *,
    settings: dict[str, Any],
    into: PageFolder | None,
    as_json: bool,
) -> None:
    """A benchmark's scores of each model, side by side; saved one by one with `into`.

    Raises:
        UsageError: A setting the benchmark lacks, a part that is missing or no retrained
            judgement, all before a model is loaded; or as the benchmark.
    """
    given = _taken(settings, found.judge, name=type(found).__name__)
    check = getattr(found, "check", None)
    if check is not None:
        takes = signature(check).parameters
        check(**{name: value for name, value in given.items() if name in takes})
    tokenizers = {where: unlearn.load_tokenizer(where) for where in models}
    if given.get("template") == "plain" or not all(t.chat_template for t in tokenizers.values()):
        _say_form(found)
    stems, judged = _stems(models), {}
    for where, tokenizer in tokenizers.items():
        model = unlearn.load_model(where, dtype=place.dtype, device=place.device)
        judged[where] = found.judge(model, tokenizer, **given)
        if into is not None:
            with into.held() as folder:
                say(f"saved: {judged[where].save(folder / f'{stems[where]}.json')}")
    tables = [judgement.table for judgement in judged.values()]
    table = Table(
        ["score", *judged],
        [[line[0], *(t.rows[i][1] for t in tables)] for i, line in enumerate(tables[0].rows)],
        title=tables[0].title,
        protocol=tables[0].protocol,
    )
    print(json.dumps(table.to_dict(), indent=2) if as_json else table.to_text())
    if into is not None:
        page = Page(table.title, f"{len(judged)} models judged.", [table, Facts(origin())])
        into.write(page)


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def _taken(settings: Mapping[str, Any], call: Any, *, name: str) -> dict[str, Any]:
    """The settings that were given, all of which `call` must take.

    Raises:
        UsageError: It lacks one.
    """
    given, takes = _given(settings), signature(call).parameters
    unfit = [setting for setting in given if setting not in takes]
    if unfit:
        option = "generate" if unfit[0] == "generation" else unfit[0]
        raise UsageError(f"--{option} is no setting of {name}; leave it out")
    return given


def _say_form(found: Any) -> None:
    """Tell that nothing stands between question and answer, where a benchmark has such a form."""
    if hasattr(found, "form") and found.form == type(found).form:
        say(
            f"{type(found).__name__}: answers follow their questions with nothing between, and no"
            " chat template; published are --form 'Question: {question}\\nAnswer: {answer}'"
            " (Phi-1.5) and '[INST] {question} [/INST]{answer}' (Llama-2)"
        )


def _stems(models: Sequence[str]) -> dict[str, str]:
    """A file name for each model: the last parts of its place that tell it from the others.

    A folder that is only called `model`, as every run's is, goes by its run's name too.
    """
    parts = {where: _parts(where) for where in models}
    least = 2 if any(found[-1] == "model" for found in parts.values()) else 1
    for count in range(least, max(map(len, parts.values())) + 1):
        stems = {where: "-".join(found[-count:]) for where, found in parts.items()}
        if len(set(stems.values())) == len(models) and TAKEN.isdisjoint(stems.values()):
            return stems
    return {where: f"{number}-{parts[where][-1]}" for number, where in enumerate(models, 1)}


def _parts(where: str) -> tuple[str, ...]:
    path = Path(where).resolve() if Path(where).exists() else Path(where)
    return tuple(part for part in path.parts if part != path.anchor) or ("model",)
